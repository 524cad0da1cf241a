"""Training rows that are remembered, and the distance to the nearest of them."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core.gaussian import root_mean_square

MAX_ROWS = 4096
MAX_FLOATS = 2**22
BLOCK_ROWS = 512


def capacity(n_features: int) -> int:
    """Return how many rows are remembered, at most."""
    return max(2, min(MAX_ROWS, MAX_FLOATS // n_features))


def padded(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows filled up to the capacity, and half their squared norms.

    The shape then does not depend on the number of training rows. Padding has an
    infinite norm, so it is never nearest.
    """
    missing = capacity(rows.shape[1]) - len(rows)
    half_norms = np.square(rows).sum(axis=1) / 2
    return (
        np.pad(rows, ((0, missing), (0, 0))),
        np.pad(half_norms, (0, missing), constant_values=np.inf),
    )


def distance(u: Array, rows: Array, half_norms: Array) -> Array:
    """Root of the mean squared difference to the nearest of the padded rows."""
    nearest = jnp.argmin(half_norms - u @ rows.T, axis=1)
    # Not from the norms, whose difference loses the digits of small distances.
    return root_mean_square(u - rows[nearest])


def leave_one_out(rows: np.ndarray) -> np.ndarray:
    """Mean squared difference of each remembered row to the nearest other one."""
    half_norms = np.square(rows).sum(axis=1) / 2
    energies = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        cost = half_norms - block @ rows.T
        own = np.arange(len(block))
        cost[own, start + own] = np.inf
        difference = block - rows[cost.argmin(axis=1)]
        energies[start + own] = np.square(difference, dtype=np.float64).mean(axis=1)
    return energies
