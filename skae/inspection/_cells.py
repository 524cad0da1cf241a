"""Cells of rows as they enter an estimator, and what inputs mean in their units."""

import warnings
from datetime import datetime
from functools import cache
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.stable.v2.dependencies import is_pandas_dataframe

from skae._parts import entering
from skae._tracing import endings, names_in

# Values of a column that are tried to find the one behind an input: both signs.
MAGNITUDES = np.logspace(-6, 12, 541)
TRIED = np.r_[-MAGNITUDES[::-1], 0.0, MAGNITUDES]

# Digits of what is expected, and of where it differs from what is there.
DIGITS = 2

# What scikit-learn calls the rare values that it takes together.
RARE = "infrequent_sklearn"

# Parts of dates, by the last word of what encoders call them.
PARTS = {part: part for part in ("year", "month", "day", "hour", "weekday")}


class Cells:
    """Values of rows by column, and what was expected in their place.

    ``names`` and ``column`` are those that :func:`skae._tracing.trace` found.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        inputs: np.ndarray,
        names: list[str],
        column: np.ndarray,
        transformers: list[Any],
    ) -> None:
        if not is_pandas_dataframe(X):
            frame = nw.from_native(X, eager_only=True, pass_through=True)
            if isinstance(frame, nw.DataFrame):
                X = frame.to_pandas()
            else:
                X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
        self.X, self.inputs, self.names, self.column = X, inputs, names, column
        self.transformers, self.is_frame = transformers, is_pandas_dataframe(X)
        entered = names_in(estimator, X)
        if self.is_frame:
            entered = list(map(str, X.columns))
        self.place = {name: i for i, name in enumerate(entered)}
        self.endings = endings(transformers, len(entered))
        self.behind = cache(self._behind)

    def value(self, i: int, j: int) -> Any:
        """Value of a cell, or of the only input of a column that a transformer made."""
        place = self.place.get(self.names[j])
        if place is None:
            (own,) = np.flatnonzero(self.column == j)
            return float(self.inputs[i, own])
        value = self.X.iloc[i, place] if self.is_frame else self.X[i, place]
        is_number = isinstance(value, (np.number, np.bool_))
        return value.item() if is_number else value

    def expected(self, i: int, j: int, mended: np.ndarray) -> str:
        """Say what stands in a mended row; empty where nobody knows."""
        own, value = np.flatnonzero(self.column == j), self.value(i, j)
        row = self.inputs[i, own]
        if len(own) > 1:
            return self._of_several(own, value, row, mended[own])
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return ""
        number = float(mended[own[0]])
        if self.names[j] in self.place and self.transformers:
            number = self._in_units(j, int(own[0]), number)
        return f"about {rounded(number, value)}" if np.isfinite(number) else ""

    def _of_several(
        self, own: np.ndarray, value: Any, row: np.ndarray, mended: np.ndarray
    ) -> str:
        """Say which category was expected, or which part of a date is another."""
        if not self.endings:
            return ""
        if isinstance(value, datetime):
            part = self.endings[own[np.abs(row - mended).argmax()]]
            return f"another {PARTS.get(part.split('_')[-1], 'time')}"
        if np.count_nonzero(row) == 1:
            ending = self.endings[own[mended.argmax()]]
            return "a rare value" if ending == RARE else ending
        return ""

    def _in_units(self, j: int, own: int, number: float) -> float:
        """Value of a column that becomes this number; NaN where it is not one."""
        known, values = self.behind(j, own)
        return float(np.interp(number, known, values)) if len(known) else np.nan

    def _behind(self, j: int, own: int) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs that values of a column become, ascending, and the values.

        Nothing where the order of the values is not kept.
        """
        for values in (TRIED, MAGNITUDES):
            try:
                known = self._become(self.place[self.names[j]], values)[:, own]
            except (ValueError, TypeError):
                # A logarithm, say, of what is not positive.
                continue
            fine = np.isfinite(known)
            known, values = known[fine], values[fine]
            if len(known) and known[0] > known[-1]:
                known, values = known[::-1], values[::-1]
            if len(known) > 1 and (np.diff(known) >= 0).all():
                return known, values
        return np.empty(0), np.empty(0)

    def _become(self, place: int, values: np.ndarray) -> np.ndarray:
        """Make inputs of the detector from a row whose column has these values."""
        first = np.zeros(len(values), int)
        if self.is_frame:
            rows = self.X.iloc[first].copy()
            rows.isetitem(place, values)
        else:
            rows = self.X[first].astype(float)
            rows[:, place] = values
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Of values that no column ever has.
            warnings.simplefilter("ignore")
            made = entering(self.transformers, rows)
        made = made.toarray() if hasattr(made, "toarray") else made
        return np.asarray(made, dtype=np.float64)


def rounded(number: float, value: float) -> str:
    """Round a number as people do who compare it with a value."""
    if float(value).is_integer() and abs(number) >= 1:
        number = float(round(number))
    finest = min(size for size in (abs(number), abs(number - value), np.inf) if size)
    if not np.isfinite(finest):
        return as_text(number)
    decimals = DIGITS - 1 - int(np.floor(np.log10(finest)))
    return as_text(round(number, decimals))


def as_text(value: Any) -> str:
    """Text of a cell; numbers without needless digits."""
    # Not equal to itself: of NumPy, and of dates.
    if value is None or type(value).__name__ == "NAType" or value != value:
        return "missing"
    if isinstance(value, datetime):
        return str(value).removesuffix(" 00:00:00")
    if isinstance(value, float):
        plain = f"{value:.12g}"
        return plain if "e" not in plain else f"{value:.3g}"
    return str(value)
