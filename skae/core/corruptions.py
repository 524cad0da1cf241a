"""Corruption of the input while training: ``(key, x, hyper) -> x``.

The network sees the corrupted rows and is asked for the clean ones (Vincent et al.,
2008), which keeps an overcomplete network from learning the identity.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core.config import Hyperparameters


def gaussian(key: Array, x: Array, hyper: Hyperparameters) -> Array:
    """Add normal noise with one scale per row, log-uniform between two bounds.

    The scale counts in training standard deviations of each feature.
    """
    # One draw serves scale and noise: each further one adds to the time to compile.
    n_rows, n_features = x.shape
    above_minus_one = np.nextafter(-1, 0, dtype=x.dtype)
    shape = (n_rows, 1 + n_features)
    draws = jax.random.uniform(key, shape, x.dtype, above_minus_one, 1.0)
    low, high = hyper.corruption_low, hyper.corruption_high
    scale = low * (high / low) ** ((draws[:, :1] + 1) / 2)
    noise = np.sqrt(2).astype(x.dtype) * jax.scipy.special.erfinv(draws[:, 1:])
    return x + scale * noise * hyper.feature_scale


CORRUPTIONS = {"gaussian": gaussian}


def corrupt(
    key: Array, x: Array, hyper: Hyperparameters, *, corruption: str | None
) -> Array:
    """Corrupt ``x`` by the named corruption; None leaves it clean."""
    if corruption is None:
        return jnp.asarray(x)
    return CORRUPTIONS[corruption](key, x, hyper)
