"""Numbers as people write them."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

# Values to look at to find out which sign the decimals have.
MAX_VALUES = 1000

LARGEST = 1e150

# What people write beside numbers.
SIGNS = r"[$€£¥]|EUR|USD|GBP|CHF"
UNIT_BEFORE, UNIT_BEHIND = rf"^(?:{SIGNS})", rf"(?:%|{SIGNS})$"


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
    number = rf"[-+]?(?:\d+|{_grouped(thousands)}){sign}\d+"
    is_number = cells.str.fullmatch(number)
    is_number &= ~cells.str.fullmatch(rf"[-+]?{_grouped(sign)}")
    return (is_number | cells.str.fullmatch(rf"[-+]?{_grouped(thousands, 2)}")).sum()


def decimal_sign_of(rows: pd.DataFrame, names: Iterable[str], default: str) -> str:
    """Sign of the decimals in those columns of text that hold numbers."""
    texts = [rows[n] for n in names if rows[n].dtype.kind not in "iufb"]
    if not texts:
        return default
    cells = pd.concat([text.dropna()[:MAX_VALUES].astype("str") for text in texts])
    return decimal_sign(cells, default)


def numbers(column: pd.Series, decimal: str = ".") -> np.ndarray:
    """Float64 values of a column; NaN for what is no finite number."""
    if column.dtype.kind in "iuf":
        values = column.to_numpy(np.float64, na_value=np.nan)
    else:
        values = _parsed(column.astype("str"), decimal)
    # The square of a larger one is no number.
    return np.where(np.abs(values) < LARGEST, values, np.nan)


def _parsed(texts: pd.Series, decimal: str) -> np.ndarray:
    """Numbers in texts, with signs of thousands and units where they have them."""
    values = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if decimal == "." and not np.isnan(values[texts.notna().to_numpy()]).any():
        return values
    signs = re.escape(("." if decimal == "," else ",") + "'\u2019\u00a0\u202f ")
    cleaned = _bare(texts).str.replace(
        rf"^[-+]?{_grouped(f'[{signs}]')}(?!\d)",
        lambda match: re.sub(f"[{signs}]", "", match[0]),
        regex=True,
    )
    cleaned = cleaned.str.replace(decimal, ".", regex=False)
    return pd.to_numeric(cleaned, errors="coerce").to_numpy(np.float64, na_value=np.nan)


def _grouped(sign: str, at_least: int = 1) -> str:
    """Pattern of digits in groups of three, which do not begin with a zero."""
    return rf"[1-9]\d{{0,2}}(?:{sign}\d{{3}}){{{at_least},}}"


def _bare(texts: pd.Series) -> pd.Series:
    """Texts without units and space around."""
    texts = texts.str.strip().str.replace(UNIT_BEFORE, "", regex=True)
    return texts.str.replace(UNIT_BEHIND, "", regex=True).str.strip()
