"""What stands between encoder and decoder: a code, or a distribution of codes.

``plain``: the encoder's output is the code. ``variational`` (Kingma and Welling, 2014):
it is mean and logit of the variance of a Gaussian from which training draws codes; the
mean stands for the code everywhere else. ``adversarial`` (Makhzani et al., 2016): a
discriminator learns to tell codes from draws of a standard Gaussian, and the encoder
learns to deceive it.
"""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from skae.core.config import NetworkConfig
from skae.core.losses import mean_over_rows

BOTTLENECKS = ("plain", "variational", "adversarial")

# What names of a bottleneck's own parameters start with.
PREFIXES = ("discriminator.", "noise.")

# With these, codes of digits, 8 wide, pass for draws of the prior after 400 epochs: a
# classifier is right for 54 % of them. The error of restoring the digits rises by 4 to
# 16 %. With one step for each of the encoder the two players circle; more than three
# gain nothing.
DISCRIMINATOR_LAYER_SIZES = (64, 64)
DISCRIMINATOR_STEPS = 3
DISCRIMINATOR_RATE = 3.0
MAX_DISCRIMINATOR_RATE = 0.01
DISCRIMINATOR_MOMENTUM = 0.5
SLOPE_PENALTY = 0.03

# Bound of the logarithm of the decoder's variance, whose exponential would overflow.
MAX_LOG_VARIANCE = 20.0

# How much faster than a weight the logarithm of the decoder's variance learns: it has
# further to go than a weight moves in a short training. How far in a step at most:
# optimizers that do not scale gradients would throw it about.
NOISE_RATE = 10.0
MAX_NOISE_STEP = 0.1
NOISE = "noise.log_variance"

Parameters = dict[str, Array]


def shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters that a bottleneck has of its own."""
    if config.bottleneck == "variational":
        return {NOISE: ()}
    if config.bottleneck == "adversarial":
        return {
            name: shape
            for i, (n_in, n_out) in enumerate(pairwise(discriminator_sizes(config)))
            for name, shape in (
                (f"discriminator.{i}.bias", (n_out,)),
                (f"discriminator.{i}.kernel", (n_in, n_out)),
            )
        }
    return {}


def discriminator_sizes(config: NetworkConfig) -> tuple[int, ...]:
    """Widths of the discriminator, from input to output."""
    return (config.latent_dim, *DISCRIMINATOR_LAYER_SIZES, 1)


def distribution(encoded: Array) -> tuple[Array, Array]:
    """Mean and log variance of each code from the output of a variational encoder.

    No variance is above 1, that of the prior: larger ones never lower the loss, and
    exponentials of unbounded ones would let training diverge.
    """
    mean, logit = jnp.split(encoded, 2, axis=-1)
    return mean, jax.nn.log_sigmoid(logit)


def draw(key: Array, encoded: Array) -> Array:
    """Draw a code from the distribution of each row."""
    mean, log_variance = distribution(encoded)
    noise = jax.random.normal(key, mean.shape, mean.dtype)
    return mean + jnp.exp(log_variance / 2) * noise


def divergences(encoded: Array) -> Array:
    """Divergence of each unit's distribution from the standard Gaussian, in nats.

    ``KL(N(m, v) || N(0, 1)) = (m^2 + v - log v - 1) / 2``.
    """
    mean, log_variance = distribution(encoded)
    variance_part = jnp.expm1(log_variance) - log_variance
    return (jnp.square(mean) + variance_part) / 2


def apply_updates(params: Parameters, updates: Parameters) -> Parameters:
    """Take a step of the optimizer, a longer one for the decoder's variance."""
    updated = optax.apply_updates(params, updates)
    if NOISE in params:
        step = jnp.clip(NOISE_RATE * updates[NOISE], -MAX_NOISE_STEP, MAX_NOISE_STEP)
        moved = params[NOISE] + step
        updated[NOISE] = jnp.clip(moved, -MAX_LOG_VARIANCE, MAX_LOG_VARIANCE)
    return updated


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


def _logits(params: Parameters, code: Array) -> Array:
    """How sure the discriminator is that each code is a draw of the prior."""
    last = len(DISCRIMINATOR_LAYER_SIZES)
    for i in range(last + 1):
        name = f"discriminator.{i}"
        code = code @ params[f"{name}.kernel"] + params[f"{name}.bias"]
        if i < last:
            code = jax.nn.leaky_relu(code, 0.2)
    return code[:, 0]


def deception(params: Parameters, code: Array, weight: Array) -> Array:
    """How surely the discriminator tells codes from the prior, which encoders lower."""
    return mean_over_rows(jax.nn.softplus(-_logits(params, code)), weight)


def _detection(
    discriminator: Parameters, key: Array, code: Array, weight: Array
) -> Array:
    """Cross-entropy of codes and draws of the prior, and penalty on its slope.

    Without the penalty (Mescheder et al., 2018) the two players circle round each
    other instead of meeting.
    """
    prior = jax.random.normal(key, code.shape, code.dtype)

    def slope(z: Array) -> Array:
        gradient = jax.grad(lambda z: jnp.sum(_logits(discriminator, z)))(z)
        return jnp.sum(jnp.square(gradient), axis=-1)

    losses = (
        jax.nn.softplus(_logits(discriminator, code))
        + jax.nn.softplus(-_logits(discriminator, prior))
        + SLOPE_PENALTY * (slope(code) + slope(prior)) / 2
    )
    return mean_over_rows(losses, weight)


def discriminator_optimizer(rate: Array | float) -> optax.GradientTransformation:
    """Optimizer of the discriminator where encoder and decoder learn at ``rate``."""
    rate = jnp.minimum(DISCRIMINATOR_RATE * rate, MAX_DISCRIMINATOR_RATE)
    return optax.adam(rate, b1=DISCRIMINATOR_MOMENTUM)


def discriminate(
    discriminator: Parameters,
    optimizer_state: Any,
    key: Array,
    code: Array,
    weight: Array,
    rate: Array,
) -> tuple[Parameters, Any]:
    """Train the discriminator on the codes of a batch and fresh draws of the prior."""
    optimizer = discriminator_optimizer(rate)

    def step(i: Array, carry: tuple) -> tuple:
        params, state = carry
        draw_key = jax.random.fold_in(key, i)
        gradient = jax.grad(_detection)(params, draw_key, code, weight)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state

    start = discriminator, optimizer_state
    return jax.lax.fori_loop(0, DISCRIMINATOR_STEPS, step, start)


def without_discriminator(params: Parameters) -> tuple[Parameters, Parameters]:
    """Parameters of encoder and decoder, and those of the discriminator."""
    own = {k: v for k, v in params.items() if k.startswith("discriminator.")}
    return {k: v for k, v in params.items() if k not in own}, own
