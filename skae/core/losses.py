"""Reconstruction losses of each cell, and their means."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import optax
from jax import Array

# A power of two: 1 minus it is exact in float32.
OUTPUT_MARGIN = 2**-20


def squared_error(x: Array, x_hat: Array) -> Array:
    """Return ``(x - x_hat)^2``."""
    return jnp.square(x - x_hat)


def absolute_error(x: Array, x_hat: Array) -> Array:
    """Return ``|x - x_hat|``."""
    return jnp.abs(x - x_hat)


def huber(x: Array, x_hat: Array) -> Array:
    """Half the squared error up to 1, linear beyond."""
    return optax.losses.huber_loss(x_hat, x, delta=1.0)


def binary_cross_entropy(x: Array, x_hat: Array) -> Array:
    """Return ``-x log(x_hat) - (1 - x) log(1 - x_hat)``, for values in [0, 1].

    Outputs are kept off 0 and 1, where the logarithm is infinite.
    """
    x_hat = jnp.clip(x_hat, OUTPUT_MARGIN, 1 - OUTPUT_MARGIN)
    return -x * jnp.log(x_hat) - (1 - x) * jnp.log1p(-x_hat)


def correntropy(x: Array, x_hat: Array) -> Array:
    """Return ``1 - exp(-(x - x_hat)^2 / 2)``: residuals far above 1 hardly count.

    The maximum correntropy criterion (Liu, Pokharel and Principe, 2007) with a kernel
    of width 1.
    """
    return -jnp.expm1(-jnp.square(x - x_hat) / 2)


def mean_over_features(values: Array, observed: Array | None = None) -> Array:
    """Mean of each row over its features, or over the observed ones."""
    if observed is None:
        return jnp.mean(values, axis=-1)
    n_observed = jnp.maximum(jnp.sum(observed, axis=-1), 1)
    return jnp.sum(jnp.where(observed, values, 0.0), axis=-1) / n_observed


def mean_over_rows(values: Array, weight: Array) -> Array:
    """Weighted sum of row values over the number of rows of positive weight.

    With weights of mean 1 over all rows this is unbiased in every mini-batch, which
    division by the batch's own weight would not be.
    """
    return jnp.sum(values * weight) / jnp.sum(weight > 0, dtype=values.dtype)


class Loss(NamedTuple):
    """A loss of each cell, ``cells(x, x_hat) -> (n, d)``.

    ``domain`` are the lowest and highest value that it is defined for, and
    ``output_activation`` the one that keeps outputs there; None if all are.
    """

    cells: Callable[[Array, Array], Array]
    domain: tuple[float, float] | None = None
    output_activation: str | None = None


LOSSES = {
    "squared_error": Loss(squared_error),
    "absolute_error": Loss(absolute_error),
    "huber": Loss(huber),
    "binary_cross_entropy": Loss(binary_cross_entropy, (0.0, 1.0), "sigmoid"),
    "correntropy": Loss(correntropy),
}
