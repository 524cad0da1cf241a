"""What the columns of a table are good for, and the Pipeline for them."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from skae._command import dates
from skae._command.errors import CommandError
from skae._command.kinds import Kind, kind_of
from skae._command.logs import Logs
from skae._command.numerals import numbers
from skae._command.text import first, listed, shown

# Rarer values of a category are taken together.
MIN_FREQUENCY, MAX_CATEGORIES = 0.001, 50

# Inputs that are made of a column of text.
N_TEXT = 5

# Parts of a date that come again, and the days that training must span to know all of
# them; the others only grow.
RECURRING = {"month": 365, "day": 31, "hour": 1, "weekday": 7}

# Columns that are spoken of.
MAX_NOTES = 30

# What scikit-learn, skrub and the detector say of columns that a user did not build.
NEEDLESS = (
    "Column .* has standard",
    "Skipping features without",
    "The covariance matrix",
    "Determinant has increased",
    "The matrix shape is",
)


@dataclass(frozen=True)
class Columns:
    """Names of the columns to use, and what is to be said of all.

    ``units`` and ``formats`` tell how numbers and dates are written, by name.
    """

    numbers: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """All that are used, in the order in which they enter the Pipeline."""
        return self.numbers + self.categories + self.dates + self.texts

    def uses(self) -> list[str]:
        """Say what the columns are used as."""
        units = {name: f" ({unit})" for name, unit in self.units.items()}
        forms = {n: f" ({dates.in_words(form)})" for n, form in self.formats.items()}
        return [
            f"used as {kind}: "
            + ", ".join(
                first([f"{shown(n)}{beside.get(n, '')}" for n in names], MAX_NOTES)
            )
            for kind, names, beside in (
                ("numbers", self.numbers, units),
                ("categories", self.categories, {}),
                ("dates", self.dates, forms),
                ("text", self.texts, {}),
            )
            if names
        ]


def choose(table: pd.DataFrame, decimal: str, drop: Sequence[str]) -> Columns:
    """Find out what each column holds."""
    unknown = [name for name in drop if name not in table.columns]
    if unknown:
        raise CommandError(
            f"there is no column {unknown[0]!r} to drop. The columns are: "
            f"{listed(table.columns)}."
        )
    found = Columns()
    notes = []
    for name in table.columns:
        dropped = name in drop
        kind = Kind() if dropped else kind_of(name, table[name], decimal)
        if kind.role:
            getattr(found, kind.role).append(name)
            found.units.update({name: kind.unit} if kind.unit else {})
            found.formats.update({name: kind.form} if kind.form else {})
        if kind.note and not dropped:
            notes.append(f"{shown(name)}: {kind.note}")
    found.notes.extend(first(notes, MAX_NOTES))
    doubt = _doubt(list(table.columns))
    if not found.names:
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
        return (
            "All names of columns are numbers: does the file lack a line of names? "
            "Then --no-header reads it."
        )
    return ""


def frame(chunk: pd.DataFrame, columns: Columns, decimal: str) -> pd.DataFrame:
    """Rows as they enter the Pipeline: numbers, categories and text, and dates."""
    made: dict[str, Any] = {
        name: numbers(chunk[name], decimal, columns.units.get(name, ""))
        for name in columns.numbers
    }
    for name in columns.categories:
        text = chunk[name].astype("str").astype(object)
        made[name] = text.where(chunk[name].notna(), np.nan)
    for name in columns.dates:
        made[name] = dates.read(chunk[name], columns.formats.get(name, dates.MIXED))
    for name in columns.texts:
        # Text in any part of the file, even where all is missing.
        text = chunk[name].astype("str").astype("string")
        made[name] = text.where(chunk[name].notna(), pd.NA)
    return pd.DataFrame(made, index=chunk.index)


def pipeline(
    columns: Columns,
    detector: Any,
    *,
    impute: bool = False,
    parts: Sequence[str] | None = None,
    weight_of_categories: float = 1.0,
) -> Pipeline:
    """Put the preparation of mixed columns in front of a detector.

    Numbers are standardised, those that differ by factors as logarithms, and missing
    ones stay missing unless ``impute``.
    Categories are one-hot encoded, missing ones as a category of their own, and rare
    ones together. Dates become their parts, all of them or those that ``parts`` names,
    and text becomes numbers by its letters.
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
    steps = [
        ("numbers", scale, columns.numbers),
        ("categories", encode, columns.categories),
    ]
    if columns.dates:
        split = make_pipeline(*_in_parts(parts), clone(scale))
        steps.append(("dates", split, columns.dates))
    if columns.texts:
        steps.append(
            ("texts", make_pipeline(_by_letters(), clone(scale)), columns.texts)
        )
    prepare = ColumnTransformer(steps, verbose_feature_names_out=False)
    made = Pipeline([("columns", prepare), ("detector", detector)])
    made.units_, made.formats_ = columns.units, columns.formats
    return made


def _in_parts(parts: Sequence[str] | None) -> list[Any]:
    """Make numbers of dates."""
    # It takes half a second to import.
    from skrub import ApplyToCols, DatetimeEncoder

    encode = ApplyToCols(DatetimeEncoder(resolution="hour", add_weekday=True))
    if parts is None:
        return [encode]
    keep = ColumnTransformer(
        [("parts", "passthrough", list(parts))], verbose_feature_names_out=False
    )
    return [encode, keep]


def _by_letters() -> Any:
    """Make numbers of text."""
    from skrub import ApplyToCols, StringEncoder

    return ApplyToCols(StringEncoder(n_components=N_TEXT, random_state=0))


def recurring(columns: Columns, rows: pd.DataFrame) -> tuple[Columns, list[str]]:
    """Leave out what only grows with time: rows to come are later ones.

    Returns the columns, less those of dates of which nothing is left, and the parts of
    dates that come again and that training saw all of.
    """
    parts, lost = [], []
    for name in columns.dates:
        known = rows[name].dropna()
        days = (known.max() - known.min()) / pd.Timedelta(days=1)
        found = [part for part, span in RECURRING.items() if days >= span]
        if "hour" in found and (known == known.dt.normalize()).all():
            found.remove("hour")
        parts += [f"{name}_{part}" for part in found]
        if found:
            named = ", ".join(found)
            note = f"the {named} alone are used, since rows to come are later ones"
        else:
            lost.append(name)
            note = "ignored, dates that span too few days for rows to come"
        columns.notes.append(f"{shown(name)}: {note}")
    kept = [name for name in columns.dates if name not in lost]
    return replace(columns, dates=kept), parts


def made_up(columns: Columns) -> pd.DataFrame:
    """Make a row of the columns, without any value."""
    row = pd.DataFrame(np.nan, index=[0], columns=columns.names, dtype=object)
    return frame(row, columns, ".")


def columns_of(pipeline: Any) -> Columns:
    """Columns that a fitted Pipeline was made for."""
    used = {name: list(names) for name, _, names in pipeline[0].transformers}
    return Columns(
        used["numbers"],
        used["categories"],
        # Earlier versions left them out.
        used.get("dates", []),
        used.get("texts", []),
        units=getattr(pipeline, "units_", {}),
        formats=getattr(pipeline, "formats_", {}),
    )


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
