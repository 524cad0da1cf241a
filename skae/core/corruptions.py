"""Corruption of the input while training: ``(key, x, n_rows, hyper) -> x``.

The network sees the corrupted rows and is asked for the clean ones (Vincent et al.,
2008), which keeps an overcomplete network from learning the identity. The first
``n_rows`` rows are real; the others fill the batch up.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core.config import Hyperparameters


def _draw(key: Array, x: Array, hyper: Hyperparameters) -> tuple[Array, Array]:
    """Scale of each row, log-uniform between two bounds, and numbers in (-1, 1).

    One draw serves both: each further one adds to the time to compile.
    """
    n_rows, n_features = x.shape
    above_minus_one = np.nextafter(-1, 0, dtype=x.dtype)
    shape = (n_rows, 1 + n_features)
    draws = jax.random.uniform(key, shape, x.dtype, above_minus_one, 1.0)
    low, high = hyper.corruption_low, hyper.corruption_high
    return low * (high / low) ** ((draws[:, :1] + 1) / 2), draws[:, 1:]


def gaussian(key: Array, x: Array, n_rows: Array, hyper: Hyperparameters) -> Array:
    """Add normal noise; the scale counts in deviations of each feature."""
    del n_rows
    scale, draws = _draw(key, x, hyper)
    noise = np.sqrt(2).astype(x.dtype) * jax.scipy.special.erfinv(draws)
    return x + scale * noise * hyper.feature_scale


def _chosen(key: Array, x: Array, hyper: Hyperparameters) -> tuple[Array, Array]:
    """Cells to corrupt, and a number in [0, 1) for each of them."""
    share, draws = _draw(key, x, hyper)
    place = (draws + 1) / 2 / share
    return place < 1, place


def masking(key: Array, x: Array, n_rows: Array, hyper: Hyperparameters) -> Array:
    """Replace a share of the cells by the mean of their feature."""
    del n_rows
    is_chosen, _ = _chosen(key, x, hyper)
    return jnp.where(is_chosen, hyper.feature_center, x)


def swap(key: Array, x: Array, n_rows: Array, hyper: Hyperparameters) -> Array:
    """Replace a share of the cells by the same feature of random rows."""
    is_chosen, place = _chosen(key, x, hyper)
    other = jnp.minimum((place * n_rows).astype(jnp.int32), n_rows - 1)
    return jnp.where(is_chosen, jnp.take_along_axis(x, other, axis=0), x)


def salt_and_pepper(
    key: Array, x: Array, n_rows: Array, hyper: Hyperparameters
) -> Array:
    """Replace a share of the cells by the lowest or highest value of their feature."""
    del n_rows
    is_chosen, place = _chosen(key, x, hyper)
    extreme = jnp.where(place < 0.5, hyper.feature_low, hyper.feature_high)
    return jnp.where(is_chosen, extreme, x)


CORRUPTIONS = {
    "gaussian": gaussian,
    "masking": masking,
    "swap": swap,
    "salt_and_pepper": salt_and_pepper,
}


def corrupt(
    key: Array,
    x: Array,
    n_rows: Array,
    hyper: Hyperparameters,
    *,
    corruption: str | None,
) -> Array:
    """Corrupt ``x`` by the named corruption; None leaves it clean."""
    if corruption is None:
        return x
    return CORRUPTIONS[corruption](key, x, n_rows, hyper)
