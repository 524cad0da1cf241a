"""Checks of parameters and weights, with messages in scikit-learn's form."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.utils import (
    check_array,
    check_random_state,
    column_or_1d,
)

from skae._ranges import Range, Registered

# Weights below this share of the largest count as much.
SMALLEST_WEIGHT = 1e-12

# Rows that are looked at in one go.
BLOCK_ROWS = 4096


def refused(name: str, wanted: str, value: Any, owner: str) -> ValueError:
    """Error that names a parameter, its value and what was wanted."""
    return ValueError(
        f"The {name!r} parameter of {owner} must be {wanted}. Got {value!r} instead."
    )


def generator_of(random_state: Any) -> np.random.RandomState:
    """Return a seed's generator; None has fresh entropy, not NumPy's global one."""
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def check_range(name: str, value: Any, allowed: Range, owner: str) -> None:
    """Refuse a value that the range of its parameter does not accept."""
    if not allowed.accepts(value):
        raise refused(name, allowed.wanted(value), value, owner)


def check_ranges(
    instance: Any,
    values: Mapping[str, Any],
    choices: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Refuse values out of the ranges in the ``_ranges`` of an instance.

    ``choices`` maps the names of parameters that select from a registry to it.
    """
    for name, allowed in instance._ranges.items():
        if isinstance(allowed, Registered):
            allowed = allowed.among((choices or {})[name])
        check_range(name, values[name], allowed, type(instance).__name__)


def check_labels(y: Any, name: str = "y") -> np.ndarray:
    """Labels as ints, +1 for inliers and -1 for outliers; others are refused."""
    if y is None:
        raise ValueError(
            f"{name} is needed: +1 for inliers, -1 for outliers. Got None."
        )
    labels = column_or_1d(y, input_name=name)
    valid = (labels == 1) | (labels == -1)
    if labels.dtype.kind == "b" or not np.all(valid):
        found = list(dict.fromkeys(map(repr, labels[:1000].tolist())))
        more = ", ..." if len(found) > 5 else ""
        raise ValueError(
            f"{name} must hold +1 for inliers and -1 for outliers. Got "
            f"{', '.join(found[:5])}{more}. Where 1 marks outliers and 0 inliers, pass "
            f"np.where({name} == 1, -1, 1)."
        )
    return labels.astype(np.int64)


def check_scores(scores: Any) -> np.ndarray:
    """Scores as float64; infinite ones are fine, NaN and none at all are not."""
    scores = check_array(
        column_or_1d(scores, input_name="scores"),
        ensure_2d=False,
        dtype=np.float64,
        ensure_all_finite=False,
        input_name="scores",
    )
    if np.isnan(scores).any():
        raise ValueError(
            f"scores must be numbers. Got NaN for {np.isnan(scores).sum()} rows."
        )
    return scores


def worded(error: ValueError, X: Any) -> ValueError:
    """Return the error of a table that scikit-learn refuses, or one that helps more."""
    if str(error).startswith("Input X contains NaN"):
        # scikit-learn would recommend other estimators.
        return ValueError(
            "Input X contains NaN. With missing='mask' these are missing cells."
        )
    is_text = str(error).startswith("could not convert string to float")
    found = next(_texts(X), None) if is_text else None
    if found is None:
        return error
    name, value = found
    return ValueError(
        f"Column {name!r} of X holds text, such as {value!r:.40}. Encode it first: by "
        "a OneHotEncoder in a ColumnTransformer, say."
    )


def _texts(X: Any) -> Iterator[tuple[Any, Any]]:
    """Names of columns and their values that are no numbers, column by column."""
    table = np.asarray(X, dtype=object)
    names = getattr(X, "columns", range(table.shape[1]))
    for name, column in zip(names, table.T, strict=True):
        for value in column:
            try:
                float(value)
            except (TypeError, ValueError):
                yield name, value


def check_observed(X: Any) -> None:
    """Refuse a table, of which cells may be NaN, with a row of nothing else."""
    for start in range(0, X.shape[0], BLOCK_ROWS):
        block = X[start : start + BLOCK_ROWS]
        if issparse(block):
            cells = np.isnan(block.data), block.indices, block.indptr
            missing = csr_array(cells, shape=block.shape)
            n_missing = missing.sum(axis=1)
        else:
            n_missing = np.isnan(block).sum(axis=1)
        empty = np.flatnonzero(n_missing == X.shape[1])
        if len(empty):
            raise ValueError(
                f"Each row of X needs an observed cell. Row {start + empty[0]} has NaN "
                "in all."
            )


def check_sample_weight(sample_weight: Any, X: Any) -> np.ndarray:
    """Float64 weights: finite, not negative, of mean 1 where positive."""
    if sample_weight is None:
        # All the same: one number in memory.
        return np.broadcast_to(1.0, X.shape[0])
    if np.isscalar(sample_weight):
        raise ValueError(f"sample_weight must be 1D array. Got {sample_weight!r}.")
    weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weight.ndim != 1:
        raise ValueError(f"sample_weight must be 1D array. Got {weight.ndim}D array.")
    if len(weight) != X.shape[0]:
        raise ValueError(
            f"sample_weight must have a weight for each of the {X.shape[0]} rows. "
            f"Got {len(weight)}."
        )
    if (weight < 0).any():
        raise ValueError(
            f"Negative values in sample_weight: got a minimum of {weight.min()}, "
            f"wanted values >= 0."
        )
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    # By the largest first, so that neither tiny nor huge weights leave float64's range;
    # what is next to nothing beside it, or would be 0 in float32, is as little.
    weight = weight / weight.max()
    weight = np.where(weight > 0, np.maximum(weight, SMALLEST_WEIGHT), 0.0)
    return weight / weight[weight > 0].mean()
