"""Training rows that are remembered, and the distance to the nearest of them."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core.gaussian import root_mean_square

MAX_ROWS = 4096
MAX_FLOATS = 2**22
BLOCK_ROWS = 512
GROUP = 64


def capacity(n_features: int) -> int:
    """Return how many rows are remembered, at most."""
    n_rows = max(2, min(MAX_ROWS, MAX_FLOATS // n_features))
    return n_rows - n_rows % GROUP if n_rows > GROUP else n_rows


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


def nearest(
    u: Array, rows: Array, half_norms: Array, observed: Array | None = None
) -> Array:
    """Return the nearest of the padded rows to each row.

    Of rows with missing cells, the observed features count alone.
    """
    if observed is None:
        cost = half_norms - u @ rows.T
    else:
        seen = observed.astype(u.dtype)
        cost = seen @ (jnp.square(rows) / 2).T - (seen * u) @ rows.T
        cost = jnp.where(jnp.isinf(half_norms), jnp.inf, cost)
    return rows[_argmin(cost)]


def distance(
    u: Array, rows: Array, half_norms: Array, observed: Array | None = None
) -> Array:
    """Root of the mean squared difference to the nearest of the padded rows."""
    # Not from the norms, whose difference loses the digits of small distances.
    return root_mean_square(u - nearest(u, rows, half_norms, observed), observed)


def _argmin(cost: Array) -> Array:
    """Index of the lowest cost in each row, in two levels.

    XLA finds minima six times as fast as their indices on a CPU, so indices are
    sought among the minima of groups and in one group alone.
    """
    group = math.gcd(cost.shape[1], GROUP)
    groups = cost.reshape(cost.shape[0], -1, group)
    best = jnp.argmin(groups.min(axis=2), axis=1)
    within = jnp.take_along_axis(groups, best[:, None, None], axis=1)[:, 0]
    return best * group + jnp.argmin(within, axis=1)


def squares_left_out(rows: np.ndarray, few: slice) -> np.ndarray:
    """Squared differences of some remembered rows to the nearest other one."""
    block = rows[few]
    cost = np.square(rows).sum(axis=1) / 2 - block @ rows.T
    np.fill_diagonal(cost, np.inf)
    difference = block - rows[cost.argmin(axis=1)]
    return np.square(difference, dtype=np.float64)


def leave_one_out(rows: np.ndarray, observed: np.ndarray | None = None) -> np.ndarray:
    """Mean squared difference of each remembered row to the nearest other one.

    Where ``observed`` is given, only the cells count that are observed in the row.
    """
    half_squares = np.square(rows) / 2
    half_norms = half_squares.sum(axis=1)
    energies = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        seen: Any = True
        if observed is None:
            cost = half_norms - block @ rows.T
        else:
            seen = observed[start : start + BLOCK_ROWS]
            cost = seen @ half_squares.T - (seen * block) @ rows.T
        own = np.arange(len(block))
        cost[own, start + own] = np.inf
        squared = np.square(block - rows[cost.argmin(axis=1)], dtype=np.float64)
        energies[start + own] = squared.mean(axis=1, where=seen)
    return energies
