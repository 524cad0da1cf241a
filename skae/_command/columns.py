"""What the columns of a table are good for, and the Pipeline for them."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from skae._command.errors import CommandError
from skae._command.logs import Logs
from skae._command.numerals import numbers
from skae._command.text import first, listed, shown

# Share of the values that must be numbers, or dates, for a column to be so.
SHARE = 0.95

# Distinct values that are looked at to tell dates from other text.
MAX_DATES = 1000

# Three parts, or a month's name: neither a range, a fraction nor a time of day.
DATE = r"\d[-/. ]+\w+\.?,?[-/. ]+\d|[A-Za-z]{3}\.? \d+,? \d{4}"

# Letters. pandas needs a time that grows with the square of them.
LONGEST_DATE = 100

# Text with more values than this, most of them in one row alone, is no category.
MAX_TEXTS = 20

# Integers that rise in fewer rows than this may do so by chance.
MIN_COUNTED = 10

# Rarer values of a category are taken together.
MIN_FREQUENCY, MAX_CATEGORIES = 0.001, 50

# Columns that are spoken of.
MAX_NOTES = 30

# What scikit-learn and the detector say of columns that a user did not build.
NEEDLESS = (
    "Column .* has standard",
    "Skipping features without",
    "The covariance matrix",
    "Determinant has increased",
)


class Columns(NamedTuple):
    """Names of the columns to use, and why others are not used."""

    numbers: list[str]
    categories: list[str]
    notes: list[str]

    @property
    def names(self) -> list[str]:
        """All that are used, in the order in which they enter the Pipeline."""
        return self.numbers + self.categories


def choose(table: pd.DataFrame, decimal: str, drop: Sequence[str]) -> Columns:
    """Find out what each column holds."""
    unknown = [name for name in drop if name not in table.columns]
    if unknown:
        raise CommandError(
            f"there is no column {unknown[0]!r} to drop. The columns are: "
            f"{listed(table.columns)}."
        )
    found = Columns([], [], [])
    notes = []
    for name in table.columns:
        if name in drop:
            continue
        kind, note = _kind(table[name], decimal)
        if kind:
            getattr(found, kind).append(name)
        if note:
            notes.append(f"{shown(name)}: {note}")
    found.notes.extend(first(notes, MAX_NOTES))
    doubt = _doubt(list(table.columns))
    if not found.numbers and not found.categories:
        reasons = "; ".join(found.notes) or "all are dropped"
        raise CommandError(f"no column can be used ({reasons}). {doubt}".strip())
    if doubt:
        found.notes.append(doubt)
    return found


def _doubt(names: list[str]) -> str:
    """Say what looks wrong with the names of the columns."""
    if len(names) == 1 and " " in names[0].strip():
        return "Is the delimiter another than comma, semicolon, tab and bar?"
    if sum(name.startswith("Unnamed: ") for name in names) > len(names) / 2:
        return "The first line holds few names: is it a title?"
    if not np.isnan(numbers(pd.Series(names))).any():
        return "All names of columns are numbers: does the file lack a line of names?"
    return ""


def _kind(column: pd.Series, decimal: str) -> tuple[str | None, str | None]:
    """``"numbers"``, ``"categories"`` or None; and a note where one is needed."""
    observed = column.dropna()
    if not len(observed):
        return None, "ignored, no values"
    if observed.dtype.kind == "M":
        return None, "ignored, dates"
    if isinstance(observed.iloc[0], bytes):
        return None, "ignored, bytes"
    if observed.dtype.kind != "b":
        values = numbers(observed, decimal)
        is_number = ~np.isnan(values)
        if is_number.mean() >= SHARE:
            n_others = int(np.count_nonzero(~is_number))
            return _kind_of_numbers(values[is_number], n_others)
    texts = observed.astype("str")
    distinct = texts.unique()
    if len(distinct) == 1:
        return None, "ignored, the same value in all rows"
    if _are_dates(distinct[:MAX_DATES]):
        return None, "ignored, dates"
    if len(distinct) > max(MAX_TEXTS, len(texts) / 2):
        return None, "ignored, text that differs from row to row"
    return "categories", None


def _kind_of_numbers(
    values: np.ndarray, n_others: int
) -> tuple[str | None, str | None]:
    if (values == values[0]).all():
        return None, "ignored, the same value in all rows"
    steps = np.diff(values)
    counts = len(values) >= MIN_COUNTED and (values == np.round(values)).all()
    if counts and ((steps > 0).all() or (steps < 0).all()):
        return None, "ignored, integers that only count the rows"
    return "numbers", no_numbers(n_others) if n_others else None


def no_numbers(n_others: int) -> str:
    """Note of values of a column of numbers that are none."""
    return f"values that are no finite numbers, {n_others:,} of them, are missing"


def _are_dates(values: np.ndarray) -> bool:
    texts = pd.Series(values)
    texts = texts.where(texts.str.len() <= LONGEST_DATE, "")
    if texts.str.contains(DATE, regex=True).mean() < SHARE:
        return False
    with warnings.catch_warnings():
        # Of mixed time zones, which are dates all the same.
        warnings.simplefilter("ignore")
        dates = pd.to_datetime(texts, errors="coerce", format="mixed", utc=True)
    return dates.notna().mean() >= SHARE


def frame(chunk: pd.DataFrame, columns: Columns, decimal: str) -> pd.DataFrame:
    """Rows as they enter the Pipeline: float64 numbers, categories as text."""
    made = {name: numbers(chunk[name], decimal) for name in columns.numbers}
    for name in columns.categories:
        text = chunk[name].astype("str").astype(object)
        made[name] = text.where(chunk[name].notna(), np.nan)
    return pd.DataFrame(made, index=chunk.index)


def pipeline(
    columns: Columns,
    detector: Any,
    *,
    impute: bool = False,
    weight_of_categories: float = 1.0,
) -> Pipeline:
    """Put the preparation of mixed columns in front of a detector.

    Numbers are standardised, those that differ by factors as logarithms, and missing
    ones stay missing unless ``impute``.
    Categories are one-hot encoded, missing ones as a category of their own, and rare
    ones together.
    """
    scale = make_pipeline(Logs(), StandardScaler())
    encode = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="(missing)"),
        OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            min_frequency=MIN_FREQUENCY,
            max_categories=MAX_CATEGORIES,
            sparse_output=False,
        ),
        MinMaxScaler((0.0, weight_of_categories)),
    )
    if impute:
        scale = make_pipeline(SimpleImputer(strategy="median"), scale)
    prepare = ColumnTransformer(
        [
            ("numbers", scale, columns.numbers),
            ("categories", encode, columns.categories),
        ],
        verbose_feature_names_out=False,
    )
    return Pipeline([("columns", prepare), ("detector", detector)])


def made_up(columns: Columns) -> pd.DataFrame:
    """Make a row of the columns, without any value."""
    return pd.DataFrame(np.nan, index=[0], columns=columns.names, dtype=object)


def columns_of(pipeline: Any) -> Columns:
    """Columns that a fitted Pipeline was made for."""
    used = {name: list(names) for name, _, names in pipeline[0].transformers}
    return Columns(used["numbers"], used["categories"], [])


class Strange:
    """Values that a fitted Pipeline can make nothing of."""

    def __init__(self, pipeline: Any, columns: Columns) -> None:
        self.no_numbers = dict.fromkeys(columns.numbers, 0)
        self.unseen = dict.fromkeys(columns.categories, 0)
        self.known = {}
        if columns.categories:
            encoder = pipeline[0].named_transformers_["categories"]["onehotencoder"]
            known = map(set, encoder.categories_)
            self.known = dict(zip(columns.categories, known, strict=True))

    def add(self, chunk: pd.DataFrame, rows: pd.DataFrame) -> None:
        """Count them in rows, before and after they were made to enter."""
        for name in self.no_numbers:
            self.no_numbers[name] += chunk[name].count() - rows[name].count()
        for name, known in self.known.items():
            self.unseen[name] += (~rows[name].dropna().isin(known)).sum()

    def notes(self) -> list[str]:
        """Say which columns have some."""
        lines = [
            f"{shown(name)}: {no_numbers(count)}"
            for name, count in self.no_numbers.items()
            if count
        ]
        lines += [
            f"{shown(name)}: values unknown from training, {count:,} of them"
            for name, count in self.unseen.items()
            if count
        ]
        return first(lines, MAX_NOTES)


def without_values(rows: pd.DataFrame) -> np.ndarray:
    """Whether rows have no value at all."""
    return rows.isna().all(axis=1).to_numpy()


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out warnings that a user of a command cannot follow."""
    with warnings.catch_warnings():
        for message in NEEDLESS:
            warnings.filterwarnings("ignore", message)
        yield
