"""The training loop: compiled chunks of steps, driven from the host."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax import Array

from skae.core import batching
from skae.core.batching import Rows
from skae.core.compilation import make_room
from skae.core.config import Features, Hyperparameters, NetworkConfig, TrainingConfig
from skae.core.course import (
    Course,
    OnChunk,
    OnEpoch,
    TrainingResult,
    TrainingState,
    go_on,
)
from skae.core.steps import chunk_loss, train_chunk

MAX_HELD_OUT_FLOATS = 2**24


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
    shares_chunks: bool = False,
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
    shares_chunks : bool
        Whether short epochs share chunks, so that the states between them are not
        seen: to hand one over takes about half as long as a step.
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
    if shares_chunks:
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
