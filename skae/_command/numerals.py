"""Numbers as people write them."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

# Values to look at to find out which sign the decimals have.
MAX_VALUES = 1000

# Share of the values that must be times of day for all to be so.
SHARE = 0.95

LARGEST = 1e150

# What people write beside numbers.
SIGNS = r"[$€£¥]|EUR|USD|GBP|CHF"
UNIT_BEFORE, UNIT_BEHIND = rf"^([-+]?) ?(?:{SIGNS}) ?", rf"(?:%|{SIGNS})$"

# Unit of a column, such as kg, km/h or °C; longer texts are no numbers with one.
UNIT, LONGEST = r"[^\W\d_eE°µ][^\W\d_/²³]?[^\d\s,;()]{0,6}|[°µ][^\d\s,;()]{1,6}", 40

# Times of day and durations are numbers of hours.
CLOCK = "hours"
TIME = r"(\d{1,3}):([0-5]\d)(?::([0-5]\d(?:\.\d{1,9})?))?(?: ?([AaPp])\.?[Mm]\.?)?"


def decimal_sign(cells: pd.Series, default: str) -> str:
    """Sign of the decimals in texts; the default where they leave it open."""
    cells = _bare(cells)
    n_commas, n_points = (
        _count_decimals(cells, ",", r"\."),
        _count_decimals(cells, r"\.", ","),
    )
    if n_commas == n_points:
        return default
    return "," if n_commas > n_points else "."


def _count_decimals(cells: pd.Series, sign: str, thousands: str) -> int:
    """How many cells have this sign of decimals, or the other sign for thousands.

    A single sign before three digits may be either.
    """
    unit = f"(?: ?(?:{UNIT}))?"
    number = rf"[-+]?(?:\d+|{_grouped(thousands)}){sign}\d+{unit}"
    is_number = cells.str.fullmatch(number)
    is_number &= ~cells.str.fullmatch(rf"[-+]?{_grouped(sign)}{unit}")
    many = rf"[-+]?{_grouped(thousands, 2)}{unit}"
    return (is_number | cells.str.fullmatch(many)).sum()


def decimal_sign_of(rows: pd.DataFrame, names: Iterable[str], default: str) -> str:
    """Sign of the decimals in those columns of text that hold numbers."""
    texts = [rows[n] for n in names if rows[n].dtype.kind not in "iufbm"]
    if not texts:
        return default
    cells = pd.concat([text.dropna()[:MAX_VALUES].astype("str") for text in texts])
    return decimal_sign(cells, default)


def unit_of(column: pd.Series) -> str:
    """Find the unit of most values of a column, or ``CLOCK``; nothing for none."""
    if column.dtype.kind in "iufbm":
        return ""
    texts = column[:MAX_VALUES].astype("str")
    texts = texts[texts.str.len() <= LONGEST].str.strip()
    if texts.str.fullmatch(TIME).sum() >= SHARE * len(column[:MAX_VALUES]):
        return CLOCK
    units = texts.str.extract(rf"^[-+(]?\d[\d.,' ]*({UNIT})\)?$", expand=False)
    units = units.dropna()
    return units.mode()[0] if len(units) else ""


def numbers(column: pd.Series, decimal: str = ".", unit: str = "") -> np.ndarray:
    """Float64 values of a column; NaN for what is no finite number in its unit."""
    if column.dtype.kind in "iuf":
        values = column.to_numpy(np.float64, na_value=np.nan)
    elif column.dtype.kind == "m":
        values = column.dt.total_seconds().to_numpy(np.float64) / 3600
    elif unit == CLOCK:
        values = _hours(column.astype("str"))
    else:
        values = _parsed(column.astype("str"), decimal, unit)
    # The square of a larger one is no number.
    return np.where(np.abs(values) < LARGEST, values, np.nan)


def _parsed(texts: pd.Series, decimal: str, unit: str) -> np.ndarray:
    """Numbers in texts, with signs of thousands and units where they have them."""
    values = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if decimal == "." and not np.isnan(values[texts.notna().to_numpy()]).any():
        return values
    signs = re.escape(("." if decimal == "," else ",") + "'\u2019\u00a0\u202f ")
    cleaned = _bare(texts, unit).str.replace(
        rf"^[-+]?{_grouped(f'[{signs}]')}(?!\d)",
        lambda match: re.sub(f"[{signs}]", "", match[0]),
        regex=True,
    )
    cleaned = cleaned.str.replace(decimal, ".", regex=False)
    return pd.to_numeric(cleaned, errors="coerce").to_numpy(np.float64, na_value=np.nan)


def _hours(texts: pd.Series) -> np.ndarray:
    """Hours since midnight of times such as 9:05, 21:05:30 and 9:05 pm."""
    texts = texts.where(texts.str.len() <= LONGEST).str.strip()
    parts = texts.str.extract(f"^{TIME}$")
    hours, minutes, seconds = (
        pd.to_numeric(parts[i]).to_numpy(np.float64, na_value=np.nan) for i in range(3)
    )
    half = parts[3].str.lower()
    hours = np.where(half.notna(), hours % 12 + 12 * (half == "p"), hours)
    return hours + minutes / 60 + np.nan_to_num(seconds) / 3600


def _grouped(sign: str, at_least: int = 1) -> str:
    """Pattern of digits in groups of three, which do not begin with a zero."""
    return rf"[1-9]\d{{0,2}}(?:{sign}\d{{3}}){{{at_least},}}"


def _bare(texts: pd.Series, unit: str = "") -> pd.Series:
    """Texts without units and space around; brackets are a minus."""
    texts = texts.str.strip().str.replace("\u2212", "-", regex=False)
    texts = texts.str.replace(r"^\((\d.*)\)$", r"-\1", regex=True)
    texts = texts.str.replace(r"^\(((?:" + SIGNS + r") ?\d.*)\)$", r"-\1", regex=True)
    texts = texts.str.replace(UNIT_BEFORE, r"\1", regex=True)
    if unit:
        texts = texts.str.removesuffix(unit)
    return texts.str.replace(UNIT_BEHIND, "", regex=True).str.strip()
