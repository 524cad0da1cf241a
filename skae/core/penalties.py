"""Penalties on weights and codes: ``(params, code, weight) -> scalar``.

Penalties on the code sum over code units and average over rows.
"""

import jax.numpy as jnp
from jax import Array

from skae.core.losses import mean_over_rows
from skae.core.networks import Parameters


def alpha(params: Parameters, code: Array, weight: Array) -> Array:
    """Sum of squared weights; biases are free."""
    del code, weight
    kernels = [value for name, value in params.items() if name.endswith("kernel")]
    return sum((jnp.sum(jnp.square(kernel)) for kernel in kernels), jnp.float32(0))


def l1_activity(params: Parameters, code: Array, weight: Array) -> Array:
    """Sum of absolute activations of the code, averaged over rows."""
    del params
    return mean_over_rows(jnp.sum(jnp.abs(code), axis=-1), weight)


PENALTIES = {"alpha": alpha, "l1_activity": l1_activity}
