"""The training loop: one compiled chunk of steps, driven from the host.

The chunk is compiled once for each architecture and set of active terms. Its shape is
(steps, batch, features) whatever the number of rows, and it runs as many of its steps
as it is told, so padding costs no arithmetic.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core import batching, bottlenecks
from skae.core.batching import Rows
from skae.core.bottlenecks import Parameters
from skae.core.compilation import OPTIONS, bounded, make_room
from skae.core.config import Features, Hyperparameters, NetworkConfig, TrainingConfig
from skae.core.course import (
    Course,
    OnChunk,
    OnEpoch,
    TrainingResult,
    TrainingState,
    go_on,
)
from skae.core.networks import bind
from skae.core.objective import filled, objective, row_losses
from skae.core.optimizers import optimizer_of, rate_of

MAX_HELD_OUT_FLOATS = 2**24


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
        return state, losses.at[i].set(loss * jnp.sum(weight[i] > 0))

    start = state, jnp.zeros(len(x), jnp.float32)
    return jax.lax.fori_loop(0, n_used, step, start)


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

    return jax.lax.fori_loop(0, n_used, add, jnp.float32(0))


def _dispatch(
    state: TrainingState,
    chunks: Iterable[tuple[Any, ...]],
    traced: tuple[Hyperparameters, Features],
    static: dict[str, Any],
    on_done: Callable[[Array], None] | None,
) -> tuple[TrainingState, list[Array]]:
    """Hand chunks to the device; return the state and losses that they will give.

    ``on_done`` gets the losses of a chunk when the next one has been handed over, so
    that the device is busy while it waits.
    """
    found: list[Array] = []
    for chunk in chunks:
        state, losses = train_chunk(state, *chunk, *traced, **static)
        if on_done and found:
            on_done(found[-1])
        found.append(losses)
    return state, found


def _epochs(
    state: TrainingState,
    rows: Rows,
    numbers: list[int],
    shuffle: np.random.Generator,
    traced: tuple[Hyperparameters, Features],
    static: dict[str, Any],
    on_done: Callable[[Array], None] | None,
) -> Iterator[tuple[TrainingState, list[Array]]]:
    """Dispatch so many epochs at a time, the rows of each in an order of its own.

    The first chunk of what follows is dispatched before the state is yielded, so that
    the device is busy while the caller waits for the losses.
    """
    n_rows, n_features = rows.X.shape

    def shuffled(number: int) -> Iterator[tuple[Any, ...]]:
        order, *others = (
            batching.shuffled(n_rows, n_features, shuffle) for _ in range(number)
        )
        order = np.concatenate([order, *others]) if others else order
        return batching.chunks(rows, order, static["training"].batch_size, number)

    chunks = shuffled(numbers[0])
    losses: list[Array] = []
    for number in [*numbers[1:], 0]:
        state, rest = _dispatch(state, chunks, traced, static, on_done)
        ended = state, losses + rest
        if number:
            chunks = shuffled(number)
            state, losses = _dispatch(
                state, itertools.islice(chunks, 1), traced, static, None
            )
        yield ended


def train(
    state: TrainingState,
    rows: Rows,
    held_out: Rows | None,
    hyper: Hyperparameters,
    features: Features,
    *,
    network: NetworkConfig,
    training: TrainingConfig,
    n_epochs: int,
    shuffle: np.random.Generator,
    patience: int | None = None,
    tol: float = 0.0,
    on_epoch: OnEpoch = go_on,
    on_chunk: OnChunk | None = None,
    each_epoch: bool = True,
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
        Called after each epoch, or after some; True stops.
    each_epoch : bool
        Whether all epochs are looked at. If not, and if neither patience nor rows held
        out ask for it, short ones share a chunk: to hand one over takes half as long
        as a step.
    on_chunk : callable ``(n_chunks) -> None`` or None
        Called after most of the ``n_chunks`` chunks of an epoch.

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
    static = {"network": network, "training": training}
    # While the prior gains weight, the loss rises of itself.
    course = Course(state, tol, -(-float(hyper.warm_up) // per_epoch))
    traced = jax.device_put((hyper, features))
    on_done = _teller(on_chunk, batching.chunks_per_epoch(rows.X, training.batch_size))
    checks, checked_weight = _held_out_chunks(held_out, training.batch_size)
    together = 1
    if not (each_epoch or checks or patience):
        n_steps = batching.chunk_steps(training.batch_size, rows.X.shape[1])
        together = max(1, n_steps // per_epoch)
    numbers = [min(together, n_epochs - i) for i in range(0, n_epochs, together)]
    try:
        epochs = _epochs(state, rows, numbers, shuffle, traced, static, on_done)
        for number, (candidate, found) in zip(numbers, epochs, strict=True):
            steps = np.concatenate(found, dtype=np.float64)[: number * per_epoch]
            losses = steps.reshape(number, -1).sum(axis=1) / n_rows
            check = None
            if checks:
                total = _held_out_loss(candidate, checks, traced, static)
                check = total / checked_weight
            if not np.isfinite([*losses, 0.0 if check is None else check]).all():
                course.ending = "diverged"
                break
            course.add(candidate, losses.tolist(), check)
            if on_epoch(course.history, candidate.params) or course.waited == patience:
                course.ending = "stopped"
                break
    except KeyboardInterrupt:
        course.ending = "interrupted"
    return course.result(wants_best=patience is not None)


def _teller(on_chunk: OnChunk | None, n_chunks: int) -> Callable[[Array], None] | None:
    """Make what waits for a chunk and tells that it is done; None without need."""
    if on_chunk is None:
        return None

    def on_done(total: Array) -> None:
        total.block_until_ready()
        on_chunk(n_chunks)

    return on_done


def _held_out_chunks(
    held_out: Rows | None, batch_size: int
) -> tuple[list[tuple[Any, ...]], float]:
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
    checks: list[tuple[Any, ...]],
    traced: tuple[Hyperparameters, Features],
    static: dict[str, Any],
) -> float:
    """Weighted sum of the losses of held-out rows under one fixed corruption."""
    totals = [
        chunk_loss(state.params, state.key, *chunk, *traced, **static)
        for chunk in checks
    ]
    return sum(map(float, totals))


def mean_loss(
    state: TrainingState,
    held_out: Rows,
    numbers: tuple[Hyperparameters, Features],
    *,
    network: NetworkConfig,
    training: TrainingConfig,
) -> float:
    """Mean loss of rows that do not train, under one fixed corruption."""
    checks, weight = _held_out_chunks(held_out, training.batch_size)
    static = {"network": network, "training": training}
    return _held_out_loss(state, checks, jax.device_put(numbers), static) / weight
