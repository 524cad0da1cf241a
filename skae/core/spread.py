"""Where the columns of a table lie, before float32: far from zero, narrow or wide.

Float32 has some seven digits, so it cannot tell apart rows of a column that is far from
zero in its own deviations, such as times in seconds. What such columns hold is reduced
by a shift, in float64, before it is cast.
"""

from typing import Any, NamedTuple

import numpy as np

from skae.core import batching, gaussian
from skae.core.batching import Rows, Shifted
from skae.core.gaussian import Statistics

# What the shift is called among the statistics. Detectors without one have no shift.
SHIFT = "shift"

# Deviations from zero beyond which a column is shifted: float32 rounds values there by
# up to 1/4096 of a deviation.
FAR = 4096.0

# A deviation below this share of the mean is rounding noise, by the numbers' type.
NOISE = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-12}

# Rows that are looked at, at most: some 32 MB of numbers.
MAX_ROWS, MAX_FLOATS = 4096, 2**22


class Spread(NamedTuple):
    """Centre and standard deviation of each column, float64; 0 where it is constant."""

    center: np.ndarray
    scale: np.ndarray


def measure(rows: Rows) -> Spread:
    """Look at rows that are evenly spaced in the table."""
    n_rows, width = rows.X.shape
    n_seen = min(n_rows, max(2, min(MAX_ROWS, MAX_FLOATS // width)))
    chosen = np.linspace(0, n_rows - 1, n_seen).astype(np.intp)
    share = rows.weight[chosen] / rows.weight[chosen].sum()
    parts = [
        (chosen[part], share[part]) for part in batching.cached_parts(n_seen, width)
    ]
    looks = (_first_look(batching.dense(rows.X, few), share) for few, share in parts)
    with np.errstate(over="ignore", invalid="ignore"):
        lows, highs, sums, masses = zip(*looks, strict=True)
        noise = NOISE[lows[0].dtype]
        low = np.fmin.reduce(lows).astype(np.float64)
        high = np.fmax.reduce(highs).astype(np.float64)
        is_constant = ~(high - low > noise * np.maximum(np.abs(low), np.abs(high)))
        length = np.where(is_constant, 1.0, high - low)
        mass = np.maximum(sum(masses), gaussian.TINY)
        center = sum(sums) / mass
        squares = sum(
            share @ _squared(batching.dense(rows.X, few), center, length)
            for few, share in parts
        )
        scale = np.sqrt(squares / mass) * length
    # Beyond float64's range.
    scale = np.where(np.isinf(length), np.inf, scale)
    # Its own value leaves exactly nothing of a constant column.
    center = np.where(is_constant, high, center)
    return Spread(center, np.where(is_constant, 0.0, scale))


def _first_look(x: np.ndarray, share: np.ndarray) -> tuple[Any, ...]:
    """Extremes of columns, their weighted sums, and the weight of observed cells."""
    low, high, mass = np.fmin.reduce(x), np.fmax.reduce(x), share.sum()
    if batching.has_missing(x):
        mass, x = share @ ~np.isnan(x), np.where(np.isnan(x), 0.0, x)
    return low, high, share @ x.astype(np.float64, copy=False), mass


def _squared(x: np.ndarray, center: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Squared differences to the centre, in units of a length; 0 in missing cells."""
    difference = x - center
    difference /= length
    np.square(difference, out=difference)
    if batching.has_missing(x):
        difference[np.isnan(x)] = 0.0
    return difference


def shift_of(spread: Spread) -> Statistics:
    """Return the shift as a statistic of shape (1, d); nothing if none is needed."""
    unit = np.where(spread.scale > 0, spread.scale, 1.0)
    is_far = np.isfinite(spread.center) & (np.abs(spread.center) > FAR * unit)
    if not is_far.any():
        return {}
    return {SHIFT: np.where(is_far, spread.center, 0.0)[None]}


def shifted(X: Any, statistics: Statistics) -> Any:
    """Return the table less the shift, without a copy; as it is if there is none."""
    if SHIFT not in statistics:
        return X
    return Shifted(X, statistics[SHIFT][0])


def back(rows: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Return what the network makes of shifted rows, where they were."""
    if SHIFT not in statistics:
        return rows
    return rows + statistics[SHIFT][0]
