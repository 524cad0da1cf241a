"""Mahalanobis distance of residual and code together."""

from typing import Any

import jax.numpy as jnp
from jax import Array

from skae.core import gaussian
from skae.core.blocks import Block
from skae.core.config import NetworkConfig
from skae.core.gaussian import Statistics
from skae.core.sample import Restored, Sample
from skae.core.scores.combination import Statistic
from skae.core.scores.energy import Energy, of_gaussian
from skae.core.views import represented


def measure(rows: Block, own: Statistics) -> Array:
    """Root of the mean squared whitened coordinate, and of that of the displacement."""
    v = represented(rows) - own["mean"]
    seen = rows.observed
    if seen is not None:
        n_codes = v.shape[1] - rows.x.shape[1]
        seen = jnp.pad(seen, ((0, 0), (0, n_codes)), constant_values=True)
    return jnp.hypot(
        gaussian.distance(v, own, seen),
        gaussian.distance(rows.away, own, rows.observed),
    )


def fit(sample: Sample, restored: Restored) -> Statistics:
    """Gaussian of residuals and codes."""
    return gaussian.fit(restored.both, sample.weight)


def keeps(found: Statistics, network: NetworkConfig) -> tuple[Statistic, ...]:
    """Declare the Gaussian."""
    return of_gaussian(found, network.n_features + network.latent_dim)


def onnx(g: Any, rows: Any, own: Statistics) -> str:
    """ONNX form of :func:`measure`."""
    v = g("Sub", g("Concat", rows.residual, rows.code, axis=1), own["mean"])
    return g.hypot(
        g.whitened_length(v, own, rows.width + rows.latent_dim),
        g.whitened_length(rows.away, own, rows.width),
    )


JOINT = Energy(
    measure,
    prefix="joint_",
    fit=fit,
    keeps=keeps,
    n_rows=gaussian.n_rows,
    onnx=onnx,
)
