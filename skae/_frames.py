"""Data frames out where data frames came in."""

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.stable.v2.dependencies import is_pandas_dataframe


def like_frame(values: np.ndarray, X: Any, names: list[str] | None = None) -> Any:
    """Return ``values`` as a data frame of the kind, names and index of ``X``.

    ``names`` are those of the columns where they differ from those of ``X``. Where
    ``X`` is no data frame, ``values`` come back as they are.
    """
    if is_pandas_dataframe(X):
        # Its names may be of any type.
        columns = X.columns
        if names is not None and list(map(str, columns)) != names:
            columns = names
        return type(X)(values, index=X.index, columns=columns)
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return values
    backend = frame.implementation
    names = names or frame.columns
    return nw.from_numpy(values, schema=names, backend=backend).to_native()
