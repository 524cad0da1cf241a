"""The training loop: one compiled chunk of steps, driven from the host.

The chunk is compiled once for each architecture and set of active terms. Its shape is
(steps, batch, features) whatever the number of rows, and it runs as many of its steps
as it is told, so padding costs no arithmetic.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from skae.core import batching, bottlenecks
from skae.core.batching import Rows
from skae.core.bottlenecks import Parameters
from skae.core.compilation import OPTIONS, bounded, make_room
from skae.core.config import Hyperparameters, NetworkConfig, TrainingConfig
from skae.core.corruptions import corrupt
from skae.core.losses import LOSSES, mean_over_features, mean_over_rows
from skae.core.networks import bind
from skae.core.penalties import PENALTIES, Terms

# Every builder gets the learning rate and the weight decay as traced numbers.
OPTIMIZERS = {
    "adam": lambda rate, decay: optax.adam(rate),
    "adamw": lambda rate, decay: optax.adamw(rate, weight_decay=decay),
    "sgd": lambda rate, decay: optax.sgd(rate, momentum=0.9, nesterov=True),
}

SCHEDULES = {
    "constant": lambda progress: jnp.ones_like(progress),
    "cosine": lambda progress: 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(progress, 1))),
}


History = dict[str, list[float]]

MAX_HELD_OUT_FLOATS = 2**24

# The optimizer sees small networks as one vector, with fewer operations to compile and
# run: a step of 30-64-32-64-30 takes 4 % less time, its compilation 15 % less. With
# 80,000 weights a step would take 9 % more.
MAX_FLAT_WEIGHTS = 2**15


# What makes a batch's key the key of its draws from prior or code.
DRAW = 2**31 - 1


class TrainingState(NamedTuple):
    """What one step passes to the next."""

    params: Any
    optimizer_state: Any
    step: Any
    key: Any


class TrainingResult(NamedTuple):
    """Weights to keep, the state to continue from, and how training ended.

    ``earlier_params`` are of the epoch before: the loss of an epoch tells nothing of
    its last update, so without held-out rows the last weights may not be finite.
    """

    params: Any
    earlier_params: Any
    state: TrainingState
    history: History
    ending: str


def _filled(
    x: Array, hyper: Hyperparameters, training: TrainingConfig
) -> tuple[Array, Array | None]:
    """Rows with the mean in place of missing cells, and which cells are observed."""
    x = jnp.asarray(x)
    if not training.is_masked:
        return x, None
    observed = ~jnp.isnan(x)
    return jnp.where(observed, x, hyper.feature_center), observed


def row_losses(
    params: Parameters,
    key: Array,
    x: Array,
    weight: Array,
    hyper: Hyperparameters,
    *,
    network: NetworkConfig,
    training: TrainingConfig,
    evaluate: bool,
) -> tuple[Array, Array]:
    """Loss of each row under the corruption, and codes; no dropout in evaluation.

    The loss is the mean over the observed features; with a variational bottleneck,
    which decodes a drawn code, it is minus the evidence's lower bound.
    """
    noise_key, encoder_key, decoder_key = (
        jax.random.split(key, 3)
        if training.dropout and not evaluate
        else (key, None, None)
    )
    autoencoder = bind(params, config=network)
    n_rows = jnp.sum(weight > 0)
    x, observed = _filled(x, hyper, training)
    corrupted = corrupt(noise_key, x, n_rows, hyper, corruption=training.corruption)
    if observed is not None:
        corrupted = jnp.where(observed, corrupted, x)
    encoded = autoencoder.encoded(corrupted, encoder_key, hyper.dropout)
    code = drawn = autoencoder.code(encoded)
    if network.bottleneck == "variational":
        drawn = bottlenecks.draw(jax.random.fold_in(key, DRAW), encoded)
    x_hat = autoencoder.decode(drawn, decoder_key, hyper.dropout)
    losses = mean_over_features(LOSSES[training.loss](x, x_hat), observed)
    if network.bottleneck == "variational":
        n_observed = x.shape[1] if observed is None else jnp.sum(observed, axis=-1)
        losses = bottlenecks.negative_elbo(
            losses, encoded, jnp.maximum(n_observed, 1), params, hyper.beta
        )
    return losses, code


def objective(
    params: Parameters,
    key: Array,
    x: Array,
    weight: Array,
    hyper: Hyperparameters,
    *,
    network: NetworkConfig,
    training: TrainingConfig,
) -> Array:
    """Weighted mean of the row losses plus the active penalties.

    Weights count in units of their mean over all training rows.
    """
    losses, code = row_losses(
        params,
        key,
        x,
        weight,
        hyper,
        network=network,
        training=training,
        evaluate=False,
    )
    encode = bind(params, config=network).encode
    # The key of the corruption again: a further one takes time to compile, and the
    # projection of clean rows does not depend on their noise.
    clean, _ = _filled(x, hyper, training)
    terms = Terms(params, key, clean, code, weight, hyper, encode)
    total = mean_over_rows(losses, weight) + sum(
        hyper.penalties[name] * PENALTIES[name](terms) for name in training.penalties
    )
    if network.bottleneck == "adversarial":
        # In units of the loss: the balance then does not depend on its scale.
        unit = jax.lax.stop_gradient(mean_over_rows(losses, weight))
        deception = bottlenecks.deception(params, encode(clean), weight)
        total += hyper.beta * unit * deception
    return total


def _rate(hyper: Hyperparameters, step: Any, training: TrainingConfig) -> Array:
    schedule = SCHEDULES[training.learning_rate_schedule]
    return hyper.learning_rate * schedule(jnp.float32(step) / hyper.n_steps)


def _optimizer(
    params: Parameters, hyper: Hyperparameters, step: Any, training: TrainingConfig
) -> optax.GradientTransformation:
    rate = _rate(hyper, step, training)
    if callable(training.optimizer):
        made = training.optimizer(rate)
        if not isinstance(made, optax.GradientTransformation):
            raise TypeError(
                "The 'optimizer' parameter of AutoencoderOutlierDetector must return "
                f"an optax transformation. {training.optimizer} returned {type(made)}."
            )
        return made
    optimizer = OPTIMIZERS[training.optimizer](rate, hyper.weight_decay)
    n_weights = sum(leaf.size for leaf in jax.tree.leaves(params))
    return optax.flatten(optimizer) if n_weights <= MAX_FLAT_WEIGHTS else optimizer


@bounded
@partial(jax.jit, static_argnames="training", compiler_options=OPTIONS)
def init_optimizer(
    params: Parameters, hyper: Hyperparameters, *, training: TrainingConfig
) -> Any:
    """Fresh state of the optimizer, and of the discriminator's where there is one."""
    others, discriminator = bottlenecks.without_discriminator(params)
    state = _optimizer(others, hyper, 0, training).init(others)
    if not discriminator:
        return state, ()
    own = bottlenecks.discriminator_optimizer(_rate(hyper, 0, training))
    return state, own.init(discriminator)


