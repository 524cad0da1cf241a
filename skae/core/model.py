"""A fitted detector's parts, and what they say of rows."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from skae.core import batching, bottlenecks, networks, spread, statistics, usual
from skae.core.blocks import View, apply
from skae.core.config import NetworkConfig
from skae.core.gaussian import Statistics
from skae.core.layers import Layer
from skae.core.sample import Sample
from skae.core.scores import SCORES
from skae.core.scores.energy import Energy, Score, Several, few
from skae.core.views import CODES, DECODED, RECONSTRUCTIONS, RESIDUALS

# Parts above this would overflow in float32.
LARGEST = np.finfo(np.float32).max

# Noise of the denoising score in training standard deviations, its seed, and how many
# rows are held in memory at a time.
SCORE_NOISE = 0.5
SCORE_SEED = 0
BLOCK_ROWS = 8192

Weights = dict[str, np.ndarray]


class Model(NamedTuple):
    """A fitted detector's parts: plain Python and NumPy.

    The first axis of weights and statistics counts the members; what they share among
    the statistics is there once.
    """

    network: NetworkConfig
    weights: Weights
    statistics: Statistics
    score: str


def build(
    network: NetworkConfig, score: str, sample: Sample, weights: list[Weights]
) -> Model:
    """Measure what scoring needs, and put the fitted parts together."""
    parts, seen, new = SCORES[score], sample.seen, sample.new
    model = measured(network, score, seen, weights)
    if not parts.needs_new_rows:
        return model
    model = with_units(model, energies(model, new.X), new.weight, sample)
    shared = unstack(model.statistics)[0]
    if sample.n_new:
        # Units are known: what needs no network may now learn from the new rows too.
        shared = statistics.shared(parts, sample)
        model = _with(model, _stack([shared]))
    return _with(model, _stack([statistics.usual_parts(parts, sample, shared)]))


def measured(
    network: NetworkConfig, score: str, sample: Sample, weights: list[Weights]
) -> Model:
    """Measure what energies need; units too, where they are those of training rows."""
    parts = SCORES[score]
    shared = statistics.shared(parts, sample)
    own = [
        statistics.of_network(parts, sample, params, shared, network=network)
        for params in weights
    ]
    return Model(network, _stack(weights), _stack([shared]) | _stack(own), score)


def with_units(
    model: Model, usual: list[np.ndarray], weight: np.ndarray, sample: Sample
) -> Model:
    """Return the model with units made of usual energies, some for each member."""
    found = [
        statistics.fitted_units(SCORES[model.score], of_rows, weight, sample)
        for of_rows in usual
    ]
    return _with(model, _stack(found))


def _with(model: Model, others: Statistics) -> Model:
    return model._replace(statistics=model.statistics | others)


def unstack(stacked: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Split off the leading axis, which counts the members."""
    n_members = len(next(iter(stacked.values())))
    return [{k: v[i] for k, v in stacked.items()} for i in range(n_members)]


