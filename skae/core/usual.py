"""What the statistics of a fitted detector tell of its training rows."""

import numpy as np

from skae.core import spread
from skae.core.gaussian import Statistics
from skae.core.scores.combining import NOISE_FLOOR

# Usual errors below this share of their mean count as this much: a feature that is
# always restored exactly would make every other row infinitely abnormal.
ERROR_FLOOR = 1e-3


def errors(statistics: Statistics) -> np.ndarray:
    """Mean squared residual of each feature, more than noise."""
    usual = statistics["feature_error"].mean(axis=0)
    noise = NOISE_FLOOR * np.square(statistics["scale"][0], dtype=np.float64)
    return np.maximum(np.maximum(usual, ERROR_FLOOR * usual.mean()), noise)


def row(statistics: Statistics) -> np.ndarray:
    """Mean of each feature, in float64."""
    center = statistics["center"][0].astype(np.float64)
    return spread.back(center, statistics)


def remembered(statistics: Statistics) -> np.ndarray | None:
    """Rows that the first member compares with, in float64; None where none does."""
    if "memory" not in statistics:
        return None
    center, scale = statistics["center"][0], statistics["scale"][0].astype(np.float64)
    return spread.back(center + statistics["memory"][0] * scale, statistics)
