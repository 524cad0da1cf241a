"""From errors of features to the names of the worst."""

from collections.abc import Sequence

import numpy as np


def worst_features(errors: np.ndarray, n_features: int) -> np.ndarray:
    """Return the columns of the largest errors of each row, the largest first.

    NaN comes last, and equal errors keep the order of the columns.
    """
    return np.argsort(-errors, axis=1, kind="stable")[:, :n_features]


def name_features(
    errors: np.ndarray, names: Sequence[str], n_features: int
) -> list[list[tuple[str, float]]]:
    """For each row, names and errors of the worst features that are not missing."""
    return [
        [(str(names[j]), float(row[j])) for j in ranked if not np.isnan(row[j])]
        for row, ranked in zip(errors, worst_features(errors, n_features), strict=True)
    ]
