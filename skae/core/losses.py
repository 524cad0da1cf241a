"""Reconstruction losses per row: ``(x, x_hat) -> (n,)``, averaged over features."""

import jax.numpy as jnp
import optax
from jax import Array

# A power of two: 1 minus it is exact in float32.
OUTPUT_MARGIN = 2**-20


def squared_error(x: Array, x_hat: Array) -> Array:
    """Mean of ``(x - x_hat)^2``."""
    return jnp.mean(jnp.square(x - x_hat), axis=-1)


def absolute_error(x: Array, x_hat: Array) -> Array:
    """Mean of ``|x - x_hat|``."""
    return jnp.mean(jnp.abs(x - x_hat), axis=-1)


def huber(x: Array, x_hat: Array) -> Array:
    """Half the squared error up to 1, linear beyond."""
    return jnp.mean(optax.losses.huber_loss(x_hat, x, delta=1.0), axis=-1)


def binary_cross_entropy(x: Array, x_hat: Array) -> Array:
    """Mean of ``-x log(x_hat) - (1 - x) log(1 - x_hat)``, for values in [0, 1].

    Outputs are kept off 0 and 1, where the logarithm is infinite.
    """
    x_hat = jnp.clip(x_hat, OUTPUT_MARGIN, 1 - OUTPUT_MARGIN)
    return jnp.mean(-x * jnp.log(x_hat) - (1 - x) * jnp.log1p(-x_hat), axis=-1)


def correntropy(x: Array, x_hat: Array) -> Array:
    """Mean of ``1 - exp(-(x - x_hat)^2 / 2)``: residuals far above 1 hardly count.

    The maximum correntropy criterion (Liu, Pokharel and Principe, 2007) with a kernel
    of width 1.
    """
    return jnp.mean(-jnp.expm1(-jnp.square(x - x_hat) / 2), axis=-1)


def mean_over_rows(values: Array, weight: Array) -> Array:
    """Weighted sum of row values over the number of rows of positive weight.

    With weights of mean 1 over all rows this is unbiased in every mini-batch, which
    division by the batch's own weight would not be.
    """
    return jnp.sum(values * weight) / jnp.sum(weight > 0, dtype=values.dtype)


LOSSES = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "binary_cross_entropy": binary_cross_entropy,
    "correntropy": correntropy,
}
