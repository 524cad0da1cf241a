"""What a score keeps of the training rows: measured, named, declared."""

from typing import Any

import numpy as np

from skae.core import gaussian, memory, spread
from skae.core.config import NetworkConfig
from skae.core.gaussian import Statistics
from skae.core.members import Member, apply
from skae.core.sample import Restored, Sample
from skae.core.scores.combination import Statistic, Usual
from skae.core.scores.energy import Score, few
from skae.core.views import REPRESENTATION

# Rows whose parts are usual, and the smallest usual part beside the mean one, and
# beside a squared training deviation.
USUAL, N_USUAL, USUAL_FLOOR, SMALLEST = "usual_parts", 512, 1e-3, 1e-6


def unit_rows(width: int) -> int:
    """Rows whose usual energies make the units: as many as can be remembered."""
    return memory.capacity(width)


def shared(score: Score, sample: Sample) -> Statistics:
    """Measure all that needs no network, the ball first."""
    statistics = dict(sample.ball)
    for energy in score.energies:
        if not energy.needs_network:
            _add(statistics, energy.kept(sample, None))
    return statistics


def of_network(
    score: Score,
    sample: Sample,
    params: Any,
    shared: Statistics,
    *,
    network: NetworkConfig,
) -> Statistics:
    """Measure what a score and feature errors need of one network."""
    width = sample.width
    with_network = [energy for energy in score.energies if energy.needs_network]
    n_rows = [few(width), *(energy.n_rows(width) for energy in with_network)]
    if score.units and not score.needs_new_rows:
        n_rows.append(unit_rows(width))
    first = sample.first(max(n_rows))
    restored = restore(first, params, shared, network=network)
    mean_errors, _ = gaussian.moments(restored.squared, first.weight)
    statistics = dict(shared)
    _add(statistics, {"feature_error": mean_errors})
    for energy in with_network:
        _add(statistics, energy.kept(first, restored))
    if score.units and not score.needs_new_rows:
        _add(statistics, _units(score, first, restored, statistics))
    return {name: s for name, s in statistics.items() if name not in shared}


def _add(statistics: Statistics, others: Statistics) -> None:
    """Add statistics whose names are not there yet."""
    for name, array in others.items():
        if name in statistics:
            raise TypeError(f"Two parts of a score keep {name!r}: give them prefixes.")
        statistics[name] = array


def restore(
    sample: Sample, params: Any, shared: Statistics, *, network: NetworkConfig
) -> Restored:
    """Pass rows through the network; residuals of missing cells are NaN."""
    both = apply(REPRESENTATION, sample.X, Member(network, params, shared))
    both = both.astype(np.float64)
    both[:, : sample.width][np.isnan(sample.X)] = np.nan
    return Restored(both, sample.width)


def _units(
    score: Score, sample: Sample, restored: Restored, statistics: Statistics
) -> Statistics:
    """Units of the energies, which the combination makes of usual ones."""
    n_rows = unit_rows(sample.width)
    sample, restored = sample.first(n_rows), restored.first(n_rows)
    usual = [
        energy.usual(sample, restored, energy.part(statistics))
        for energy in score.energies
        if energy.usual
    ]
    return fitted_units(score, np.column_stack(usual), sample.weight, sample)


def usual_parts(score: Score, sample: Sample, shared: Statistics) -> Statistics:
    """Mean parts of rows by energy, a row for each; those of networks are known."""
    few = sample.first(N_USUAL)
    means = np.ones((len(score.energies), sample.width))
    for mean, energy in zip(means, score.energies, strict=True):
        if energy.usual_parts:
            mean[:] = energy.usual_parts(few, energy.part(shared)).mean(axis=0)
    floor = USUAL_FLOOR * means.mean(axis=1, keepdims=True)
    return {USUAL: np.maximum(means, np.maximum(floor, SMALLEST))}


def fitted_units(
    score: Score, usual: np.ndarray, weight: np.ndarray, sample: Sample
) -> Statistics:
    """Units that the combination makes of usual energies, on the ball of a sample."""
    variances = np.array([energy.variance(sample.ball) for energy in score.energies])
    return score.combination.fit(
        Usual(usual, weight, variances, sample.is_contaminated)
    )


def expected(
    score: Score,
    found: Statistics,
    n_members: int,
    *,
    network: NetworkConfig,
) -> dict[str, Statistic]:
    """Declare stacked statistics: what networks share has a leading axis of 1."""
    width = network.n_features
    shared = [
        Statistic("center", (width,)),
        Statistic("scale", (width,), is_positive=True),
        Statistic("radius", ()),
    ]
    own = [Statistic("feature_error", (width,), np.float64), *score.units]
    if score.needs_new_rows:
        parts_shape = len(score.energies), width
        shared.append(Statistic(USUAL, parts_shape, np.float64, is_positive=True))
    if spread.SHIFT in found:
        shared.append(Statistic(spread.SHIFT, (width,), np.float64))
    for energy in score.energies:
        declared = energy.declared(found, network)
        (own if energy.needs_network else shared).extend(declared)
    return {
        part.name: part._replace(shape=(leading, *part.shape))
        for leading, parts in ((1, shared), (n_members, own))
        for part in parts
    }
