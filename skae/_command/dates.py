"""Dates as people write them."""

import re
import warnings
from collections import Counter

import pandas as pd
from pandas.tseries.api import guess_datetime_format

# Distinct values that are looked at to tell dates from other text, and that are
# guessed a format from.
MAX_DATES, MAX_GUESSES = 1000, 50

# Share of the values that must be dates.
SHARE = 0.95

# Three parts, or a month's name: neither a range, a fraction nor a time of day.
DATE = r"\d[-/. ]+\w+\.?,?[-/. ]+\d|[A-Za-z]{3}\.? \d+,? \d{4}|^\d{8}$"

# Digits without a sign between them, such as 20240131.
DIGITS = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"

# Letters. pandas needs a time that grows with the square of them.
LONGEST = 100

MIXED = "mixed"

# Formats that pandas does not guess: years of two digits.
SHORT = [
    f"{day}{time}"
    for day in ("%d.%m.%y", "%m/%d/%y", "%d/%m/%y")
    for time in ("", " %H:%M", " %H:%M:%S")
]

WORDS = {
    "%Y": "year",
    "%y": "year",
    "%m": "month",
    "%B": "month",
    "%b": "month",
    "%d": "day",
    "%H": "hour",
    "%I": "hour",
    "%M": "minute",
    "%S": "second",
    "%f": "fraction",
    "%A": "weekday",
    "%a": "weekday",
    "%z": "zone",
    "%Z": "zone",
}


def format_of(values: pd.Series) -> str:
    """Format of nearly all of distinct texts, or ``MIXED``; nothing for no dates."""
    texts = values[:MAX_DATES].str.strip()
    texts = texts.where(texts.str.len() <= LONGEST, "")
    if texts.str.contains(DATE, regex=True).mean() < SHARE:
        return ""
    if texts.str.fullmatch(r"\d{8}").mean() >= SHARE:
        return "%Y%m%d" if texts.str.fullmatch(DIGITS).mean() >= SHARE else ""
    for form in (*_guesses(texts), *SHORT, MIXED):
        if read(texts, form).notna().mean() >= SHARE:
            return form
    return ""


def _guesses(texts: pd.Series) -> list[str]:
    """Guess formats from the first values, those of most values first.

    Where days and months cannot be told apart, days come first behind points alone.
    """
    points = texts.str.contains(r"^\d+\.", regex=True).mean() > 0.5
    found: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for day_first in (points, not points):
            for text in texts[:MAX_GUESSES]:
                form = guess_datetime_format(text, dayfirst=day_first)
                if form:
                    found[form] += 1
    return [form for form, _ in found.most_common(6)]


def read(column: pd.Series, form: str) -> pd.Series:
    """Dates of a column, without time zones; NaT for what is none."""
    if column.dtype.kind == "M":
        dates = column
    else:
        texts = column.astype("str").str.strip()
        with warnings.catch_warnings():
            # Of mixed time zones, which are dates all the same.
            warnings.simplefilter("ignore")
            dates = pd.to_datetime(texts, errors="coerce", format=form, utc=True)
    return dates.dt.tz_convert(None) if dates.dt.tz is not None else dates


def in_words(form: str) -> str:
    """Describe a format, such as day.month.year."""
    return re.sub(r"%[A-Za-z]", lambda code: WORDS.get(code[0], code[0]), form)
