"""What is compiled for training: a chunk of steps, and the loss of a chunk.

Each is compiled once for each architecture and set of active terms. Its shape is
(steps, batch, features) whatever the number of rows, and it runs as many of its steps
as it is told, so padding costs no arithmetic.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from skae.core import bottlenecks
from skae.core.bottlenecks import Parameters
from skae.core.compilation import OPTIONS, bounded
from skae.core.config import Features, Hyperparameters, NetworkConfig, TrainingConfig
from skae.core.course import TrainingState
from skae.core.networks import bind
from skae.core.objective import filled, objective, row_losses
from skae.core.optimizers import optimizer_of, rate_of


@bounded
@partial(jax.jit, static_argnames=("network", "training"), compiler_options=OPTIONS)
def train_chunk(
    state: TrainingState,
    x: Array,
    weight: Array,
    n_used: Array,
    hyper: Hyperparameters,
    features: Features,
    *,
    network: NetworkConfig,
    training: TrainingConfig,
) -> tuple[TrainingState, Array]:
    """Run the first ``n_used`` steps of a chunk; returns the state and their losses.

    Each is summed over the rows of its batch, so that those of an epoch divided by the
    number of rows give its mean loss.
    """
    bottleneck = bottlenecks.of(network)

    def loss_of(others: Parameters, own: Parameters, *batch: Any) -> Array:
        return objective(others | own, *batch, network=network, training=training)

    def step(i: Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        state, losses = carry
        key = jax.random.fold_in(state.key, state.step)
        others, own = bottleneck.split(state.params)
        optimizer_state, own_state = state.optimizer_state
        if bottleneck.rival:
            clean, _ = filled(x[i], features, training)
            code = bind(state.params, config=network).encode(clean)
            rate = rate_of(hyper, state.step, training)
            own, own_state = bottleneck.rival.train(
                own, own_state, key, code, weight[i], rate
            )
        now = _risen(hyper, state.step) if bottleneck.has_prior else hyper
        loss, gradient = jax.value_and_grad(loss_of)(
            others, own, key, x[i], weight[i], now, features
        )
        optimizer = optimizer_of(others, hyper, state.step, training)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, others)
        params = bottleneck.apply_updates(others, updates) | own
        state = TrainingState(
            params, (optimizer_state, own_state), state.step + 1, state.key
        )
        loss = loss * jnp.sum(weight[i] > 0)
        return state, jax.lax.dynamic_update_index_in_dim(losses, loss, i, 0)

    start = state, jnp.zeros(len(x), jnp.float32)
    # An unsigned number needs no look whether it counts from the end.
    return jax.lax.fori_loop(jnp.uint32(0), n_used, step, start)


def _risen(hyper: Hyperparameters, step: Array) -> Hyperparameters:
    """Weight of the prior as it is in a step."""
    risen = (step + 1) / jnp.maximum(hyper.warm_up, 1)
    return hyper._replace(beta=hyper.beta * jnp.minimum(risen, 1))


@bounded
@partial(jax.jit, static_argnames=("network", "training"), compiler_options=OPTIONS)
def chunk_loss(
    params: Parameters,
    key: Array,
    x: Array,
    weight: Array,
    n_used: Array,
    hyper: Hyperparameters,
    features: Features,
    *,
    network: NetworkConfig,
    training: TrainingConfig,
) -> Array:
    """Weighted sum of the row losses of a chunk under a fixed corruption."""

    def add(i: Array, total: Array) -> Array:
        losses, _ = row_losses(
            params,
            jax.random.fold_in(key, i),
            x[i],
            weight[i],
            hyper,
            features,
            network=network,
            training=training,
            evaluate=True,
        )
        return total + jnp.sum(losses * weight[i])

    return jax.lax.fori_loop(jnp.uint32(0), n_used, add, jnp.float32(0))
