"""Penalties on weights, codes and encoder.

Penalties on the code sum over code units and average over rows.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from skae.core import bottlenecks
from skae.core.bottlenecks import Parameters
from skae.core.config import Hyperparameters
from skae.core.losses import mean_over_rows

# The Jacobian is exact where codes or rows are at most this wide: a pass through the
# encoder for each unit. Beyond, one random projection for each row estimates its norm.
MAX_EXACT_WIDTH = 8

# Mean activations are kept this far from 0 and 1, where the divergence is infinite.
ACTIVATION_MARGIN = 2**-20


class Terms(NamedTuple):
    """What penalties look at: a batch and what the network makes of it.

    ``encode`` maps clean rows to codes, without dropout.
    """

    params: Parameters
    key: Array
    x: Array
    code: Array
    weight: Array
    hyper: Hyperparameters
    encode: Callable[[Array], Array]


def _kernels(terms: Terms) -> list[Array]:
    """Kernels of encoder and decoder."""
    return [
        value
        for name, value in terms.params.items()
        if name.endswith("kernel") and not name.startswith(bottlenecks.PREFIXES)
    ]


def alpha(terms: Terms) -> Array:
    """Sum of squared weights; biases are free."""
    return sum((jnp.sum(jnp.square(k)) for k in _kernels(terms)), jnp.float32(0))


def l1_weights(terms: Terms) -> Array:
    """Sum of absolute weights; biases are free."""
    return sum((jnp.sum(jnp.abs(k)) for k in _kernels(terms)), jnp.float32(0))


def l1_activity(terms: Terms) -> Array:
    """Sum of absolute activations of the code, averaged over rows."""
    return mean_over_rows(jnp.sum(jnp.abs(terms.code), axis=-1), terms.weight)


def l2_activity(terms: Terms) -> Array:
    """Sum of squared activations of the code, averaged over rows."""
    return mean_over_rows(jnp.sum(jnp.square(terms.code), axis=-1), terms.weight)


def sparsity(terms: Terms) -> Array:
    """Divergence of the mean activation of each unit from a target (Ng, 2011).

    ``KL(t || m) = t log(t / m) + (1 - t) log((1 - t) / (1 - m))``, summed over units,
    with the mean ``m`` over the rows of the batch.
    """
    target = terms.hyper.sparsity_target
    weight = terms.weight[:, None]
    mean = jnp.sum(terms.code * weight, axis=0) / jnp.sum(weight)
    mean = jnp.clip(mean, ACTIVATION_MARGIN, 1 - ACTIVATION_MARGIN)
    entropy = jax.scipy.special.entr(target) + jax.scipy.special.entr(1 - target)
    cross = -target * jnp.log(mean) - (1 - target) * jnp.log1p(-mean)
    return jnp.sum(cross - entropy)


def contraction(terms: Terms) -> Array:
    """Squared norm of the encoder's Jacobian, averaged over rows (Rifai et al., 2011).

    Wide networks take one random projection ``v`` of signs for each row: the mean of
    ``|v' J|^2`` is the squared norm.
    """
    x, encode = terms.x, terms.encode
    width, latent = x.shape[1], terms.code.shape[1]
    if min(width, latent) <= MAX_EXACT_WIDTH:
        jacobian = jax.jacrev if latent <= width else jax.jacfwd
        rows = jax.vmap(jacobian(lambda row: encode(row[None])[0]))(x)
        norms = jnp.sum(jnp.square(rows), axis=(1, 2))
    else:
        signs = jax.random.rademacher(terms.key, (len(x), latent), x.dtype)
        _, pull_back = jax.vjp(encode, x)
        norms = jnp.sum(jnp.square(pull_back(signs)[0]), axis=1)
    return mean_over_rows(norms, terms.weight)


class Penalty(NamedTuple):
    """A penalty, ``measure(terms) -> scalar``.

    ``activation`` is the one that it is defined for, and then with codes that have no
    prior; None if all are.
    """

    measure: Callable[[Terms], Array]
    activation: str | None = None


PENALTIES = {
    "alpha": Penalty(alpha),
    "l1_weights": Penalty(l1_weights),
    "l1_activity": Penalty(l1_activity),
    "l2_activity": Penalty(l2_activity),
    # A divergence of probabilities.
    "sparsity": Penalty(sparsity, "sigmoid"),
    "contraction": Penalty(contraction),
}