def _stack(members: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    return {name: np.stack([m[name] for m in members]) for name in members[0]}


def members_of(model: Model) -> list[tuple[Weights, Statistics]]:
    """Weights and statistics of each member."""
    return [
        (
            weights,
            {k: v[0 if len(v) == 1 else i] for k, v in model.statistics.items()},
        )
        for i, weights in enumerate(unstack(model.weights))
    ]


def energies(model: Model, X: Any) -> list[np.ndarray]:
    """Energies of rows by each member, float64 of shape (n, number of energies)."""
    found = _by_energy(model, Several.roots, X)
    return [np.square(roots[..., 0], dtype=np.float64) for roots in found]


def _by_energy(
    model: Model, view: Callable[[tuple[Energy, ...]], View], X: Any
) -> list[np.ndarray]:
    """Apply a view of energies for each member; arrays of (n, energy, entry).

    One program for those that need the network, and one for those that do not.
    """
    members, all_energies = members_of(model), SCORES[model.score].energies
    X = spread.shifted(X, model.statistics)
    shared, own = (
        [i for i, e in enumerate(all_energies) if e.needs_network is needs]
        for needs in (False, True)
    )

    def told(chosen: list[int], member: tuple[Weights, Statistics]) -> np.ndarray:
        several = view(tuple(all_energies[i] for i in chosen))
        found = apply(several, X, *member, network=model.network)
        return found.reshape(len(found), len(chosen), -1)

    by_all = [told(shared, members[0])] if shared else []
    order = np.argsort(shared + own)
    return [
        np.concatenate([*by_all, *([told(own, m)] if own else [])], axis=1)[:, order]
        for m in members
    ]


def score_rows(model: Model, X: Any) -> np.ndarray:
    """Float64 scores, averaged over the members; higher is more normal."""
    merge = SCORES[model.score].combination.merge
    total = np.zeros(X.shape[0])
    members = members_of(model)
    for of_rows, (_, found) in zip(energies(model, X), members, strict=True):
        total += merge(of_rows, found)
    return -total / len(members)


def _each_member(model: Model, view: View, X: Any) -> list[np.ndarray]:
    X = spread.shifted(X, model.statistics)
    return [apply(view, X, *m, network=model.network) for m in members_of(model)]


def _first(model: Model) -> Model:
    return model._replace(weights={k: v[:1] for k, v in model.weights.items()})


def codes(model: Model, X: Any) -> np.ndarray:
    """Codes by the first member."""
    return _each_member(_first(model), CODES, X)[0]


def decode(model: Model, codes: Any) -> np.ndarray:
    """Float64 rows that the first member's decoder makes of codes."""
    (member,) = members_of(_first(model))
    rows = apply(DECODED, codes, *member, network=model.network)
    return spread.back(rows.astype(np.float64), model.statistics)


def sample(
    model: Model, n_samples: int, generator: np.random.RandomState
) -> np.ndarray:
    """Float64 rows that the first member's decoder makes of draws from the prior.

    The decoder's noise is added, where it has learnt one.
    """
    prior = generator.standard_normal((n_samples, model.network.latent_dim))
    rows = decode(model, prior)
    weights = unstack(model.weights)[0]
    noise = bottlenecks.of(model.network).noise(weights, rows.shape, generator)
    return rows + noise


def has_collapsed(model: Model, sample: Sample) -> bool:
    """Whether a member's codes tell nothing of the rows."""
    has_collapsed = bottlenecks.of(model.network).has_collapsed
    if has_collapsed is None:
        return False
    codes = _each_member(model, CODES, sample.first(few(sample.width)).X)
    return any(map(has_collapsed, codes))


def reconstruct(model: Model, X: Any) -> np.ndarray:
    """Float64 reconstructions, averaged over the members."""
    outputs = _each_member(model, RECONSTRUCTIONS, X)
    rows = np.asarray(np.mean(outputs, axis=0, dtype=np.float64))
    return spread.back(rows, model.statistics)


def feature_errors(model: Model, X: Any, *, normalize: bool) -> np.ndarray:
    """Squared residuals, averaged over the members; relative to training if asked."""
    roots = _each_member(model, RESIDUALS, X)
    errors = np.mean(np.square(roots, dtype=np.float64), axis=0)
    return _observed(errors, X) / (usual.errors(model.statistics) if normalize else 1.0)


def _observed(cells: np.ndarray, X: Any) -> np.ndarray:
    """Cells of rows, NaN where those are missing."""
    start = 0
    for block in batching.blocks(X, BLOCK_ROWS):
        cells[start : start + len(block)][np.isnan(block)] = np.nan
        start += len(block)
    return cells


def explained(model: Model, X: Any) -> np.ndarray:
    """How much each column makes of the scores, at least 0; NaN in missing cells.

    Of a single energy its parts, in usual ones; of several the weighted sum of the
    logarithms of one plus that, so that what is odd by all of them comes first.
    """
    model, X = _at_zero(model, X)
    blocks = batching.blocks(X, BLOCK_ROWS)
    return _observed(np.concatenate([_parts(model, block) for block in blocks]), X)


def _at_zero(model: Model, X: Any) -> tuple[Model, Any]:
    """Return a model of shifted rows, and these, which may then be cast to float32."""
    kept = {k: v for k, v in model.statistics.items() if k != spread.SHIFT}
    return model._replace(statistics=kept), spread.shifted(X, model.statistics)


def _parts(model: Model, X: np.ndarray) -> np.ndarray:
    score, members = SCORES[model.score], members_of(model)
    of_network = usual.errors(model.statistics)
    found = np.zeros(X.shape)
    by_member = _by_energy(model, Several.parts, X)
    for cells, (_, kept) in zip(by_member, members, strict=True):
        weights = _weights(score, kept)
        own = kept.get(statistics.USUAL, np.ones((len(weights), 1)))
        for i, (energy, weight) in enumerate(zip(score.energies, weights, strict=True)):
            part = np.minimum(cells[:, i], LARGEST, dtype=np.float64)
            part = part / (own[i] if energy.usual_parts else of_network)
            found += weight * (np.log1p(part) if len(weights) > 1 else part)
    return found / len(members)


def _weights(score: Score, found: Statistics) -> np.ndarray:
    """How much each energy counts."""
    if score.combination.weight:
        return np.asarray(found[score.combination.weight])
    return np.full(len(score.energies), 1 / len(score.energies))


def denoising_score(model: Model, X: Any) -> float:
    """Minus the median denoising error, in training variances."""
    scale = model.statistics["scale"][0].astype(np.float64)
    errors = []
    rng = np.random.default_rng(SCORE_SEED)
    model, X = _at_zero(model, X)
    for clean in batching.blocks(X, BLOCK_ROWS):
        noise = rng.standard_normal(clean.shape) * SCORE_NOISE * scale
        error = (clean - reconstruct(model, clean + noise)) / scale
        errors.append(np.nanmean(np.square(error), axis=1))
    return -float(np.median(np.concatenate(errors)))


def to_module(model: Model) -> Any:
    """Return the first member's network as a module of its own."""
    params = {name: jnp.asarray(v[0]) for name, v in model.weights.items()}
    return networks.merge(params, config=model.network)


def layer_table(model: Model) -> list[Layer]:
    """Describe the layers."""
    return networks.layer_table(model.network)
