"""A Gaussian of codes for each row (Kingma and Welling, 2014).

The encoder gives mean and logit of the variance. Training draws codes; the mean stands
for the code everywhere else. The decoder learns the variance of its noise.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from skae.core.bottlenecks.bottleneck import Bottleneck, Parameters, key_of_draws
from skae.core.config import NetworkConfig
from skae.core.layers import Layer

NOISE = "noise.log_variance"

# Bound of the logarithm of the decoder's variance, whose exponential would overflow.
MAX_LOG_VARIANCE = 20.0

# How much faster than a weight the logarithm of the decoder's variance learns: it has
# further to go than a weight moves in a short training. How far in a step at most:
# optimizers that do not scale gradients would throw it about.
NOISE_RATE = 10.0
MAX_NOISE_STEP = 0.1

# A unit of a code is active if its mean varies more than this over rows (Burda, Grosse
# and Salakhutdinov, 2016).
ACTIVE_VARIANCE = 0.01


def shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Shape of the decoder's log variance."""
    del config
    return {NOISE: ()}


def layers(config: NetworkConfig) -> list[Layer]:
    """Describe the decoder's variance."""
    del config
    return [Layer("noise", (1,), 1, 1)]


def distribution(encoded: Array) -> tuple[Array, Array]:
    """Mean and log variance of each code from the output of the encoder.

    No variance is above 1, that of the prior: larger ones never lower the loss, and
    exponentials of unbounded ones would let training diverge.
    """
    mean, logit = jnp.split(encoded, 2, axis=-1)
    return mean, jax.nn.log_sigmoid(logit)


def mean_code(encoded: Array) -> Array:
    """Mean of each row's distribution."""
    return distribution(encoded)[0]


def draw(key: Array, encoded: Array) -> Array:
    """Draw a code from the distribution of each row."""
    mean, log_variance = distribution(encoded)
    noise = jax.random.normal(key_of_draws(key), mean.shape, mean.dtype)
    return mean + jnp.exp(log_variance / 2) * noise


def divergences(encoded: Array) -> Array:
    """Divergence of each unit's distribution from the standard Gaussian, in nats.

    ``KL(N(m, v) || N(0, 1)) = (m^2 + v - log v - 1) / 2``.
    """
    mean, log_variance = distribution(encoded)
    return (jnp.square(mean) + variance_part(log_variance)) / 2


def variance_part(log_variance: Array) -> Array:
    """Return what variances make of twice the divergence: ``v - log v - 1``."""
    return jnp.expm1(log_variance) - log_variance


def negative_elbo(
    squared_errors: Array,
    encoded: Array,
    n_features: Array | int,
    params: Parameters,
    beta: Array | float,
) -> Array:
    """Return minus the evidence's lower bound of each row, per feature.

    The constant ``log(2 pi) / 2`` is left out. ``squared_errors`` are means over
    ``n_features``.
    """
    log_variance = params[NOISE]
    likelihood = (squared_errors * jnp.exp(-log_variance) + log_variance) / 2
    divergence = jnp.sum(divergences(encoded), axis=-1)
    return likelihood + beta * divergence / n_features


def apply_updates(params: Parameters, updates: Parameters) -> Parameters:
    """Take a step of the optimizer, a longer one for the decoder's variance."""
    updated = optax.apply_updates(params, updates)
    step = jnp.clip(NOISE_RATE * updates[NOISE], -MAX_NOISE_STEP, MAX_NOISE_STEP)
    updated[NOISE] = jnp.clip(params[NOISE] + step, -MAX_LOG_VARIANCE, MAX_LOG_VARIANCE)
    return updated


def noise(
    weights: dict[str, np.ndarray],
    shape: tuple[Any, ...],
    generator: np.random.RandomState,
) -> np.ndarray:
    """Draw the decoder's noise."""
    deviation = np.exp(float(weights[NOISE]) / 2)
    return deviation * generator.standard_normal(shape)


def has_collapsed(codes: np.ndarray) -> bool:
    """Whether no unit of the code is active."""
    return bool((codes.astype(np.float64).var(axis=0) < ACTIVE_VARIANCE).all())


def part(g: Any, encoded: str, start: int, latent_dim: int) -> str:
    """ONNX form of mean (from 0) or logit of the variance (from ``latent_dim``)."""
    ends = (np.array([i], np.int64) for i in (start, start + latent_dim, 1))
    return g("Slice", encoded, *ends)


def onnx_mean(g: Any, encoded: str, latent_dim: int) -> str:
    """ONNX form of :func:`mean_code`."""
    return part(g, encoded, 0, latent_dim)


VARIATIONAL = Bottleneck(
    prefix="noise.",
    parts=("means", "variances"),
    has_prior=True,
    # Its likelihood is that of a Gaussian.
    loss="squared_error",
    shapes=shapes,
    layers=layers,
    code=mean_code,
    draw=draw,
    row_losses=negative_elbo,
    apply_updates=apply_updates,
    noise=noise,
    has_collapsed=has_collapsed,
    onnx_code=onnx_mean,
)
