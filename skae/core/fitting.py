"""Train networks by a plan, and measure what scoring needs of them."""

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skae.core import batching, bottlenecks, gaussian, members, networks, training
from skae.core.compilation import is_new
from skae.core.config import Hyperparameters, NetworkConfig, Plan, TrainingConfig
from skae.core.course import (
    History,
    OnChunk,
    OnEpoch,
    TrainingResult,
    TrainingState,
    go_on,
    joined,
)
from skae.core.devices import carried
from skae.core.model import (
    Model,
    Weights,
    build,
    score_rows,
)
from skae.core.optimizers import init_optimizer
from skae.core.splitting import Split, features_of
from skae.core.views import REPRESENTATION

# Length of a training that is not told: so many steps, or so many epochs if they take
# more, but not too many. More than a hundred epochs of a small table take longer and
# detect no better; large tables gain from more than a thousand steps.
MIN_AUTO_STEPS = 1000
MAX_AUTO_STEPS = 4000
USUAL_AUTO_EPOCHS = 30
MAX_AUTO_EPOCHS = 100

# Rows that a network is looked at for having diverged, at most.
FINITE_ROWS = 512

# Rows that are measured for the programs alone, at most.
REHEARSAL_ROWS = 1024

# Share of the steps over which the prior of the codes gains its weight.
WARM_UP = 0.25


class Trained(NamedTuple):
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
    previous: Trained | None = None,
    n_done: int | None = None,
    on_epoch: OnEpoch = go_on,
    on_chunk: OnChunk | None = None,
    each_epoch: bool = False,
) -> Trained:
    """Train one network, from scratch or on from ``previous``.

    ``on_epoch`` is called after each epoch only if that is asked for.

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
    state = TrainingState(weights, optimizer_state, np.int32(0), _key(n_done, seed))

    def trained(rng: np.random.Generator, *, shares_chunks: bool) -> Trained:
        is_first = is_new(plan.network, config)
        with _rehearsal(plan, split, weights) if is_first else nullcontext():
            result = training.train(
                state,
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
                shares_chunks=shares_chunks,
            )
        return _member(result, split, previous, weights, network=plan.network)

    is_looked_at = each_epoch or plan.patience is not None
    if not is_looked_at and split.held_out is None:
        member = trained(copy.deepcopy(rng), shares_chunks=True)
        if member.ending != "diverged":
            return member
        # Once more, for the weights of the last epoch that was finite.
    return trained(rng, shares_chunks=False)


def _key(n_done: int, seed: int) -> jax.Array:
    """Key of a training's random numbers.

    From its bits: jax.random.key would compile two programs. The implementation is
    named because the default one is a global setting.
    """
    bits = jnp.asarray(np.array([n_done % 2**32, seed], np.uint32))
    return jax.random.wrap_key_data(bits, impl="threefry2x32")


@contextmanager
def _rehearsal(plan: Plan, split: Split, weights: Weights) -> Iterator[None]:
    """Do what follows the training meanwhile, in a thread, with untrained weights.

    Its programs are then compiled beside those of the training, for which XLA needs
    no lock of the interpreter. What fails here fails again where it is heard.
    """
    sample = split.sample.first(REHEARSAL_ROWS)
    width = plan.network.n_features + plan.network.latent_dim

    def rehearse() -> None:
        if width <= gaussian.FULL_COVARIANCE_WIDTH:
            score_rows(build(plan.network, plan.score, sample, [weights]), sample.X)
        else:
            # Of wide rows, statistics take long, and their shapes depend on the number.
            member = members.Member(plan.network, weights, sample.ball)
            members.apply(REPRESENTATION, sample.X, member)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(carried(rehearse))
        yield


def _member(
    result: TrainingResult,
    split: Split,
    previous: Trained | None,
    fresh: Weights,
    *,
    network: NetworkConfig,
) -> Trained:
    history, ending = result.history, result.ending
    if previous:
        history = joined(previous.history, history)
    kept = to_numpy(result.params)
    if not _finite(kept, split, network):
        kept, ending = to_numpy(result.earlier_params), "diverged"
        if not _finite(kept, split, network):
            kept = to_numpy(fresh)
    leaves = jax.tree.leaves(result.state.optimizer_state)
    return Trained(kept, [np.array(x) for x in leaves], history, ending)


def _finite(weights: Weights, split: Split, network: NetworkConfig) -> bool:
    """Whether weights are finite, and what they make of rows that no loss has told."""
    if not all(np.isfinite(array).all() for array in weights.values()):
        return False
    if split.held_out is not None:
        return True
    sample = split.sample.first(FINITE_ROWS)
    member = members.Member(network, weights, sample.ball)
    return bool(np.isfinite(members.apply(REPRESENTATION, sample.X, member)).all())


def to_numpy(params: Any) -> Weights:
    """Copy parameters to the host."""
    return {name: np.array(value) for name, value in params.items()}


def fitted_model(plan: Plan, split: Split, members: list[Trained]) -> Model:
    """Measure what scoring needs of trained networks."""
    weights = [member.weights for member in members]
    return build(plan.network, plan.score, split.sample, weights)