@bounded
@partial(jax.jit, static_argnames=("network", "training"), compiler_options=OPTIONS)
def train_chunk(
    state: TrainingState,
    x: Array,
    weight: Array,
    n_used: Array,
    hyper: Hyperparameters,
    *,
    network: NetworkConfig,
    training: TrainingConfig,
) -> tuple[TrainingState, Array]:
    """Run the first ``n_used`` steps of a chunk; returns the state and summed loss.

    The sum weighs each batch by its rows, so that sums over chunks divided by the
    number of rows give the mean loss of an epoch.
    """

    def loss_of(others: Parameters, discriminator: Parameters, *batch: Any) -> Array:
        params = others | discriminator
        return objective(params, *batch, network=network, training=training)

    def step(i: Array, carry: tuple) -> tuple:
        state, total = carry
        key = jax.random.fold_in(state.key, state.step)
        now = hyper
        if network.bottleneck != "plain":
            risen = (state.step + 1) / jnp.maximum(hyper.warm_up, 1)
            now = hyper._replace(beta=hyper.beta * jnp.minimum(risen, 1))
        others, discriminator = bottlenecks.without_discriminator(state.params)
        optimizer_state, own_state = state.optimizer_state
        if discriminator:
            clean, _ = _filled(x[i], hyper, training)
            discriminator, own_state = bottlenecks.discriminate(
                discriminator,
                own_state,
                jax.random.fold_in(key, DRAW),
                bind(state.params, config=network).encode(clean),
                weight[i],
                _rate(hyper, state.step, training),
            )
        loss, gradient = jax.value_and_grad(loss_of)(
            others, discriminator, key, x[i], weight[i], now
        )
        optimizer = _optimizer(others, hyper, state.step, training)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, others)
        params = bottlenecks.apply_updates(others, updates) | discriminator
        state = TrainingState(
            params, (optimizer_state, own_state), state.step + 1, state.key
        )
        return state, total + loss * jnp.sum(weight[i] > 0)

    return jax.lax.fori_loop(0, n_used, step, (state, jnp.float32(0)))


@bounded
@partial(jax.jit, static_argnames=("network", "training"), compiler_options=OPTIONS)
def chunk_loss(
    params: Parameters,
    key: Array,
    x: Array,
    weight: Array,
    n_used: Array,
    hyper: Hyperparameters,
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
            network=network,
            training=training,
            evaluate=True,
        )
        return total + jnp.sum(losses * weight[i])

    return jax.lax.fori_loop(0, n_used, add, jnp.float32(0))


class _Monitor:
    """Best state so far, and how many epochs have passed without an improvement."""

    def __init__(self, tol: float) -> None:
        self.tol = tol
        self.best = np.inf
        self.state: TrainingState | None = None
        self.waited = 0

    def update(self, value: float, state: TrainingState) -> None:
        self.waited = 0 if value < self.best - self.tol else self.waited + 1
        if value < self.best:
            self.best, self.state = value, state


