"""How rare the values of a row are, each in its own column."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core import memory, piecewise
from skae.core.blocks import Block
from skae.core.config import NetworkConfig
from skae.core.gaussian import Statistics, root_mean_square
from skae.core.sample import Sample
from skae.core.scores.combination import Statistic
from skae.core.scores.energy import Energy, shaped

# Cells of a histogram; as many values or fewer have a cell each.
N_BINS = 30

# Their edges, the ends included, outside of which nothing was seen.
N_EDGES = N_BINS + 1


def surprises(rows: Block, own: Statistics) -> Array:
    """Minus the logarithm of the share of training rows near each value."""
    return jnp.maximum(piecewise.constant(rows.standardised, own), 0.0)


def measure(rows: Block, own: Statistics) -> Array:
    """Root of the mean surprise, and displacement."""
    inside = root_mean_square(jnp.sqrt(surprises(rows, own)), rows.observed)
    return jnp.hypot(inside, rows.beyond)


def parts(rows: Block, own: Statistics) -> Array:
    """Surprise of each value, and its displacement."""
    return surprises(rows, own) + jnp.square(rows.units_away)


def usual_parts(sample: Sample, own: Statistics) -> np.ndarray:
    """Surprise of the values of rows."""
    return np.maximum(piecewise.constant(sample.completed, own, xp=np), 0.0)


def fit(sample: Sample, restored: None) -> Statistics:
    """Histograms of the columns."""
    del restored
    return piecewise.by_column(sample.standardised, sample.weight, _histogram)


def _histogram(values: np.ndarray, weight: np.ndarray) -> Statistics:
    """Surprise of each cell, and of what is outside of all."""
    distinct = np.unique(values)
    low, high = distinct[[0, -1]]
    if len(distinct) <= N_BINS:
        inner = (distinct[1:] + distinct[:-1]) / 2
    else:
        inner = np.linspace(low, high, N_BINS + 1)[1:-1]
    # Far enough from the ends for rounding.
    margin = (high - low) / (2 * N_BINS) if high > low else 0.1
    edges = np.r_[low - margin, inner, high + margin]
    counts = np.bincount(np.searchsorted(edges, values), weight, len(edges) + 1)
    counts *= len(values) / weight.sum()
    surprise = -np.log((counts + 0.5) / (len(values) + 0.5 * len(counts)))
    return piecewise.steps(edges, surprise, N_EDGES)


def keeps(found: Statistics, network: NetworkConfig) -> tuple[Statistic, ...]:
    """Declare the histograms."""
    del found
    return shaped(piecewise.step_shapes(network.n_features, N_EDGES))


def n_products(width: int) -> int:
    """Comparisons with all edges."""
    return N_EDGES * width


def onnx(g: Any, rows: Any, own: Statistics) -> str:
    """ONNX form of :func:`measure`."""
    surprise = piecewise.onnx_constant(g, rows.standardised, own)
    root = g("Sqrt", g("Max", surprise, np.float32(0)))
    return g.hypot(g.root_mean_square(root), rows.beyond)


COLUMNS = Energy(
    measure,
    needs_network=False,
    n_products=n_products,
    prefix="columns_",
    fit=fit,
    keeps=keeps,
    n_rows=memory.capacity,
    parts=parts,
    usual_parts=usual_parts,
    onnx=onnx,
)
