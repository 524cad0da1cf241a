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


LOSSES = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
}