def _dispatch(
    state: TrainingState,
    chunks: Iterable[tuple],
    hyper: Hyperparameters,
    static: dict[str, Any],
) -> tuple[TrainingState, list[Array]]:
    """Hand chunks to the device; return the state and losses that they will give."""
    totals = []
    for chunk in chunks:
        state, total = train_chunk(state, *chunk, hyper, **static)
        totals.append(total)
    return state, totals


def _epochs(
    state: TrainingState,
    rows: Rows,
    n_epochs: int,
    shuffle: np.random.Generator,
    hyper: Hyperparameters,
    static: dict[str, Any],
) -> Iterator[tuple[TrainingState, list[Array]]]:
    """Dispatch epoch after epoch, the rows of each in an order of its own.

    The first chunk of an epoch is dispatched before the epoch before is yielded, so
    that the device is busy while the caller waits for that epoch's losses.
    """

    def shuffled() -> Iterator[tuple]:
        n_rows, n_features = rows.X.shape
        order = batching.shuffled(n_rows, n_features, shuffle)
        return batching.chunks(rows, order, static["training"].batch_size)

    chunks = shuffled()
    losses: list[Array] = []
    for n_left in reversed(range(n_epochs)):
        state, rest = _dispatch(state, chunks, hyper, static)
        ended = state, losses + rest
        if n_left:
            chunks = shuffled()
            state, losses = _dispatch(state, itertools.islice(chunks, 1), hyper, static)
        yield ended


def train(
    state: TrainingState,
    rows: Rows,
    held_out: Rows | None,
    hyper: Hyperparameters,
    *,
    network: NetworkConfig,
    training: TrainingConfig,
    n_epochs: int,
    shuffle: np.random.Generator,
    patience: int | None = None,
    tol: float = 0.0,
    on_epoch: Callable[[History, Any], bool] = lambda history, params: False,
) -> TrainingResult:
    """Train for ``n_epochs`` or until told to stop.

    Parameters
    ----------
    rows, held_out : Rows
        Rows to learn from, and rows that only measure the loss (None: no such rows).
    patience : int or None
        Stop after this many epochs in a row without an improvement by ``tol`` of the
        held-out loss (training loss where no rows are held out), and keep the best
        parameters. None trains to the end and keeps the last.
    on_epoch : callable ``(history, params) -> bool``
        Called after each epoch; True stops.

    Returns
    -------
    TrainingResult
        Its ``ending`` says which parameters it holds: "finished" or "stopped" (the
        last ones, or the best with ``patience``), "diverged" (a loss was not finite;
        the last finite ones), "interrupted" (Ctrl-C; the best ones so far).
    """
    make_room(network, training)
    n_rows = rows.X.shape[0]
    per_epoch = batching.steps_per_epoch(n_rows, training.batch_size)
    # While the prior gains weight, the loss rises of itself.
    n_rising = -(-float(hyper.warm_up) // per_epoch)
    static = {"network": network, "training": training}
    hyper = jax.device_put(hyper)
    checks, checked_weight = _held_out_chunks(held_out, training.batch_size)
    history: History = {"loss": [], "validation_loss": [], "epoch_seconds": []}
    monitor = _Monitor(tol)
    earlier, ending = state, "finished"
    try:
        start = time.perf_counter()
        epochs = _epochs(state, rows, n_epochs, shuffle, hyper, static)
        for candidate, losses in epochs:
            loss = sum(map(float, losses)) / n_rows
            monitored = (
                _held_out_loss(candidate, checks, hyper, static) / checked_weight
                if checks
                else loss
            )
            if not np.isfinite([loss, monitored]).all():
                ending = "diverged"
                break
            earlier, state = state, candidate
            history["loss"].append(loss)
            if checks:
                history["validation_loss"].append(monitored)
            now = time.perf_counter()
            history["epoch_seconds"].append(now - start)
            start = now
            if len(history["loss"]) >= n_rising:
                monitor.update(monitored, state)
            if on_epoch(history, state.params) or monitor.waited == patience:
                ending = "stopped"
                break
    except KeyboardInterrupt:
        ending = "interrupted"
    if ending == "interrupted" or (patience is not None and ending != "diverged"):
        kept = monitor.state or state
    else:
        kept = state
    return TrainingResult(kept.params, earlier.params, state, history, ending)


def _held_out_chunks(
    held_out: Rows | None, batch_size: int
) -> tuple[list[tuple], float]:
    """Chunks of held-out rows on the device, and the weight of all their rows."""
    if held_out is None:
        return [], 0.0
    # Kept on the device, so not more of them than fit there beside the rest.
    order = np.arange(
        min(held_out.X.shape[0], MAX_HELD_OUT_FLOATS // held_out.X.shape[1])
    )
    chunks = batching.chunks(held_out, order, batch_size)
    return [jax.device_put(c) for c in chunks], float(held_out.weight[order].sum())


def _held_out_loss(
    state: TrainingState,
    checks: list[tuple],
    hyper: Hyperparameters,
    static: dict[str, Any],
) -> float:
    """Weighted sum of the losses of held-out rows under one fixed corruption."""
    totals = [chunk_loss(state.params, state.key, *c, hyper, **static) for c in checks]
    return sum(map(float, totals))
