"""Corruption of the input while training.

The network sees the corrupted rows and is asked for the clean ones (Vincent et al.,
2008), which keeps an overcomplete network from learning the identity. The first
``n_rows`` rows are real; the others fill the batch up.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core.config import Features, Hyperparameters


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


def gaussian(
    key: Array, x: Array, n_rows: Array, hyper: Hyperparameters, features: Features
) -> Array:
    """Add normal noise; the scale counts in deviations of each feature."""
    del n_rows
    scale, draws = _draw(key, x, hyper)
    noise = np.sqrt(2).astype(x.dtype) * jax.scipy.special.erfinv(draws)
    return x + scale * noise * features.scale


def _chosen(key: Array, x: Array, hyper: Hyperparameters) -> tuple[Array, Array]:
    """Cells to corrupt, and a number in [0, 1) for each of them."""
    share, draws = _draw(key, x, hyper)
    place = (draws + 1) / 2 / share
    return place < 1, place


def masking(
    key: Array, x: Array, n_rows: Array, hyper: Hyperparameters, features: Features
) -> Array:
    """Replace a share of the cells by the mean of their feature."""
    del n_rows
    is_chosen, _ = _chosen(key, x, hyper)
    return jnp.where(is_chosen, features.center, x)


def swap(
    key: Array, x: Array, n_rows: Array, hyper: Hyperparameters, features: Features
) -> Array:
    """Replace a share of the cells by the same feature of random rows."""
    del features
    is_chosen, place = _chosen(key, x, hyper)
    other = jnp.minimum((place * n_rows).astype(jnp.int32), n_rows - 1)
    return jnp.where(is_chosen, jnp.take_along_axis(x, other, axis=0), x)


def salt_and_pepper(
    key: Array, x: Array, n_rows: Array, hyper: Hyperparameters, features: Features
) -> Array:
    """Replace a share of the cells by the lowest or highest value of their feature."""
    del n_rows
    is_chosen, place = _chosen(key, x, hyper)
    extreme = jnp.where(place < 0.5, features.low, features.high)
    return jnp.where(is_chosen, extreme, x)


class Corruption(NamedTuple):
    """A corruption, ``corrupt(key, x, n_rows, hyper, features) -> x``.

    ``of_cells`` says that its scale is a share of the cells, ``uses_extremes`` that it
    needs the lowest and highest value of each feature.
    """

    corrupt: Callable[..., Array]
    of_cells: bool = True
    uses_extremes: bool = False


CORRUPTIONS = {
    "gaussian": Corruption(gaussian, of_cells=False),
    "masking": Corruption(masking),
    "swap": Corruption(swap),
    "salt_and_pepper": Corruption(salt_and_pepper, uses_extremes=True),
}


def corrupt(
    key: Array,
    x: Array,
    n_rows: Array,
    hyper: Hyperparameters,
    features: Features,
    *,
    corruption: str | None,
) -> Array:
    """Corrupt ``x`` by the named corruption; None leaves it clean."""
    if corruption is None:
        return x
    return CORRUPTIONS[corruption].corrupt(key, x, n_rows, hyper, features)
