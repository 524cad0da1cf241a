"""Distance to the nearest of few training rows, for many choices of them."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.special import ndtri

from skae.core import gaussian, memory, piecewise
from skae.core.blocks import Block
from skae.core.config import NetworkConfig
from skae.core.gaussian import Statistics
from skae.core.sample import Sample
from skae.core.scores.combination import Statistic
from skae.core.scores.energy import Energy, shaped

# Choices, and rows in each. Few rows are seldom outliers, and none is near all rows.
N_SUBSETS = 50
SIZE = 16

# Added to mean squared differences, which float32 knows to less than that.
SMALLEST = 1e-3

# Pieces of the map of a column to quantiles.
N_RAMPS = 64
MAPPED = "map_"


def in_quantiles(rows: Block, own: Statistics) -> Array:
    """Rows with each column mapped to a standard Gaussian."""
    return piecewise.linear(rows.standardised, _map(own))


def _map(own: Statistics) -> Statistics:
    return gaussian.part(own, MAPPED)


def _squared(z: Array, own: Statistics, observed: Array | None) -> Array:
    """Mean squared difference to the nearest row of each subset: (n, subset)."""
    chosen = own["rows"]
    seen = jnp.ones_like(z) if observed is None else observed.astype(z.dtype)
    z = seen * z
    if observed is None:
        norms = jnp.sum(jnp.square(chosen), axis=-1, keepdims=True)
    else:
        norms = jnp.square(chosen) @ seen.T
    # Rows last, of which processors take several at a time.
    squared = (norms - 2 * chosen @ z.T).reshape(N_SUBSETS, SIZE, -1)
    nearest = jnp.min(squared, axis=1).T + jnp.sum(jnp.square(z), -1, keepdims=True)
    return jnp.maximum(nearest / jnp.sum(seen, axis=-1, keepdims=True), 0.0)


def measure(rows: Block, own: Statistics) -> Array:
    """Geometric mean of the distances to the nearest row of each subset."""
    squared = _squared(in_quantiles(rows, own), own, rows.observed)
    logs = jnp.log(squared + SMALLEST)
    inside = jnp.exp(jnp.mean(logs, axis=-1) / 2)
    return jnp.hypot(inside, rows.beyond)


def parts(rows: Block, own: Statistics) -> Array:
    """Squared difference of each column to the median of the rows."""
    z = in_quantiles(rows, own)
    middle = jnp.median(own["rows"], axis=0)
    return jnp.square(z - middle) + jnp.square(rows.units_away)


def usual_parts(sample: Sample, own: Statistics) -> np.ndarray:
    """Squared differences of rows to the median."""
    z = piecewise.linear(sample.completed, _map(own), xp=np)
    return np.square(z - np.median(own["rows"], axis=0), dtype=np.float64)


def fit(sample: Sample, restored: None) -> Statistics:
    """Map to quantiles, and choose subsets of the rows."""
    del restored
    maps = piecewise.by_column(sample.standardised, sample.weight, _quantiles)
    different, place = np.unique(_choose(sample.weight), return_inverse=True)
    mapped = piecewise.linear(sample.completed[different], maps, xp=np)
    own = {MAPPED + name: array for name, array in maps.items()}
    return own | {"rows": mapped.astype(np.float32)[place]}


def _choose(weight: np.ndarray) -> np.ndarray:
    """Rows of each subset: different ones, but no more than half of all."""
    size = int(np.clip(np.count_nonzero(weight) // 2, 1, SIZE))
    generator, share = np.random.default_rng(0), weight / weight.sum()
    subsets = [
        np.resize(generator.choice(len(weight), size, replace=False, p=share), SIZE)
        for _ in range(N_SUBSETS)
    ]
    return np.concatenate(subsets)


def _quantiles(values: np.ndarray, weight: np.ndarray) -> Statistics:
    """Map to a standard Gaussian; equal values to the middle of their ranks."""
    distinct, place = np.unique(values, return_inverse=True)
    share = np.bincount(place, weight) / weight.sum()
    below = np.cumsum(share)
    rank = np.clip(below - share / 2, 0.5 / len(values), 1 - 0.5 / len(values))
    if len(distinct) > N_RAMPS + 1:
        wanted = np.linspace(0, 1, N_RAMPS + 1)
        knots = np.unique(np.searchsorted(below, wanted).clip(0, len(distinct) - 1))
        distinct, rank = distinct[knots], rank[knots]
    return piecewise.ramps(distinct, ndtri(rank), N_RAMPS)


def keeps(found: Statistics, network: NetworkConfig) -> tuple[Statistic, ...]:
    """Declare the map and the chosen rows."""
    del found
    width = network.n_features
    maps = piecewise.ramp_shapes(width, N_RAMPS)
    shapes = {MAPPED + name: shape for name, shape in maps.items()}
    return shaped(shapes | {"rows": (N_SUBSETS * SIZE, width)})


def n_products(width: int) -> int:
    """Products with the pieces of the map and all chosen rows."""
    return (N_RAMPS + N_SUBSETS * SIZE) * width


def onnx(g: Any, rows: Any, own: Statistics) -> str:
    """ONNX form of :func:`measure`."""
    z = piecewise.onnx_linear(g, rows.standardised, _map(own))
    chosen, last = own["rows"], np.array([1], np.int64)
    products = g("MatMul", z, np.ascontiguousarray(2 * chosen.T))
    squared = g("Sub", np.square(chosen).sum(axis=1), products)
    squared = g("Add", squared, g("ReduceSum", g("Mul", z, z), last))
    squared = g("Max", g("Div", squared, np.float32(rows.width)), np.float32(0))
    shape = np.array([-1, N_SUBSETS, SIZE], np.int64)
    nearest = g("ReduceMin", g("Reshape", squared, shape), np.array([2], np.int64))
    nearest = g("Squeeze", nearest, np.array([2], np.int64))
    logs = g("Log", g("Add", nearest, np.float32(SMALLEST)))
    inside = g("Exp", g("Div", g("ReduceMean", logs, last), np.float32(2)))
    return g.hypot(inside, rows.beyond)


SUBSETS = Energy(
    measure,
    needs_network=False,
    n_products=n_products,
    prefix="subsets_",
    fit=fit,
    keeps=keeps,
    n_rows=memory.capacity,
    parts=parts,
    usual_parts=usual_parts,
    onnx=onnx,
)
