"""A fitted detector's parts, and what they say of rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from skae.core import batching, bottlenecks, networks, spread, statistics, usual
from skae.core.blocks import View
from skae.core.config import NetworkConfig
from skae.core.gaussian import Statistics
from skae.core.layers import Layer
from skae.core.members import Member, apply, started
from skae.core.sample import Sample
from skae.core.scores import SCORES
from skae.core.scores.energy import Apart, Score, few
from skae.core.views import CODES, DECODED, RECONSTRUCTIONS, RESIDUALS

# Parts above this would overflow in float32.
LARGEST = np.finfo(np.float32).max

# Noise of the denoising score in training standard deviations, its seed, and how many
# rows are held in memory at a time.
SCORE_NOISE = 0.5
SCORE_SEED = 0
BLOCK_ROWS = 8192

Weights = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted detector's parts: plain Python and NumPy.

    The first axis of weights and statistics counts the members; what they share among
    the statistics is there once.
    """

    network: NetworkConfig
    weights: Weights
    statistics: Statistics
    score: str

    @cached_property
    def members(self) -> list[Member]:
        """Weights and statistics of each member."""
        return [
            Member(
                self.network,
                weights,
                {k: v[0 if len(v) == 1 else i] for k, v in self.statistics.items()},
            )
            for i, weights in enumerate(unstack(self.weights))
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        # What its members have on a device stays there.
        return Model, (self.network, self.weights, self.statistics, self.score)


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
    return replace(model, statistics=model.statistics | others)


def unstack(stacked: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Split off the leading axis, which counts the members."""
    n_members = len(next(iter(stacked.values())))
    return [{k: v[i] for k, v in stacked.items()} for i in range(n_members)]


def _stack(members: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    return {name: np.stack([m[name] for m in members]) for name in members[0]}


def energies(model: Model, X: Any) -> list[np.ndarray]:
    """Energies of rows by each member, float64 of shape (n, number of energies)."""
    found = _by_energy(
        model, SCORES[model.score].roots, spread.shifted(X, model.statistics)
    )
    # Column by column, since NumPy is slow with short rows.
    return [np.square(roots[..., 0], dtype=np.float64, order="F") for roots in found]


def _by_energy(model: Model, views: Apart, X: Any) -> list[np.ndarray]:
    """Apply views of energies for each member; arrays of (n, energy, entry)."""
    members = model.members
    shared = [started(views.shared, X, members[0])] if views.shared else []
    by_member = [[started(views.own, X, m)] if views.own else [] for m in members]
    first = [wait() for wait in shared]

    def joined(found: list[np.ndarray]) -> np.ndarray:
        each = np.concatenate(found, axis=1) if len(found) > 1 else found[0]
        each = each.reshape(len(each), len(views.order), -1)
        return each[:, views.order]

    return [joined([*first, *(wait() for wait in own)]) for own in by_member]


def score_rows(model: Model, X: Any) -> np.ndarray:
    """Float64 scores, averaged over the members; higher is more normal."""
    merge = SCORES[model.score].combination.merge
    total = np.zeros(X.shape[0])
    for of_rows, member in zip(energies(model, X), model.members, strict=True):
        # In the processor's cache: in less than half the time of all at once.
        for start in range(0, len(total), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            total[rows] += merge(of_rows[rows], member.statistics)
    return -total / len(model.members)


def _each_member(model: Model, view: View, X: Any) -> list[np.ndarray]:
    return [apply(view, X, member) for member in model.members]


def codes(model: Model, X: Any) -> np.ndarray:
    """Codes by the first member."""
    return apply(CODES, spread.shifted(X, model.statistics), model.members[0])


def decode(model: Model, codes: Any) -> np.ndarray:
    """Float64 rows that the first member's decoder makes of codes."""
    rows = apply(DECODED, codes, model.members[0])
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
    rows = _restored(model, spread.shifted(X, model.statistics))
    return spread.back(rows, model.statistics)


def _restored(model: Model, X: Any) -> np.ndarray:
    outputs = _each_member(model, RECONSTRUCTIONS, X)
    return np.asarray(np.mean(outputs, axis=0, dtype=np.float64))


def feature_errors(model: Model, X: Any, *, normalize: bool) -> np.ndarray:
    """Squared residuals, averaged over the members; relative to training if asked."""
    roots = _each_member(model, RESIDUALS, spread.shifted(X, model.statistics))
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
    X = spread.shifted(X, model.statistics)
    blocks = batching.blocks(X, BLOCK_ROWS)
    return _observed(np.concatenate([_parts(model, block) for block in blocks]), X)


def _parts(model: Model, X: np.ndarray) -> np.ndarray:
    score = SCORES[model.score]
    of_network = usual.errors(model.statistics)
    found = np.zeros(X.shape)
    by_member = _by_energy(model, score.parts, X)
    for cells, member in zip(by_member, model.members, strict=True):
        weights = _weights(score, member.statistics)
        own = member.statistics.get(statistics.USUAL, np.ones((len(weights), 1)))
        for i, (energy, weight) in enumerate(zip(score.energies, weights, strict=True)):
            part = np.minimum(cells[:, i], LARGEST, dtype=np.float64)
            part = part / (own[i] if energy.usual_parts else of_network)
            found += weight * (np.log1p(part) if len(weights) > 1 else part)
    return found / len(model.members)


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
    X = spread.shifted(X, model.statistics)
    for clean in batching.blocks(X, BLOCK_ROWS):
        noise = rng.standard_normal(clean.shape) * SCORE_NOISE * scale
        error = (clean - _restored(model, clean + noise)) / scale
        errors.append(np.nanmean(np.square(error), axis=1))
    return -float(np.median(np.concatenate(errors)))


def to_module(model: Model) -> Any:
    """Return the first member's network as a module of its own."""
    params = {name: jnp.asarray(v[0]) for name, v in model.weights.items()}
    return networks.merge(params, config=model.network)


def layer_table(model: Model) -> list[Layer]:
    """Describe the layers."""
    return networks.layer_table(model.network)
