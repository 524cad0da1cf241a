"""NumPy side of the core: float32 rows, epoch plans and fixed, padded chunks.

No shape here follows the number of rows, so no compiled function sees it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

# Values beyond this are cut off: with it, squares of standardised values of the
# smallest scale that is divided by (1e-12) stay inside float32's range.
LARGEST = 1e25

CHUNK_FLOATS = 2**17
MAX_CHUNK_STEPS = 256
MIN_HEIGHT = 128


class Rows(NamedTuple):
    """Float32 rows (dense or CSR) and one weight for each."""

    X: Any
    weight: np.ndarray

    def select(self, rows: np.ndarray) -> "Rows":
        """Return the given rows and their weights."""
        return Rows(self.X[rows], self.weight[rows])


def as_float32(X: Any) -> Any:
    """Float32 copy or view of a dense array or CSR matrix, cut off at ``LARGEST``."""
    if hasattr(X, "tocsr"):
        X = X.tocsr().copy()
        X.data = as_float32(X.data)
        return X
    if X.dtype == np.float32 and (X.size == 0 or np.abs(X).max() <= LARGEST):
        return X
    return np.clip(X, -LARGEST, LARGEST).astype(np.float32)


def take(X: Any, rows: Any) -> np.ndarray:
    """Rows of a float32 array or CSR matrix, dense and contiguous."""
    if hasattr(X, "tocsr"):
        return X[rows].toarray()
    # Three times as fast as indexing, for row numbers.
    selected = X[rows] if isinstance(rows, slice) else np.take(X, rows, axis=0)
    return np.ascontiguousarray(selected)


def blocks(X: Any, height: int) -> Iterator[np.ndarray]:
    """Consecutive dense blocks of at most ``height`` rows."""
    for start in range(0, X.shape[0], height):
        yield take(X, slice(start, start + height))


def chunk_steps(batch_size: int, n_features: int) -> int:
    """Return the steps of one compiled training call: about half a megabyte of rows."""
    return int(np.clip(CHUNK_FLOATS // (batch_size * n_features), 1, MAX_CHUNK_STEPS))


def batch_height(n_rows: int, batch_size: int) -> int:
    """Compiled height of batches: ``batch_size``, but not far above the rows.

    Rounding up to powers of two, and never below the default batch size, keeps folds
    of a search on one height.
    """
    return min(batch_size, max(MIN_HEIGHT, 1 << (n_rows - 1).bit_length()))


def steps_per_epoch(n_rows: int, batch_size: int) -> int:
    """Return the number of batches that hold ``n_rows``."""
    return -(-n_rows // batch_size)


def split_rows(order: np.ndarray, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Deal rows into batches of nearly equal size, padded to ``batch_size``.

    Equal sizes keep a last batch of one row from moving the weights as much as a
    full one.

    Returns
    -------
    rows : ndarray of shape (n_batches, batch_size)
        Row numbers; 0 in padding.
    real : bool ndarray of shape (n_batches, batch_size)
        Where a row is no padding.
    """
    n_batches = steps_per_epoch(len(order), batch_size)
    sizes = np.full(n_batches, len(order) // n_batches)
    sizes[: len(order) % n_batches] += 1
    real = np.arange(batch_size) < sizes[:, None]
    rows = np.zeros((n_batches, batch_size), dtype=np.intp)
    rows[real] = order
    return rows, real


def chunks(
    rows: Rows, order: np.ndarray, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Batches in the given order as chunks of one fixed shape.

    Yields
    ------
    x : float32 ndarray of shape (steps, batch_size, n_features)
    weight : float32 ndarray of shape (steps, batch_size)
        0 for padding rows.
    n_used : int
        How many of the steps hold rows.
    """
    n_features = rows.X.shape[1]
    n_steps = chunk_steps(batch_size, n_features)
    dealt, real = split_rows(order, batch_size)
    for start in range(0, len(dealt), n_steps):
        chosen = dealt[start : start + n_steps]
        n_used = len(chosen)
        x = take(rows.X, chosen.ravel()).reshape(n_used, batch_size, n_features)
        weight = rows.weight[chosen] * real[start : start + n_steps]
        yield _padded(x, n_steps), _padded(weight, n_steps), n_used


def _padded(x: np.ndarray, n_steps: int) -> np.ndarray:
    """Return float32 ``x`` with zeros appended up to ``n_steps`` entries."""
    if len(x) == n_steps:
        return x.astype(np.float32, copy=False)
    result = np.zeros((n_steps, *x.shape[1:]), np.float32)
    result[: len(x)] = x
    return result
