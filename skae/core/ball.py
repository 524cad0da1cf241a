"""The ball that holds the training rows, in training standard deviations.

The network only ever sees rows inside of it. A row outside is projected onto the ball,
and the displacement is added to its energy. Without it an autoencoder can reconstruct
far-away rows perfectly, since ReLU networks are linear out there.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core import batching, gaussian
from skae.core.gaussian import TINY, Statistics, root_mean_square

NAMES = ("center", "scale", "radius")


def part(statistics: Statistics) -> Statistics:
    """Return the ball among other statistics."""
    return {name: statistics[name] for name in NAMES}


def distance(x: Array, statistics: Statistics) -> Array:
    """Distance of rows from the centre, in training deviations."""
    return root_mean_square(standardised(x, statistics))


def project(x: Array, distance: Array, statistics: Statistics) -> Array:
    """Pull rows outside the ball of the training rows onto its surface."""
    center, radius = statistics["center"], statistics["radius"]
    distance = distance[:, None]
    shrunk = center + (x - center) * (radius / jnp.maximum(distance, TINY))
    return jnp.where(distance <= radius, x, shrunk)


def standardised(x: Any, ball: Statistics) -> Any:
    """Rows in units of the ball: training deviations from the training mean."""
    return (x - ball["center"]) / ball["scale"]


def fit(X: np.ndarray, weight: np.ndarray) -> Statistics:
    """Centre, unit and radius of the ball that holds the rows.

    Columns without spread count in units of 1, as in scikit-learn's StandardScaler.
    """
    if batching.has_missing(X):
        return _ball_of_observed(X, weight)
    share = weight / weight.sum()

    def squared(part: slice) -> np.ndarray:
        difference = X[part] - center
        return np.asarray(np.square(difference, out=difference))

    parts = batching.cached_parts(*X.shape)
    center = sum(share[part] @ X[part].astype(np.float64) for part in parts)
    scale = np.sqrt(sum(share[part] @ squared(part) for part in parts))
    scale = _unit(scale, center)
    precision = 1 / (np.square(scale) * X.shape[1])
    farthest = max((squared(part) @ precision).max() for part in parts)
    return _as_ball(center, scale, farthest)


def _ball_of_observed(X: np.ndarray, weight: np.ndarray) -> Statistics:
    """Ball of rows with missing cells, which take the centre's values."""
    center, share = gaussian.moments(X.astype(np.float64), weight)
    squared = np.nan_to_num(np.square(X - center))
    scale = _unit(np.sqrt((share * squared).sum(axis=0)), center)
    farthest = (squared @ (1 / (np.square(scale) * X.shape[1]))).max()
    return _as_ball(center, scale, farthest)


def _unit(scale: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Replace the deviation of constant columns, which is rounding noise, by 1.

    Noise above 1, of huge numbers, stays: it would reach far in units of 1.
    """
    is_constant = (scale <= 1e-6 * np.abs(center)) | (scale < 1e-12)
    return np.where(is_constant, np.maximum(scale, 1.0), scale)


def _as_ball(center: np.ndarray, scale: np.ndarray, farthest: float) -> Statistics:
    return {
        "center": center.astype(np.float32),
        "scale": scale.astype(np.float32),
        "radius": np.float32(np.sqrt(farthest)),
    }
