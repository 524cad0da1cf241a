"""Dask collections: their partitions, and results beside them."""

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
from dask.base import is_dask_collection

from skae.dask._tasks import Alike

WANTED = "a Dask array with rows in chunks, or a Dask data frame"


def partitions_of(X: Any, name: str = "X", n_dim: int = 2) -> list[Any]:
    """Delayed partitions of a collection."""
    if isinstance(X, da.Array):
        if X.ndim != n_dim:
            raise ValueError(f"{name} must be {n_dim}D. Got {X.ndim}D.")
        return list(_by_rows(X).to_delayed().ravel())
    if is_frame(X):
        return list(X.to_delayed())
    raise TypeError(
        f"{name} must be {WANTED}. Got {type(X).__name__}. What fits into memory is "
        "for skae.AutoencoderOutlierDetector."
    )


def is_frame(X: Any) -> bool:
    """Whether a collection is a data frame or series of Dask's."""
    return is_dask_collection(X) and hasattr(X, "map_partitions")


def _by_rows(X: da.Array) -> da.Array:
    """Array whose chunks hold whole rows."""
    return X if X.ndim == 1 or X.numblocks[1] == 1 else X.rechunk({1: -1})


def mapped(
    X: Any, function: Callable[[Any], np.ndarray], dtype: Any, names: Any = None
) -> Any:
    """Lazy results of a function of rows, partition by partition, in X's kind.

    One number for each row; or, with ``names``, one for each of these.
    """
    function = Alike(function)
    if is_frame(X):
        import pandas as pd

        index = X._meta.index[:0]
        if names is None:
            meta: Any = pd.Series([], dtype=dtype, index=index)
        else:
            meta = pd.DataFrame(columns=names, dtype=dtype, index=index)
        return X.map_partitions(_of_frame, function, dtype, names, meta=meta)
    if not isinstance(X, da.Array):
        raise TypeError(f"X must be {WANTED}. Got {type(X).__name__}.")
    X = _by_rows(X)
    width = 1 if names is None else len(names)
    if names is None:
        return X.map_blocks(
            _of_array, function, dtype, width, drop_axis=1, meta=np.empty(0, dtype)
        )
    return X.map_blocks(
        _of_array,
        function,
        dtype,
        width,
        chunks=(X.chunks[0], (width,)),
        meta=np.empty((0, width), dtype),
    )


def _of_array(X: Any, function: Any, dtype: Any, width: int) -> np.ndarray:
    if not X.shape[0]:
        return np.empty((0, width) if width > 1 else 0, dtype)
    return function(X)


def _of_frame(X: Any, function: Any, dtype: Any, names: Any) -> Any:
    import pandas as pd

    if names is None:
        return pd.Series(function(X) if len(X) else [], dtype=dtype, index=X.index)
    found = function(X) if len(X) else np.empty((0, len(names)))
    return pd.DataFrame(found, columns=names, dtype=dtype, index=X.index)
