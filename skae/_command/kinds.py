"""What a column of a table holds."""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from skae._command import dates
from skae._command.numerals import CLOCK, numbers, unit_of
from skae._command.text import shown

# Share of the values that must be numbers, or words, for a column to be so.
SHARE = 0.95

# Text with more values than this, most of them in one row alone, is no category.
MAX_TEXTS = 20

# Integers that rise, or never repeat, in fewer rows than this may do so by chance.
MIN_COUNTED, MIN_DISTINCT = 10, 50

# Letters of a value that is shown as an example.
MAX_SHOWN = 30

ROW_NAME = re.compile(r"Unnamed: \d+|index|row|", re.IGNORECASE)
ID_NAME = re.compile(
    r"(?:^|[\W_])(?:id|ids|uid|uuid|guid|key|nr|no|number|nummer|idx|pk)$|^id[\W_]"
    r"|(?-i:[a-z](?:Id|ID|Nr|No|Key))$",
    re.IGNORECASE,
)
POSTAL_NAME = re.compile(
    r"(?:^|[\W_])(?:plz|postleitzahl|zip|pincode|(?:zip|post|postal)[\W_]?code)$",
    re.IGNORECASE,
)


class Kind(NamedTuple):
    """What a column is used as: the name of a field of ``Columns``, or nothing.

    ``note`` says why a column is not used, or what is odd about it.
    """

    role: str = ""
    note: str = ""
    unit: str = ""
    form: str = ""


def kind_of(name: str, column: pd.Series, decimal: str) -> Kind:
    """Find out what a column holds."""
    observed = column.dropna()
    if not len(observed):
        return _ignored("no values")
    if isinstance(observed.iloc[0], bytes):
        return _ignored("bytes")
    if observed.dtype.kind == "M":
        return Kind("dates") if observed.nunique() > 1 else _constant()
    if observed.dtype.kind != "b":
        found = _number(name, observed, decimal)
        if found:
            return found
    return _text(name, observed.astype("str"))


def no_numbers(others: pd.Series, unit: str = "", count: int | None = None) -> str:
    """Note of values of a column of numbers that are none, as :func:`missing`."""
    what = f"numbers in {unit}" if unit and unit != CLOCK else "numbers"
    return f"values that are no finite {what}, {missing(others, count)}"


def missing(others: pd.Series, count: int | None = None) -> str:
    """Say how many values are missing, and where the first of them is.

    ``others`` may hold the first ones alone, of so many.
    """
    count = len(others) if count is None else count
    where = f"{shown(others.iloc[0], MAX_SHOWN)!r} in row {others.index[0] + 1:,}"
    return f"{count:,} of them, are missing: {where}"


def _ignored(why: str) -> Kind:
    return Kind(note=f"ignored, {why}")


def _constant() -> Kind:
    return _ignored("the same value in all rows")


def _number(name: str, observed: pd.Series, decimal: str) -> Kind | None:
    unit = unit_of(observed)
    values = numbers(observed, decimal, unit)
    is_number = ~np.isnan(values)
    if is_number.mean() < SHARE:
        return None
    others, values = observed[~is_number], values[is_number]
    if (values == values[0]).all():
        return _constant()
    if (values == np.round(values)).all() and not unit:
        found = _integers(name, observed[is_number], values)
        if found:
            return found
    return Kind("numbers", no_numbers(others, unit) if len(others) else "", unit)


def _integers(name: str, observed: pd.Series, values: np.ndarray) -> Kind | None:
    """Say what integers are if they are names of something."""
    steps, n = np.diff(values), len(values)
    texts = observed.astype("str").str.strip().str.removesuffix(".0")
    if texts.str.fullmatch(dates.DIGITS).mean() >= SHARE:
        return Kind("dates", form="%Y%m%d")
    if n >= MIN_COUNTED and ((steps > 0).all() or (steps < 0).all()):
        return _ignored("integers that only count the rows")
    has_zeros = texts.str.fullmatch(r"0\d+").any() and texts.str.len().nunique() == 1
    if has_zeros or POSTAL_NAME.search(name):
        return _category(texts, "a code")
    if len(np.unique(values)) == n and n >= MIN_DISTINCT:
        is_named = ROW_NAME.fullmatch(name) or ID_NAME.search(name)
        if is_named or np.ptp(values) < 2 * n:
            return _ignored("identifiers: integers of which none repeats")
        return Kind("numbers", "no value repeats: --drop it if it is an identifier")
    if ID_NAME.search(name):
        return Kind("numbers", "by its name an identifier: --drop it if it is one")
    return None


def _text(name: str, texts: pd.Series) -> Kind:
    distinct = pd.Series(texts.unique())
    if len(distinct) == 1:
        return _constant()
    form = dates.format_of(distinct)
    if form:
        return Kind("dates", form=form)
    found = _category(texts, "text")
    has_words = distinct.str.strip().str.contains(r"\w\s+\w", regex=True)
    if not found.role and has_words.mean() > 0.5:
        return Kind("texts")
    return found


def _category(texts: pd.Series, what: str) -> Kind:
    if texts.nunique() > max(MAX_TEXTS, len(texts) / 2):
        return _ignored(f"{what} that differs from row to row")
    return Kind("categories")
