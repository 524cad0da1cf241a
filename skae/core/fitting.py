"""Train networks by a plan, and score few rows as if they were new."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skae.core import batching, bottlenecks, networks, training
from skae.core.batching import Rows
from skae.core.blocks import MAX_BLOCK_ROWS, apply
from skae.core.config import Hyperparameters, NetworkConfig, Plan, TrainingConfig
from skae.core.course import (
    History,
    OnChunk,
    OnEpoch,
    TrainingState,
    go_on,
    joined,
)
from skae.core.model import (
    Model,
    Weights,
    build,
    energies,
    measured,
    members_of,
    with_units,
)
from skae.core.optimizers import init_optimizer
from skae.core.sample import Sample
from skae.core.scores import SCORES
from skae.core.splitting import Split, features_of, split_off, trusted
from skae.core.statistics import fitted_units
from skae.core.views import REPRESENTATION

# Length of a training that is not told: so many steps, or so many epochs if they take
# more, but not too many. More than a hundred epochs of a small table take longer and
# detect no better; large tables gain from more than a thousand steps.
MIN_AUTO_STEPS = 1000
MAX_AUTO_STEPS = 4000
USUAL_AUTO_EPOCHS = 30
MAX_AUTO_EPOCHS = 100

N_FOLDS = 5

# Share of the steps over which the prior of the codes gains its weight.
WARM_UP = 0.25


class Member(NamedTuple):
    """One trained network: everything NumPy."""

    weights: Weights
    optimizer_leaves: list[np.ndarray]
    history: History
    ending: str


def n_epochs(plan: Plan, n_rows: int, n_all: int | None = None) -> int:
    """Epochs of a training on so many rows.

    As one part of ``n_all`` rows they take the steps that all would take, within the
    usual bound: weights that were averaged have come no further than those of a part.
    """
    if plan.max_epochs is not None:
        return plan.max_epochs
    per_epoch = batching.steps_per_epoch(n_rows, plan.training.batch_size)
    steps = np.clip(USUAL_AUTO_EPOCHS * per_epoch, MIN_AUTO_STEPS, MAX_AUTO_STEPS)
    epochs = int(min(MAX_AUTO_EPOCHS, -(-steps // per_epoch)))
    if n_all is None:
        return epochs
    in_all = batching.steps_per_epoch(n_all, plan.training.batch_size)
    steps = min(n_epochs(plan, n_all) * in_all, MAX_AUTO_STEPS)
    return max(epochs, int(-(-steps // per_epoch)))


def length(
    plan: Plan, n_rows: int, n_all: int | None = None, *, continues: bool
) -> tuple[int, int, Hyperparameters]:
    """Height of batches, number of epochs, and hyper-parameters of a training."""
    height = batching.batch_height(n_rows, plan.training.batch_size)
    epochs = n_epochs(plan, n_rows, n_all)
    n_steps = epochs * batching.steps_per_epoch(n_rows, height)
    is_settled = continues or not bottlenecks.of(plan.network).has_prior
    hyper = plan.hyper._replace(
        warm_up=np.float32(0 if is_settled else WARM_UP * n_steps),
        n_steps=np.float32(n_steps),
    )
    return height, epochs, hyper


def start(
    plan: Plan, config: TrainingConfig, hyper: Hyperparameters, rng: Any, previous: Any
) -> tuple[Weights, Any]:
    """Weights and state of the optimizer to start from.

    The previous ones, but a fresh state where the optimizer has become another.
    """
    network = plan.network
    weights = previous.weights if previous else networks.init(rng, config=network)
    fresh = init_optimizer(
        weights, hyper, bottleneck=network.bottleneck, training=config
    )
    leaves, structure = jax.tree.flatten(fresh)
    old = previous.optimizer_leaves if previous else []
    if [np.shape(leaf) for leaf in leaves] != [leaf.shape for leaf in old]:
        return weights, fresh
    return weights, jax.tree.unflatten(structure, old)


def train_member(
    plan: Plan,
    split: Split,
    *,
    seed: int,
    previous: Member | None = None,
    n_done: int | None = None,
    on_epoch: OnEpoch = go_on,
    on_chunk: OnChunk | None = None,
) -> Member:
    """Train one network, from scratch or on from ``previous``.

    ``n_done`` makes other draws than those of the trainings before: the epochs that
    were, if it is not given.
    """
    height, epochs, hyper = length(
        plan, split.train.X.shape[0], continues=previous is not None
    )
    config = replace(plan.training, batch_size=height)
    if n_done is None:
        n_done = len(previous.history["loss"]) if previous else 0
    rng = np.random.default_rng([seed, n_done])
    weights, optimizer_state = start(plan, config, hyper, rng, previous)
    # From its bits: jax.random.key would compile two programs. The implementation is
    # named because the default one is a global setting.
    bits = jnp.asarray(np.array([n_done % 2**32, seed], np.uint32))
    key = jax.random.wrap_key_data(bits, impl="threefry2x32")
    result = training.train(
        TrainingState(weights, optimizer_state, np.int32(0), key),
        split.train,
        split.held_out,
        hyper,
        features_of(split.sample, config.corruption),
        network=plan.network,
        training=config,
        n_epochs=epochs,
        shuffle=rng,
        patience=plan.patience,
        tol=plan.tol,
        on_epoch=on_epoch,
        on_chunk=on_chunk,
    )
    history, ending = result.history, result.ending
    if previous:
        history = joined(previous.history, history)
    kept = to_numpy(result.params)
    if not _finite(kept, split, plan.network):
        kept, ending = to_numpy(result.earlier_params), "diverged"
        if not _finite(kept, split, plan.network):
            kept = to_numpy(weights)
    leaves = jax.tree.leaves(result.state.optimizer_state)
    return Member(kept, [np.array(x) for x in leaves], history, ending)


def _finite(weights: Weights, split: Split, network: NetworkConfig) -> bool:
    """Whether weights are finite, and what they make of rows that no loss has told."""
    if not all(np.isfinite(array).all() for array in weights.values()):
        return False
    if split.held_out is not None:
        return True
    # More than a block, for the program that the statistics need too.
    sample = split.sample.first(MAX_BLOCK_ROWS + 1)
    output = apply(REPRESENTATION, sample.X, weights, sample.ball, network=network)
    return bool(np.isfinite(output).all())


def to_numpy(params: Any) -> Weights:
    """Copy parameters to the host."""
    return {name: np.array(value) for name, value in params.items()}


def fitted_model(plan: Plan, split: Split, members: list[Member]) -> Model:
    """Measure what scoring needs of trained networks."""
    weights = [member.weights for member in members]
    return build(plan.network, plan.score, split.sample, weights)


class OutOfFold(NamedTuple):
    """Energies of each row where it was left out, and the number of its fold.

    ``is_trusted`` says which rows are not left out by all folds, as suspects.
    """

    energies: np.ndarray
    fold: np.ndarray
    is_trusted: np.ndarray


def needs_folds(plan: Plan, split: Split) -> bool:
    """Whether rows are too few to hold any out for threshold or units."""
    has_units = split.sample.n_new > 0 or not SCORES[plan.score].needs_new_rows
    return not has_units or (split.held_out is None and plan.validation_fraction > 0)


def cross_fit(plan: Plan, rows: Rows, model: Model, *, seed: int) -> OutOfFold:
    """Measure each row by a network, and all else, that have not seen it.

    For few rows, of which none are held out: energies of rows that a wide network has
    learnt say nothing about new ones. Every fold trusts the rows that ``model`` trusts.
    Concentration ends in one of many optima, and rows of a category that one of them
    leaves out would be outliers of this fold alone.
    """
    _, whole = members_of(model)[0]
    n_rows = rows.X.shape[0]
    found = np.empty((n_rows, len(SCORES[plan.score].energies)))
    number = np.empty(n_rows, int)
    order = batching.permutation(n_rows, np.random.default_rng(seed))
    for i, fold in enumerate(np.array_split(order, min(N_FOLDS, n_rows))):
        split = split_off(plan, rows, order[~np.isin(order, fold)], whole=whole)
        member = train_member(plan, split, seed=seed)
        if member.ending == "interrupted":
            raise KeyboardInterrupt
        part = measured(plan.network, plan.score, split.sample, [member.weights])
        (found[fold],) = energies(part, batching.take(rows.X, fold))
        number[fold] = i
    is_trusted = np.ones(n_rows, bool)
    if plan.trim > 0:
        is_trusted = np.isin(np.arange(n_rows), trusted(rows, plan.trim, whole))
    return OutOfFold(found, number, is_trusted)


def in_units_of(
    model: Model, out_of_fold: OutOfFold, weight: np.ndarray, sample: Sample
) -> tuple[Model, np.ndarray]:
    """Return the model with its units, and scores of the rows as if they were new.

    Units are those of ``model``, which depend on how well the training rows were
    learnt; or they are made of energies of trusted rows in other folds.
    """
    score, (found, number, is_trusted) = SCORES[model.score], out_of_fold
    merge, members = score.combination.merge, members_of(model)
    if not score.needs_new_rows:
        return model, -merge(found, members[0][1])
    scores, weight = np.empty(len(found)), weight * is_trusted
    for i in np.unique(number):
        own = number == i
        units = fitted_units(score, found[~own], weight[~own], sample)
        scores[own] = -merge(found[own], units)
    return with_units(model, [found] * len(members), weight, sample), scores
