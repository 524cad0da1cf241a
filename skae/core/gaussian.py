"""Gaussians with full covariance: fitted by NumPy, evaluated by NumPy and by JAX."""

from typing import Any

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

TINY = 1e-30


def root_mean_square(x: Array) -> Array:
    """Root of the mean square over the last axis, without overflow in float32."""
    largest = jnp.maximum(jnp.max(jnp.abs(x), axis=-1, keepdims=True), TINY)
    return largest[..., 0] * jnp.sqrt(jnp.mean(jnp.square(x / largest), axis=-1))


def fit(v: np.ndarray, weight: np.ndarray) -> Statistics:
    """Mean and eigendecomposition of the covariance, with a ridge.

    Wide rows keep the leading directions only and one variance for the rest
    (probabilistic PCA; Tipping and Bishop, 1999).
    """
    mean = np.average(v, axis=0, weights=weight)
    width = v.shape[1]
    is_wide = width > FULL_COVARIANCE_WIDTH
    if is_wide:
        v, weight = v[:LOW_RANK_ROWS], weight[:LOW_RANK_ROWS]
    weighted = (v - mean) * np.sqrt(weight / weight.sum())[:, None]
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
        variances, vectors = np.linalg.eigh(weighted.T @ weighted)
    total = np.square(weighted).sum()
    ridge = RIDGE * total / width if total > 0 else 1.0
    rest = max(total - variances.sum(), 0.0) / max(width - rank, 1)
    statistics = {
        "mean": mean,
        "components": vectors.T,
        "precision_root": 1 / np.sqrt(np.maximum(variances, 0.0) + ridge),
        "rest_root": 1 / np.sqrt(rest + ridge),
    }
    return {name: np.asarray(s, dtype=np.float32) for name, s in statistics.items()}


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


def distance(v: Array, gaussian: Statistics) -> Array:
    """Root of the mean squared whitened coordinate of already centred rows.

    Rows narrower than the covariance are zero in what they lack.
    """
    components = gaussian["components"]
    rank, width = components.shape
    coordinates = v @ components[:, : v.shape[1]].T
    result = root_mean_square(coordinates * gaussian["precision_root"])
    result = result * jnp.sqrt(rank / width)
    if rank == width:
        return result
    v = jnp.pad(v, ((0, 0), (0, width - v.shape[1])))
    rest = (v - coordinates @ components) * gaussian["rest_root"]
    return jnp.hypot(result, root_mean_square(rest))


def energies(v: np.ndarray, gaussian: Statistics) -> np.ndarray:
    """Mean squared whitened coordinate of rows, in float64."""
    centred = v - gaussian["mean"].astype(np.float64)
    components = gaussian["components"].astype(np.float64)
    coordinates = centred @ components.T
    total = np.square(coordinates * gaussian["precision_root"]).sum(axis=1)
    if len(components) < v.shape[1]:
        rest = np.square(centred - coordinates @ components).sum(axis=1)
        total += rest * np.square(gaussian["rest_root"])
    return total / v.shape[1]
