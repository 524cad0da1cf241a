"""Minus the evidence's lower bound of a variational code."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core.blocks import Block
from skae.core.bottlenecks import variational
from skae.core.gaussian import Statistics, root_mean_square, root_mean_squares
from skae.core.scores.energy import Energy


def measure(rows: Block, own: Statistics) -> Array:
    """Root of minus the lower bound per feature, but for constants.

    The mean of the code stands for its draws, and displacements count as residuals.
    """
    del own
    distance = root_mean_squares(rows.residual, rows.away, observed=rows.observed)
    n_observed: Array | int = rows.x.shape[1]
    if rows.observed is not None:
        n_observed = jnp.sum(rows.observed, axis=-1)
    # The root of the divergence, without its square, which might overflow.
    mean, log_variance = variational.distribution(rows.encoded)
    variance_part = jnp.sum(variational.variance_part(log_variance), axis=-1)
    length = root_mean_square(mean) * np.sqrt(mean.shape[-1])
    # Rounding may leave the part of a collapsed posterior below 0.
    information = jnp.hypot(length, jnp.sqrt(jnp.maximum(variance_part, 0.0)))
    information = information / jnp.sqrt(2.0 * n_observed)
    deviation = jnp.exp(rows.network.params[variational.NOISE] / 2)
    return jnp.hypot(distance / (deviation * np.sqrt(2)), information)


def onnx(g: Any, rows: Any, own: Statistics) -> str:
    """ONNX form of :func:`measure`."""
    del own
    mean = rows.code
    logit = variational.part(g, rows.encoded, rows.latent_dim, rows.latent_dim)
    log_variance = g("Neg", g("Softplus", g("Neg", logit)))
    variance_part = g("Sub", g("Exp", log_variance), log_variance)
    variance_part = g("Sub", variance_part, np.float32(1))
    variance_part = g("ReduceSum", variance_part, np.array([1], np.int64))
    spread = g("Sqrt", g("Max", variance_part, np.float32(0)))
    root = np.float32(np.sqrt(rows.latent_dim))
    length = g("Mul", g.root_mean_square(mean), root)
    information = g("Div", g.hypot(length, spread), np.float32(np.sqrt(2 * rows.width)))
    residual = g.root_mean_square(rows.residual)
    distance = g.hypot(residual, g.root_mean_square(rows.away))
    log_noise = rows.weights[variational.NOISE]
    deviation = np.float32(np.exp(log_noise / 2) * np.sqrt(2))
    return g.hypot(g("Div", distance, deviation), information)


ELBO = Energy(measure, bottleneck="variational", onnx=onnx)
