"""Gaussians with full covariance: fitted by NumPy, evaluated by NumPy and by JAX.

Of rows with missing cells the observed ones count: the distance is the smallest that
any values in place of the missing ones would give, which is that of the marginal
Gaussian of the observed features.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Statistics = dict[str, Any]

# Wider rows than this get a low-rank covariance plus a constant for the remaining
# directions: memory and time stay linear in the width.
FULL_COVARIANCE_WIDTH = 1024
LOW_RANK = 512
LOW_RANK_ROWS = 2048

# Share of the mean variance that is added to every direction of a covariance.
RIDGE = 1e-2

# Variance below this share of the mean square is rounding noise: there is none.
NOISE = 1e-12

# Of the smallest deviation that columns are scaled by. Without it, rows of less are as
# many deviations away as float32 has no numbers for.
LEAST_VARIANCE = 1e-24

TINY = 1e-30

# What rows are divided by is at least this. Compilers may multiply it by the scale that
# rows were divided by before, of at least 1e-12: both together are a normal float32.
LEAST = 1e-25

# Rows that statistics are estimated from, at most, and numbers in them (in float64
# they take 128 MB).
MAX_ROWS = 20_000
MAX_FLOATS = 2**24

# Steps of the conjugate gradients that complete rows.
COMPLETION_STEPS = 32


def root_mean_square(x: Array, observed: Array | None = None) -> Array:
    """Root of the mean square over the last axis, without overflow in float32.

    The mean is that of the observed cells, where they are given.
    """
    return root_mean_squares(x, observed=observed)


def root_mean_squares(*parts: Array, observed: Array | None = None) -> Array:
    """Root of the summed mean squares of arrays of one shape, as above."""
    if observed is not None:
        parts = tuple(jnp.where(observed, x, 0.0) for x in parts)
        return root_mean_squares(*parts) * in_observed(observed)
    largest = functools.reduce(jnp.maximum, map(jnp.abs, parts))
    largest = jnp.maximum(jnp.max(largest, axis=-1, keepdims=True), LEAST)
    squares = sum(jnp.square(x / largest) for x in parts)
    return largest[..., 0] * jnp.sqrt(jnp.mean(squares, axis=-1))


def in_observed(observed: Array) -> Array:
    """Root of the share of all cells in the observed ones, of each row."""
    n_observed = jnp.sum(observed, axis=-1, dtype=jnp.float32)
    return jnp.sqrt(observed.shape[-1] / n_observed)


def n_rows(width: int) -> int:
    """Rows that a covariance is estimated from, at most."""
    return min(MAX_ROWS, MAX_FLOATS // width)


def part(statistics: Statistics, prefix: str) -> Statistics:
    """Statistics whose names start with ``prefix``, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in statistics.items()
        if name.startswith(prefix)
    }


