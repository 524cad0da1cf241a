"""Corruption of the input while training: ``(key, x, hyper) -> x``.

The network sees the corrupted rows and is asked for the clean ones (Vincent et al.,
2008), which keeps an overcomplete network from learning the identity.
"""

import jax
import jax.numpy as jnp
from jax import Array

from skae.core.config import Hyperparameters


def gaussian(key: Array, x: Array, hyper: Hyperparameters) -> Array:
    """Add normal noise with one scale per row, log-uniform between two bounds.

    The scale counts in training standard deviations of each feature.
    """
    scale_key, noise_key = jax.random.split(key)
    low, high = hyper.corruption_low, hyper.corruption_high
    position = jax.random.uniform(scale_key, (x.shape[0], 1), dtype=x.dtype)
    scale = low * (high / low) ** position
    noise = jax.random.normal(noise_key, x.shape, dtype=x.dtype)
    return x + scale * noise * hyper.feature_scale


CORRUPTIONS = {"gaussian": gaussian}


def corrupt(
    key: Array, x: Array, hyper: Hyperparameters, *, corruption: str | None
) -> Array:
    """Corrupt ``x`` by the named corruption; None leaves it clean."""
    if corruption is None:
        return jnp.asarray(x)
    return CORRUPTIONS[corruption](key, x, hyper)
