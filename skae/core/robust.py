"""Rows that a Gaussian fits well: suspected outliers are left out."""

import numpy as np

from skae.core import gaussian

# What the names of the trusted Gaussian's statistics start with.
PREFIX = "robust_"

STEPS = 10

# Rows to concentrate on, at most: numbers in them, and rows where they are so wide
# that every step takes a low-rank covariance.
MAX_FLOATS = 2**22
MAX_WIDE_ROWS = 1024


def sample_size(n_features: int) -> int:
    """Return how many rows the concentration steps see, at most."""
    if n_features > gaussian.FULL_COVARIANCE_WIDTH:
        return MAX_WIDE_ROWS
    return MAX_FLOATS // n_features


def concentrate(v: np.ndarray, weight: np.ndarray, share: float) -> np.ndarray:
    """Return indices of the share of rows that a Gaussian of themselves fits best.

    Concentration steps as in FAST-MCD (Rousseeuw and Van Driessen, 1999): fit, keep
    the nearest rows, fit them again.
    """
    kept = np.arange(len(v))
    for _ in range(STEPS):
        previous = kept
        kept = nearest(v, gaussian.fit(v[kept], weight[kept]), share)
        if np.array_equal(kept, previous):
            break
    return kept


def nearest(v: np.ndarray, center: gaussian.Statistics, share: float) -> np.ndarray:
    """Return indices of the share of rows that a Gaussian fits best."""
    n_kept = max(2, round(share * len(v)))
    return np.sort(np.argsort(gaussian.energies(v, center), kind="stable")[:n_kept])
