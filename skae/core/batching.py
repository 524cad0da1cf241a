"""NumPy side of the core: float32 rows, epoch plans and fixed, padded chunks.

No shape here follows the number of rows, so no compiled function sees it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

# Values beyond this are cut off: with it, squares of standardised values of the
# smallest scale that is divided by (1e-12) stay inside float32's range.
LARGEST = 1e25

# Numbers that are measured at a time: in the processor's cache, four times as fast as
# all of a table at once.
CACHED_FLOATS = 2**16

# Rows of a compiled training call: about half a megabyte of them. To hand over a call
# takes about as long as a step of a large batch, so there are some steps in each: with
# 32 instead of 8, a fit in batches of 512 x 30 takes 7 % less time.
CHUNK_FLOATS = 2**17
MAX_CHUNK_FLOATS = 2**19
USUAL_CHUNK_STEPS = 32
MAX_CHUNK_STEPS = 256
MIN_HEIGHT = 128

# A table of more numbers than this may not fit into memory, and rows in random order
# would be read from disk one by one. Runs of neighbouring rows are then read in random
# order, and shuffled in windows.
MAX_SHUFFLED_FLOATS = 2**30
RUN_ROWS = 256
WINDOW_ROWS = 2**20


class View(NamedTuple):
    """Some rows of a table, which is not copied: it may be larger than memory."""

    X: Any
    chosen: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return len(self.chosen), self.X.shape[1]


class Shifted(NamedTuple):
    """A table less a row of float64 numbers, taken off before the cast to float32."""

    X: Any
    shift: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return self.X.shape[0], self.X.shape[1]


class Rows(NamedTuple):
    """A table of any float type (array, CSR, view, shifted) and one weight a row."""

    X: Any
    weight: np.ndarray

    def select(self, rows: np.ndarray) -> "Rows":
        """Return the given rows and their weights."""
        is_constant = self.weight.strides == (0,)
        weight = self.weight[: len(rows)] if is_constant else self.weight[rows]
        if isinstance(self.X, View):
            return Rows(View(self.X.X, self.X.chosen[rows]), weight)
        return Rows(View(self.X, rows), weight)


def as_float32(X: np.ndarray) -> np.ndarray:
    """Float32 copy or view, cut off at ``LARGEST``; NaN stays."""
    with np.errstate(over="ignore"):
        X = X.astype(np.float32, copy=False)
    # The extremes of rows with NaN are NaN, which is inside nothing.
    if X.size and not (X.max() <= LARGEST and X.min() >= -LARGEST):
        return np.clip(X, -LARGEST, LARGEST)
    return X


def has_missing(X: np.ndarray) -> bool:
    """Whether a dense array holds NaN."""
    return bool(X.size and np.isnan(X.max()))


def dense(X: Any, rows: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Rows of a table as they are, dense; in ``out``, where that is faster."""
    if isinstance(X, View):
        return dense(X.X, X.chosen[rows], out)
    if isinstance(X, Shifted):
        return dense(X.X, rows) - X.shift
    if hasattr(X, "tocsr"):
        selected: np.ndarray = X[rows].toarray()
        return selected
    if isinstance(rows, slice):
        return np.asarray(X[rows])
    # Three times as fast as indexing. The mode is needed to write to ``out``.
    into = out if X.dtype == np.float32 else None
    return np.take(X, rows, axis=0, out=into, mode="clip")


