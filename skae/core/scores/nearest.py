"""Distance to the nearest of the training rows that are remembered."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core import memory
from skae.core.blocks import Block
from skae.core.config import NetworkConfig
from skae.core.gaussian import Statistics
from skae.core.sample import Restored, Sample
from skae.core.scores.combination import Statistic
from skae.core.scores.energy import Energy


def measure(rows: Block, own: Statistics) -> Array:
    """Distance to the nearest remembered row, and displacement, in deviations."""
    return jnp.hypot(
        memory.distance(rows.standardised, own, rows.observed), rows.beyond
    )


def parts(rows: Block, own: Statistics) -> Array:
    """Squared difference to the nearest remembered row, and displacement."""
    u = rows.standardised
    nearest = memory.nearest(u, own, rows.observed)
    return jnp.square(u - nearest) + jnp.square(rows.units_away)


def usual_parts(sample: Sample, own: Statistics) -> np.ndarray:
    """Squared differences of the first remembered rows to the nearest other ones."""
    return memory.squares_left_out(own["memory"], slice(len(sample.X)))


def fit(sample: Sample, restored: None) -> Statistics:
    """Remember the rows, complete."""
    del restored
    return {"memory": sample.completed}


def keeps(found: Statistics, network: NetworkConfig) -> tuple[Statistic, ...]:
    """Declare the remembered rows, of which there may be any number up to a bound."""
    n_rows = max(1, found["memory"].shape[-2])
    n_rows = min(n_rows, memory.capacity(network.n_features))
    return (Statistic("memory", (n_rows, network.n_features)),)


def prepare(own: Statistics) -> Statistics:
    """Rows in chunks, and their norms."""
    return memory.in_chunks(own["memory"])


def usual(sample: Sample, restored: Restored | None, own: Statistics) -> np.ndarray:
    """Distances of remembered rows to the nearest other ones."""
    del restored
    n_rows = len(sample.X)
    return memory.leave_one_out(own["memory"][:n_rows], sample.observed)


def n_products(width: int) -> int:
    """Products with all remembered rows."""
    return memory.capacity(width) * width


def onnx(g: Any, rows: Any, own: Statistics) -> str:
    """ONNX form of :func:`measure`."""
    remembered, u = own["memory"], rows.standardised
    products = g("MatMul", u, np.ascontiguousarray(remembered.T))
    half_norms = np.square(remembered).sum(axis=1) / 2
    cost = g("Sub", half_norms, products)
    number = g("ArgMin", cost, axis=1, keepdims=0)
    difference = g("Sub", u, g("Gather", remembered, number, axis=0))
    return g.hypot(g.root_mean_square(difference), rows.beyond)


# Without a prefix, as in files of earlier versions.
NEAREST = Energy(
    measure,
    needs_network=False,
    n_products=n_products,
    fit=fit,
    keeps=keeps,
    n_rows=memory.capacity,
    prepare=prepare,
    usual=usual,
    parts=parts,
    usual_parts=usual_parts,
    onnx=onnx,
)
