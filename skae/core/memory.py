"""Training rows that are remembered, and the distance to the nearest of them."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core.gaussian import Statistics, root_mean_square

MAX_ROWS = 4096
MAX_FLOATS = 2**22
BLOCK_ROWS = 512
GROUP = 64

# Rows whose distances are computed at a time. What is known of them stays in the
# processor's cache, and few rows cost less than as many as could be remembered.
CHUNK_ROWS = 512


def capacity(n_features: int) -> int:
    """Return how many rows are remembered, at most."""
    n_rows = max(2, min(MAX_ROWS, MAX_FLOATS // n_features))
    return n_rows - n_rows % GROUP if n_rows > GROUP else n_rows


def in_chunks(rows: np.ndarray) -> Statistics:
    """Rows in chunks of one height, half their squared norms, and the chunks in use.

    The shapes do not depend on the number of rows. Where there are fewer, the first
    one is there again, which changes no distance.
    """
    height = min(CHUNK_ROWS, capacity(rows.shape[1]))
    n_chunks = -(-capacity(rows.shape[1]) // height)
    padded = np.repeat(rows[:1], n_chunks * height, axis=0)
    padded[: len(rows)] = rows
    half_norms = np.square(padded).sum(axis=1) / 2
    return {
        "memory": padded.reshape(n_chunks, height, -1),
        "norms": half_norms.reshape(n_chunks, height),
        "n_chunks": np.uint32(-(-len(rows) // height)),
    }


def nearest(u: Array, kept: Statistics, observed: Array | None = None) -> Array:
    """Return the nearest of rows :func:`in_chunks` to each row.

    Of rows with missing cells, the observed features count alone.
    """
    rows, half_norms = jnp.asarray(kept["memory"]), jnp.asarray(kept["norms"])

    def cost(i: Array) -> Array:
        if observed is None:
            return half_norms[i] - u @ rows[i].T
        seen = observed.astype(u.dtype)
        return seen @ (jnp.square(rows[i]) / 2).T - (seen * u) @ rows[i].T

    def lower(i: Array, lowest: Array) -> Array:
        return jnp.minimum(lowest, cost(i))

    # The lowest of each place of a chunk, in all chunks, needs no search of its own.
    lowest = jnp.full((len(u), rows.shape[1]), jnp.inf)
    lowest = jax.lax.fori_loop(jnp.uint32(0), kept["n_chunks"], lower, lowest)
    among = rows[:, _argmin(lowest)]
    differences = u - among
    if observed is not None:
        differences = jnp.where(observed, differences, 0.0)
    best = jnp.argmin(jnp.sum(jnp.square(differences), axis=-1), axis=0)
    return jnp.take_along_axis(among, best[None, :, None], axis=0)[0]


def distance(u: Array, kept: Statistics, observed: Array | None = None) -> Array:
    """Root of the mean squared difference to the nearest of rows :func:`in_chunks`."""
    # Not from the norms, whose difference loses the digits of small distances.
    return root_mean_square(u - nearest(u, kept, observed), observed)


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
