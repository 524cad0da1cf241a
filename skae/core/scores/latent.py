"""Mahalanobis distance of the code."""

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


def measure(rows: Block, own: Statistics) -> Array:
    """Root of the mean squared whitened coordinate of the code, and displacement."""
    return jnp.hypot(gaussian.distance(rows.code - own["mean"], own), rows.beyond)


def fit(sample: Sample, restored: Restored) -> Statistics:
    """Gaussian of the codes."""
    return gaussian.fit(restored.codes, sample.weight)


def keeps(found: Statistics, network: NetworkConfig) -> tuple[Statistic, ...]:
    """Declare the Gaussian."""
    return of_gaussian(found, network.latent_dim)


def onnx(g: Any, rows: Any, own: Statistics) -> str:
    """ONNX form of :func:`measure`."""
    code = g("Sub", rows.code, own["mean"])
    length = g.whitened_length(code, own, rows.latent_dim)
    return g.hypot(length, rows.beyond)


LATENT = Energy(
    measure,
    prefix="latent_",
    fit=fit,
    keeps=keeps,
    n_rows=gaussian.n_rows,
    onnx=onnx,
)
