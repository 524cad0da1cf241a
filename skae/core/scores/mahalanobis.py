"""Mahalanobis distance from the training rows that are most alike."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core import ball, gaussian, robust
from skae.core.blocks import Block
from skae.core.config import NetworkConfig
from skae.core.gaussian import Statistics
from skae.core.sample import Restored, Sample
from skae.core.scores.combination import Statistic
from skae.core.scores.energy import Energy, of_gaussian

# Share of the rows that the Gaussian is fitted to.
SHARE = 0.55


def measure(rows: Block, own: Statistics) -> Array:
    """Robust Mahalanobis distance of the row, and of its displacement."""
    return jnp.hypot(
        gaussian.distance(rows.standardised - own["mean"], own, rows.observed),
        gaussian.distance(rows.units_away, own, rows.observed),
    )


def parts(rows: Block, own: Statistics) -> Array:
    """Squared deviation of each column from what the others say, and displacement."""
    v = rows.standardised - own["mean"]
    if rows.observed is not None:
        v = gaussian.complete(v, rows.observed, own)
    return gaussian.conditional(v, own) + jnp.square(rows.units_away)


def usual_parts(sample: Sample, own: Statistics) -> np.ndarray:
    """Parts of rows, one of which hardly moves the Gaussian."""
    own = {name: part.astype(np.float64) for name, part in own.items()}
    return gaussian.conditional(sample.completed - own["mean"], own)


def fit(sample: Sample, restored: None) -> Statistics:
    """Gaussian of the rows that are most alike, or that the whole model trusts."""
    del restored
    u = ball.standardised(sample.X.astype(np.float64), sample.ball)
    complete = gaussian.completed(u, sample.weight)
    trusted = gaussian.part(sample.whole, robust.PREFIX)
    if trusted:
        kept = robust.nearest(complete, trusted, SHARE)
    else:
        kept = robust.concentrate(complete, sample.weight, SHARE)
    return gaussian.fit(u[kept], sample.weight[kept])


def keeps(found: Statistics, network: NetworkConfig) -> tuple[Statistic, ...]:
    """Declare the Gaussian."""
    return of_gaussian(found, network.n_features)


def usual(sample: Sample, restored: Restored | None, own: Statistics) -> np.ndarray:
    """Distances of training rows, one of which hardly moves the Gaussian."""
    del restored
    return gaussian.energies(sample.standardised.astype(np.float64), own)


def n_products(width: int) -> int:
    """Products with the covariance."""
    return width**2


def onnx(g: Any, rows: Any, own: Statistics) -> str:
    """ONNX form of :func:`measure`."""
    u = g("Sub", rows.standardised, own["mean"])
    return g.hypot(
        g.whitened_length(u, own, rows.width),
        g.whitened_length(rows.units_away, own, rows.width),
    )


MAHALANOBIS = Energy(
    measure,
    needs_network=False,
    n_products=n_products,
    prefix=robust.PREFIX,
    fit=fit,
    keeps=keeps,
    n_rows=robust.sample_size,
    usual=usual,
    parts=parts,
    usual_parts=usual_parts,
    onnx=onnx,
)
