"""Training in rounds: parts of a table train on from common weights, then averaged.

Local SGD (Stich, 2019), also known as federated averaging (McMahan et al., 2017). A
round of a part depends on the common state, the seed and its number alone, so it may be
computed anywhere, and again.
"""

from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skae.core import batching, training
from skae.core.batching import Rows
from skae.core.config import Features, Hyperparameters, Plan
from skae.core.course import TrainingState
from skae.core.fitting import Trained, length, start, to_numpy

# Steps of a round, where nobody says how many: more lose detection, above all where
# parts differ (docs/scale.md); fewer take time, and read more rows than they train on.
# But few rows are not learnt by heart between two rounds.
MIN_ROUND_STEPS, MAX_ROUND_STEPS = 50, 200
MAX_ROUND_EPOCHS = 8


class Schedule(NamedTuple):
    """How the largest part trains; smaller ones take as many epochs.

    ``height`` is that of its batches, ``n_rows`` its rows, ``n_steps`` all its steps,
    and ``per_round`` the steps of a round.
    """

    n_rows: int
    height: int
    n_steps: int
    per_round: int
    hyper: Hyperparameters

    @property
    def n_rounds(self) -> int:
        """Rounds until all steps are done."""
        return -(-self.n_steps // self.per_round)

    def stop_of(self, i: int, n_rows: int) -> int:
        """Rows that a part of so many has trained on after ``i`` rounds."""
        per_epoch = batching.steps_per_epoch(self.n_rows, self.height)
        done = min(i * self.per_round, self.n_steps)
        return -(-done * n_rows // per_epoch)


class Sum(NamedTuple):
    """Weights and state of parts, times their rows; ``loss`` too."""

    n_rows: int
    arrays: list[np.ndarray]
    loss: float


def schedule(plan: Plan, n_rows: int, n_all: int, per_round: int | None) -> Schedule:
    """Plan rounds for parts of at most so many of all rows.

    None: of an epoch each, of some if they are short, or of a part of a long one.
    """
    height, epochs, hyper = length(plan, n_rows, n_all, continues=False)
    per_epoch = batching.steps_per_epoch(n_rows, height)
    n_steps = epochs * per_epoch
    if per_round is None:
        some = min(MIN_ROUND_STEPS, MAX_ROUND_EPOCHS * per_epoch)
        per_round = min(max(per_epoch, some), MAX_ROUND_STEPS)
    return Schedule(n_rows, height, n_steps, min(per_round, n_steps), hyper)


def begin(plan: Plan, rounds: Schedule, seed: int) -> TrainingState:
    """Make weights, and leaves of the optimizer's state, to begin with."""
    config = replace(plan.training, batch_size=rounds.height)
    rng = np.random.default_rng([seed, 0])
    weights, state = start(plan, config, rounds.hyper, rng, None)
    leaves = [np.array(leaf) for leaf in jax.tree.leaves(state)]
    return TrainingState(to_numpy(weights), leaves, 0, None)


def train_part(
    plan: Plan,
    rounds: Schedule,
    rows: Rows,
    features: Features,
    common: TrainingState,
    *,
    i: int,
    seed: int,
    part: int,
) -> Sum:
    """Train the common weights on a part's rows of round ``i``."""
    n_rows = rows.X.shape[0]
    first, stop = rounds.stop_of(i, n_rows), rounds.stop_of(i + 1, n_rows)
    if stop == first:
        return Sum(0, [], 0.0)
    state = _state(plan, rounds, common, i=i, seed=seed, part=part)
    result = training.train(
        state,
        rows.select(np.sort(_positions(n_rows, first, stop, seed, part))),
        None,
        rounds.hyper,
        features,
        network=plan.network,
        training=replace(plan.training, batch_size=rounds.height),
        n_epochs=1,
        shuffle=np.random.default_rng([seed, part, i, 1]),
    )
    loss = result.history["loss"][0] if result.history["loss"] else np.nan
    leaves = jax.tree.leaves(result.state.optimizer_state)
    # In the order of the common ones, which compiled programs do not keep.
    weights = [result.state.params[name] for name in common.params]
    arrays = list(map(np.array, [*weights, *leaves]))
    return Sum(n_rows, [_times(array, n_rows) for array in arrays], loss * n_rows)


def _state(
    plan: Plan, rounds: Schedule, common: TrainingState, *, i: int, seed: int, part: int
) -> TrainingState:
    config = replace(plan.training, batch_size=rounds.height)
    known = Trained(common.params, common.optimizer_state, {}, "running")
    rng = np.random.default_rng(0)
    weights, optimizer_state = start(plan, config, rounds.hyper, rng, known)
    bits = jnp.asarray(np.array([part, seed], np.uint32))
    key = jax.random.wrap_key_data(bits, impl="threefry2x32")
    return TrainingState(weights, optimizer_state, np.int32(i * rounds.per_round), key)


def _positions(n_rows: int, first: int, stop: int, seed: int, part: int) -> np.ndarray:
    """Rows ``first`` to ``stop`` of endless epochs, each in an order of its own."""
    found = []
    for epoch in range(first // n_rows, -(-stop // n_rows)):
        order = batching.permutation(n_rows, np.random.default_rng([seed, part, epoch]))
        begin = epoch * n_rows
        found.append(order[max(first - begin, 0) : stop - begin])
    return np.concatenate(found)


def _times(array: np.ndarray, n_rows: int) -> np.ndarray:
    """Float64 multiple of an array; counts stay."""
    return array * np.float64(n_rows) if array.dtype.kind == "f" else array


def add(sums: list[Sum]) -> Sum:
    """Add what parts have learnt, in their order; counts are those of the largest."""
    sums = [found for found in sums if found.n_rows]
    if not sums:
        return Sum(0, [], 0.0)
    arrays = [
        reduce(np.add if columns[0].dtype.kind == "f" else np.maximum, columns)
        for columns in zip(*(found.arrays for found in sums), strict=True)
    ]
    n_rows = sum(found.n_rows for found in sums)
    return Sum(n_rows, arrays, sum(found.loss for found in sums))


def mean(total: Sum, common: TrainingState) -> TrainingState:
    """State whose numbers are the mean of those of all parts."""
    old = [*common.params.values(), *common.optimizer_state]
    new = [
        (array / total.n_rows).astype(like.dtype) if like.dtype.kind == "f" else array
        for array, like in zip(total.arrays, old, strict=True)
    ]
    params = dict(zip(common.params, new, strict=False))
    return TrainingState(params, new[len(params) :], common.step + 1, None)


def held_out_loss(
    plan: Plan,
    rounds: Schedule,
    held_out: Rows,
    features: Features,
    common: TrainingState,
    seed: int,
) -> float:
    """Mean loss of held-out rows under one fixed corruption."""
    return training.mean_loss(
        _state(plan, rounds, common, i=0, seed=seed, part=0),
        held_out,
        (rounds.hyper, features),
        network=plan.network,
        training=replace(plan.training, batch_size=rounds.height),
    )
