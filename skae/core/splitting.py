"""Which rows train, which are held out, and which make the statistics."""

from typing import Any, NamedTuple

import numpy as np

from skae.core import ball, batching, gaussian, robust
from skae.core.batching import Rows
from skae.core.config import Features, Plan
from skae.core.corruptions import CORRUPTIONS
from skae.core.gaussian import Statistics
from skae.core.sample import Sample
from skae.core.scores import SCORES

MIN_HELD_OUT = 20

# Training rows from which on some do not train but show what is usual for new rows,
# their share, and their number at least and at most.
MIN_ROWS = 150
NEW_SHARE = 0.1
MIN_NEW, MAX_NEW = 40, 500

# Rows of a table that are looked at in one go.
BLOCK_ROWS = 8192


class Split(NamedTuple):
    """Rows to train on, rows held out, and a sample for the statistics."""

    train: Rows
    held_out: Rows | None
    sample: Sample


def split_rows(plan: Plan, rows: Rows, X_val: Any, *, seed: int) -> Split:
    """Hold rows out and measure the ball that the others fill.

    Fewer than ``MIN_HELD_OUT`` rows are too few to tell anything: then none are held
    out.
    """
    order = batching.permutation(rows.X.shape[0], np.random.default_rng(seed))
    n_held_out = min(int(plan.validation_fraction * len(order)), len(order) - 2)
    held_out = None
    if X_val is not None and X_val.shape[0] >= MIN_HELD_OUT:
        held_out = Rows(X_val, np.broadcast_to(1.0, X_val.shape[0]))
    elif X_val is None and n_held_out >= MIN_HELD_OUT:
        held_out = rows.select(np.sort(order[:n_held_out]))
        order = order[n_held_out:]
    will_cross_fit = held_out is None and plan.validation_fraction > 0
    wants_new = SCORES[plan.score].needs_new_rows and not will_cross_fit
    return split_off(plan, rows, order, held_out, wants_new=wants_new)


def split_off(
    plan: Plan,
    rows: Rows,
    order: np.ndarray,
    held_out: Rows | None = None,
    whole: Statistics | None = None,
    *,
    wants_new: bool = False,
) -> Split:
    """Train on the rows in ``order``, which is random, and sample its first ones.

    ``whole`` are the statistics of a model of all rows, if these are a part of them.
    """
    n_rows, n_features = rows.X.shape
    if plan.trim > 0:
        order = order[trusted(rows.select(order), plan.trim, whole or {})]
    n_new = n_new_of(len(order)) if wants_new else 0
    trained = order[n_new:]
    train = rows if len(trained) == n_rows else rows.select(np.sort(trained))
    n_sample = gaussian.n_rows(n_features + plan.network.latent_dim)
    chosen = order[: max(n_sample, MIN_HELD_OUT)]
    X, weight = batching.take(rows.X, chosen), rows.weight[chosen]
    around = ball.fit(X, weight)
    sample = Sample(X, weight, around, whole or {}, n_new, plan.is_contaminated)
    return Split(train, held_out, sample)


def n_new_of(n_rows: int) -> int:
    """Rows that do not train, of so many."""
    if n_rows < MIN_ROWS:
        return 0
    return int(np.clip(NEW_SHARE * n_rows, MIN_NEW, MAX_NEW))


def split_stream(plan: Plan, train: Rows, sample: Rows) -> Split:
    """Train on a batch, and measure a sample of all batches.

    The network has seen its new rows in one pass, as all others.
    """
    n_new = 0
    if SCORES[plan.score].needs_new_rows:
        n_new = n_new_of(sample.X.shape[0])
        order = np.random.default_rng(0).permutation(len(sample.X))
        sample = Rows(sample.X[order], sample.weight[order])
    around = ball.fit(*sample)
    contaminated = plan.is_contaminated
    return Split(train, None, Sample(*sample, around, {}, n_new, contaminated))


def trusted(rows: Rows, trim: float, whole: Statistics) -> np.ndarray:
    """Return indices of all rows but the share ``trim``: those normal together.

    Normal is what the Gaussian of the model ``whole`` says, or, if it has none, one
    that these rows make.
    """
    center = trust_of(rows, trim, whole)
    energies = suspicion(rows.X, center)
    n_kept = n_trusted(len(energies), trim)
    return np.sort(np.argsort(energies, kind="stable")[:n_kept])


def n_trusted(n_rows: int, trim: float) -> int:
    """Return how many of so many rows are trusted."""
    return max(2, round((1 - trim) * n_rows))


def trust_of(
    rows: Rows, trim: float, whole: Statistics
) -> tuple[Statistics, Statistics]:
    """Ball of the first rows, and the Gaussian in it that tells what is normal."""
    center = gaussian.part(whole, robust.PREFIX)
    sample = slice(robust.sample_size(rows.X.shape[1]))
    X, weight = batching.take(rows.X, sample), rows.weight[sample]
    around = ball.fit(X, weight)
    if not center:
        u = ball.standardised(X.astype(np.float64), around)
        kept = robust.concentrate(gaussian.completed(u, weight), weight, 1 - trim)
        center = gaussian.fit(u[kept], weight[kept])
    return around, center


def suspicion(X: Any, center: tuple[Statistics, Statistics]) -> np.ndarray:
    """How far rows are from what is normal."""
    around, normal = center
    return np.concatenate(
        [
            gaussian.energies(
                ball.standardised(block.astype(np.float64), around), normal
            )
            for block in batching.blocks(X, BLOCK_ROWS)
        ]
    )


def count_outside(X: Any, around: Statistics) -> tuple[int, int]:
    """Count rows outside of a ball, and rows that were looked at."""
    rows = batching.take(X, slice(BLOCK_ROWS)).astype(np.float64)
    squared = np.nanmean(np.square(ball.standardised(rows, around)), axis=1)
    return int(np.count_nonzero(squared > around["radius"] ** 2)), len(rows)


def features_of(sample: Sample, corruption: str | None) -> Features:
    """Return what training knows of each feature."""
    center, scale = sample.ball["center"], sample.ball["scale"]
    low = high = center
    if corruption is not None and CORRUPTIONS[corruption].uses_extremes:
        # Both leave NaN out where they can.
        ends = [f.reduce(sample.X, axis=0) for f in (np.fmin, np.fmax)]
        low, high = (np.where(np.isnan(end), center, end) for end in ends)
    return Features(center, scale, low, high)


def extremes(X: Any) -> tuple[float, float]:
    """Lowest and highest value of a table."""
    ends = [(np.nanmin(b), np.nanmax(b)) for b in batching.blocks(X, BLOCK_ROWS)]
    lows, highs = zip(*ends, strict=True)
    return float(min(lows)), float(max(highs))