def moments(v: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each feature, and share of each cell in the weight of its feature.

    The shares are of shape (n, 1) if all cells are observed, else (n, d). A feature
    without observed cells has the mean 0.
    """
    share = weight / weight.sum()
    mean = share @ v
    if not np.isnan(mean).any():
        return mean, share[:, None]
    cells = np.where(np.isnan(v), 0.0, weight[:, None])
    cells /= np.maximum(cells.sum(axis=0), TINY)
    return (cells * np.nan_to_num(v)).sum(axis=0), cells


def fit(v: np.ndarray, weight: np.ndarray) -> Statistics:
    """Mean and eigendecomposition of the covariance, with a ridge.

    Wide rows keep the leading directions only and one variance for the rest
    (probabilistic PCA; Tipping and Bishop, 1999).

    The covariance of two features is that of the rows in which both are observed. In
    wide tables it is smaller, by about the share of such rows.
    """
    mean, share = moments(v, weight)
    width = v.shape[1]
    is_wide = width > FULL_COVARIANCE_WIDTH
    if is_wide:
        v, weight = v[:LOW_RANK_ROWS], weight[:LOW_RANK_ROWS]
        _, share = moments(v, weight)
    has_missing = share.shape[1] > 1
    weighted = (v - mean) * np.sqrt(share)
    if has_missing:
        weighted = np.nan_to_num(weighted)
    if is_wide:
        variances, left = np.linalg.eigh(weighted @ weighted.T)
        # Few rows tell next to nothing about the smaller of the variances.
        rank = max(1, min(LOW_RANK, len(v) // 4))
        variances, left = variances[-rank:], left[:, -rank:]
        vectors = weighted.T @ left
        vectors /= np.maximum(np.linalg.norm(vectors, axis=0), TINY)
        # Rounding noise has no direction.
        vectors[:, variances <= 1e-10 * variances[-1]] = 0.0
    else:
        rank = width
        covariance = weighted.T @ weighted
        if has_missing:
            covariance *= _overlap(~np.isnan(v), weight)
        variances, vectors = np.linalg.eigh(covariance)
    total = np.square(weighted).sum()
    has_spread = total > max(NOISE * np.square(mean).sum(), TINY)
    ridge = max(RIDGE * total / width, LEAST_VARIANCE) if has_spread else 1.0
    rest = max(total - variances.sum(), 0.0) / max(width - rank, 1)
    statistics = {
        "mean": mean,
        "components": vectors.T,
        "precision_root": 1 / np.sqrt(np.maximum(variances, 0.0) + ridge),
        "rest_root": 1 / np.sqrt(rest + ridge),
    }
    return {name: np.asarray(s, dtype=np.float32) for name, s in statistics.items()}


def _overlap(observed: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Root of the product of two features' weights over that of their common rows."""
    each = (observed * weight[:, None]).sum(axis=0)
    both = (observed * weight[:, None]).T @ observed
    root = np.sqrt(each[:, None] * each)
    return np.divide(root, both, out=np.zeros_like(root), where=both > 0)


def shapes(n_components: int, width: int) -> dict[str, tuple[int, ...]]:
    """Shapes that :func:`fit` gives for rows of a width; wide ones have any rank."""
    is_wide = width > FULL_COVARIANCE_WIDTH
    rank = min(n_components, LOW_RANK) if is_wide else width
    return {
        "mean": (width,),
        "components": (rank, width),
        "precision_root": (rank,),
        "rest_root": (),
    }


def distance(v: Array, gaussian: Statistics, observed: Array | None = None) -> Array:
    """Root of the mean squared whitened coordinate of already centred rows.

    Rows narrower than the covariance are zero in what they lack.
    """
    components = gaussian["components"]
    rank, width = components.shape
    n_lacking = width - v.shape[1]
    if observed is not None:
        lacking = ((0, 0), (0, n_lacking))
        v, n_lacking = jnp.pad(v, lacking), 0
        observed = jnp.pad(observed, lacking, constant_values=True)
        v = complete(v, observed, gaussian)
    coordinates = v @ components[:, : v.shape[1]].T
    result = root_mean_square(coordinates * gaussian["precision_root"])
    result = result * jnp.sqrt(rank / width)
    if rank < width:
        v = jnp.pad(v, ((0, 0), (0, n_lacking)))
        rest = (v - coordinates @ components) * gaussian["rest_root"]
        result = jnp.hypot(result, root_mean_square(rest))
    return result if observed is None else result * in_observed(observed)


def _descend(
    carry: tuple[Any, ...], free: Any, gaussian: Statistics
) -> tuple[Any, ...]:
    """One step of conjugate gradients, down the squared distance."""
    v, residual, direction, square = carry
    downhill = free * _precise(direction, gaussian)
    # Finished rows have no direction left, and stay.
    length = square / ((direction * downhill).sum(axis=-1, keepdims=True) + TINY)
    v = v + length * direction
    residual = residual - length * downhill
    new = (residual * residual).sum(axis=-1, keepdims=True)
    return v, residual, residual + new / (square + TINY) * direction, new


def _precise(v: Any, gaussian: Statistics) -> Any:
    """Product with the inverse covariance."""
    components, root = gaussian["components"], gaussian["precision_root"]
    coordinates = v @ components.T
    product = (coordinates * root**2) @ components
    if len(components) < v.shape[1]:
        rest = v - coordinates @ components
        product = product + rest * gaussian["rest_root"] ** 2
    return product


def conditional(v: Any, gaussian: Statistics) -> Any:
    """Squares of centred cells given the others of their row, over their variance."""
    components, root = gaussian["components"], gaussian["precision_root"]
    diagonal = ((components * root[:, None]) ** 2).sum(axis=0)
    if len(components) < v.shape[1]:
        rest = 1 - (components**2).sum(axis=0)
        diagonal = diagonal + rest * gaussian["rest_root"] ** 2
    return _precise(v, gaussian) ** 2 / diagonal


def _start(v: Any, free: Any, gaussian: Statistics) -> tuple[Any, ...]:
    residual = -free * _precise(v, gaussian)
    return v, residual, residual, (residual * residual).sum(axis=-1, keepdims=True)


def _in_units(gaussian: Statistics, xp: Any) -> Statistics:
    """Precision in units near its largest, whose squares stay inside float32.

    The units are powers of two, so that nothing is rounded.
    """
    names = ("precision_root", "rest_root")
    largest = xp.maximum(*(xp.max(gaussian[name]) for name in names))
    unit = largest / xp.frexp(largest)[0]
    return gaussian | {name: gaussian[name] / unit for name in names}


def complete(v: Array, observed: Array, gaussian: Statistics) -> Array:
    """Centred rows with the likeliest values in place of the missing cells."""
    gaussian = _in_units(gaussian, jnp)
    largest = jnp.max(jnp.where(observed, jnp.abs(v), 0.0), axis=-1, keepdims=True)
    largest = jnp.maximum(largest, LEAST)
    free = (~observed).astype(v.dtype)
    start = _start(jnp.where(observed, v / largest, 0.0), free, gaussian)

    def step(i: Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        del i
        return _descend(carry, free, gaussian)

    return largest * jax.lax.fori_loop(0, COMPLETION_STEPS, step, start)[0]


def complete_on_host(v: np.ndarray, gaussian: Statistics) -> np.ndarray:
    """Fill the missing cells of centred rows, in float64, as :func:`complete` does."""
    free = np.isnan(v)
    rows = np.flatnonzero(free.any(axis=1))
    if not len(rows):
        return v
    few, gaussian = free[rows].astype(np.float64), _in_units(gaussian, np)
    known = np.nan_to_num(v[rows])
    largest = np.maximum(np.abs(known).max(axis=1, keepdims=True), TINY)
    carry = _start(known / largest, few, gaussian)
    for _ in range(COMPLETION_STEPS):
        carry = _descend(carry, few, gaussian)
    v = v.copy()
    v[rows] = largest * carry[0]
    return v


def completed(v: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Rows with their missing cells filled by the Gaussian that fits them."""
    if not np.isnan(v).any():
        return v
    gaussian = {k: s.astype(np.float64) for k, s in fit(v, weight).items()}
    return gaussian["mean"] + complete_on_host(v - gaussian["mean"], gaussian)


def energies(v: np.ndarray, gaussian: Statistics) -> np.ndarray:
    """Mean squared whitened coordinate of rows, in float64."""
    gaussian = {k: s.astype(np.float64) for k, s in gaussian.items()}
    components = gaussian["components"]
    n_observed = v.shape[1] - np.isnan(v).sum(axis=1)
    centred = complete_on_host(v - gaussian["mean"], gaussian)
    coordinates = centred @ components.T
    total = np.square(coordinates * gaussian["precision_root"]).sum(axis=1)
    if len(components) < v.shape[1]:
        rest = np.square(centred - coordinates @ components).sum(axis=1)
        total += rest * np.square(gaussian["rest_root"])
    return total / n_observed
