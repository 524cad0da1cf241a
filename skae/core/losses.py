"""Reconstruction losses per row: ``(x, x_hat) -> (n,)``, averaged over features."""

import jax.numpy as jnp
import optax
from jax import Array


def squared_error(x: Array, x_hat: Array) -> Array:
    """Mean of ``(x - x_hat)^2``."""
    return jnp.mean(jnp.square(x - x_hat), axis=-1)


def absolute_error(x: Array, x_hat: Array) -> Array:
    """Mean of ``|x - x_hat|``."""
    return jnp.mean(jnp.abs(x - x_hat), axis=-1)


def huber(x: Array, x_hat: Array) -> Array:
    """Half the squared error up to 1, linear beyond."""
    return jnp.mean(optax.losses.huber_loss(x_hat, x, delta=1.0), axis=-1)


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
}