def take(X: Any, rows: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Rows of a table, float32, dense and contiguous."""
    selected = np.ascontiguousarray(as_float32(dense(X, rows, out)))
    if out is None or selected is out:
        return selected
    out[:] = selected
    return out


def blocks(X: Any, height: int) -> Iterator[np.ndarray]:
    """Consecutive dense blocks of at most ``height`` rows."""
    for start in range(0, X.shape[0], height):
        yield take(X, slice(start, start + height))


def cached_parts(n_rows: int, width: int) -> list[slice]:
    """Consecutive rows that fit into the processor's cache together."""
    height = max(1, CACHED_FLOATS // width)
    return [slice(start, start + height) for start in range(0, n_rows, height)]


def row_numbers(n_rows: int) -> np.ndarray:
    """0 to ``n_rows`` - 1 in four bytes each where they fit."""
    return np.arange(n_rows, dtype=np.int32 if n_rows < 2**31 else np.int64)


def permutation(n_rows: int, generator: np.random.Generator) -> np.ndarray:
    """Row numbers in random order."""
    order = row_numbers(n_rows)
    generator.shuffle(order)
    return order


def shuffled(
    n_rows: int, n_features: int, generator: np.random.Generator
) -> np.ndarray:
    """Row numbers in random order, or nearly so for tables beyond memory."""
    if n_rows * n_features <= MAX_SHUFFLED_FLOATS:
        return permutation(n_rows, generator)
    runs = np.array_split(row_numbers(n_rows), -(-n_rows // RUN_ROWS))
    order = np.concatenate([runs[i] for i in generator.permutation(len(runs))])
    for start in range(0, n_rows, WINDOW_ROWS):
        generator.shuffle(order[start : start + WINDOW_ROWS])
    return order


def chunk_steps(batch_size: int, n_features: int) -> int:
    """Return the steps of one compiled training call."""
    floats = batch_size * n_features
    wanted = min(USUAL_CHUNK_STEPS, MAX_CHUNK_FLOATS // floats)
    return int(np.clip(max(wanted, CHUNK_FLOATS // floats), 1, MAX_CHUNK_STEPS))


def batch_height(n_rows: int, batch_size: int) -> int:
    """Compiled height of batches: ``batch_size``, but not far above the rows.

    Rounding up to powers of two, and never below the default batch size, keeps folds
    of a search on one height.
    """
    return min(batch_size, max(MIN_HEIGHT, 1 << (n_rows - 1).bit_length()))


def steps_per_epoch(n_rows: int, batch_size: int) -> int:
    """Return the number of batches that hold ``n_rows``."""
    return -(-n_rows // batch_size)


def chunks_per_epoch(X: Any, batch_size: int) -> int:
    """Compiled calls that an epoch takes."""
    n_rows, n_features = X.shape
    return -(
        -steps_per_epoch(n_rows, batch_size) // chunk_steps(batch_size, n_features)
    )


def batch_starts(n_rows: int, batch_size: int) -> np.ndarray:
    """Where batches of nearly equal size start, and where the last one ends.

    Equal sizes keep a last batch of one row from moving the weights as much as a
    full one.
    """
    n_batches = steps_per_epoch(n_rows, batch_size)
    number = np.arange(n_batches + 1)
    return number * (n_rows // n_batches) + np.minimum(number, n_rows % n_batches)


def chunks(
    rows: Rows, order: np.ndarray, batch_size: int, n_epochs: int = 1
) -> Iterator[tuple[np.ndarray, np.ndarray, np.uint32]]:
    """Batches in the given order, that of all epochs, as chunks of one fixed shape.

    Yields
    ------
    x : float32 ndarray of shape (steps, batch_size, n_features)
    weight : float32 ndarray of shape (steps, batch_size)
        0 for padding rows.
    n_used : uint32
        How many of the steps hold rows.
    """
    n_features = rows.X.shape[1]
    n_steps = chunk_steps(batch_size, n_features)
    n_rows = len(order) // n_epochs
    within = batch_starts(n_rows, batch_size)
    begins = np.arange(n_epochs)[:, None] * n_rows
    starts = np.append(begins + within[:-1], len(order))
    for first in range(0, len(starts) - 1, n_steps):
        bounds = starts[first : first + n_steps + 1]
        dealt = order[bounds[0] : bounds[-1]]
        n_used = np.uint32(len(bounds) - 1)
        real = np.arange(batch_size) < np.diff(bounds)[:, None]
        # Padding repeats row 0, at weight 0.
        chosen = np.zeros((n_used, batch_size), order.dtype)
        chosen[real] = dealt
        x = np.zeros((n_steps, batch_size, n_features), np.float32)
        take(rows.X, chosen.ravel(), out=x[:n_used].reshape(-1, n_features))
        weight = np.zeros((n_steps, batch_size), np.float32)
        weight[:n_used][real] = rows.weight[dealt]
        yield x, weight, n_used
