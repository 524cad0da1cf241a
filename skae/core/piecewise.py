"""Functions of one column each, piecewise linear or constant, side by side.

Every column has as many pieces, so that compiled programs do not depend on the rows.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from skae.core.gaussian import Statistics

# Ramps narrower than this, in training deviations, rise as if they were as wide: their
# slopes would leave float32's range.
NARROWEST = 1e-30


def by_column(
    rows: np.ndarray,
    weight: np.ndarray,
    make: Callable[[np.ndarray, np.ndarray], Statistics],
) -> Statistics:
    """Stack what ``make`` makes of values and weights of each column, without NaN.

    A column without values counts as one of zeros.
    """
    made = []
    for column in rows.T:
        seen = ~np.isnan(column)
        values, share = column[seen].astype(np.float64), weight[seen]
        if not len(values):
            values, share = np.zeros(1), np.ones(1)
        made.append(make(values, share))
    return {name: np.stack([m[name] for m in made]) for name in made[0]}


def steps(edges: np.ndarray, values: np.ndarray, n_steps: int) -> Statistics:
    """Return the function that has ``values`` between and outside of the edges."""
    return {
        "first": np.float32(values[0]),
        "edges": _filled_up(edges, n_steps, np.finfo(np.float32).max),
        "jumps": _filled_up(np.diff(values), n_steps),
    }


def _filled_up(values: np.ndarray, length: int, filling: Any = 0.0) -> np.ndarray:
    """Values as float32, and the filling after them: np.pad takes ten times as long."""
    filled = np.full(length, filling, np.float32)
    filled[: len(values)] = values
    return filled


def step_shapes(width: int, n_steps: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the stacked :func:`steps` of so many columns."""
    return {"first": (width,), "edges": (width, n_steps), "jumps": (width, n_steps)}


def constant(x: Any, pieces: Statistics, *, xp: Any = jnp) -> Any:
    """Values of :func:`steps` at each cell; ``xp`` is NumPy or JAX's NumPy."""
    risen = xp.where(x[..., None] > pieces["edges"], pieces["jumps"], 0.0)
    return pieces["first"] + xp.sum(risen, axis=-1)


def onnx_constant(g: Any, x: str, pieces: Statistics) -> str:
    """ONNX form of :func:`constant`."""
    cells = g("Unsqueeze", x, np.array([2], np.int64))
    above = g("Greater", cells, pieces["edges"])
    risen = g("Where", above, pieces["jumps"], np.float32(0))
    total = g("ReduceSum", risen, np.array([2], np.int64), keepdims=0)
    return g("Add", total, pieces["first"])


def ramps(knots: np.ndarray, values: np.ndarray, n_ramps: int) -> Statistics:
    """Return the function through the knots, of slope 1 outside of them."""
    knots = knots.astype(np.float32)
    widths = np.diff(knots)
    slopes = np.diff(values) / np.maximum(widths, NARROWEST)
    return {
        "first": np.float32(values[0]),
        "ends": knots[[0, -1]],
        "starts": _filled_up(knots[:-1], n_ramps),
        "widths": _filled_up(widths, n_ramps),
        "slopes": _filled_up(slopes, n_ramps),
    }


def ramp_shapes(width: int, n_ramps: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the stacked :func:`ramps` of so many columns."""
    names = ("starts", "widths", "slopes")
    return {"first": (width,), "ends": (width, 2)} | dict.fromkeys(
        names, (width, n_ramps)
    )


def linear(x: Any, pieces: Statistics, *, xp: Any = jnp) -> Any:
    """Values of :func:`ramps` at each cell; ``xp`` is NumPy or JAX's NumPy."""
    low, high = pieces["ends"][:, 0], pieces["ends"][:, 1]
    # Rows last, of which processors take several at a time: in half the time.
    starts, widths, slopes = (
        pieces[name][..., None] for name in ("starts", "widths", "slopes")
    )
    risen = xp.clip(x.T[:, None] - starts, 0.0, widths) * slopes
    inside = pieces["first"] + xp.sum(risen, axis=1).T
    return inside + xp.minimum(x - low, 0.0) + xp.maximum(x - high, 0.0)


def onnx_linear(g: Any, x: str, pieces: Statistics) -> str:
    """ONNX form of :func:`linear`."""
    low, high = pieces["ends"][:, 0], pieces["ends"][:, 1]
    cells = g("Unsqueeze", x, np.array([2], np.int64))
    part = g("Max", g("Sub", cells, pieces["starts"]), np.float32(0))
    part = g("Mul", g("Min", part, pieces["widths"]), pieces["slopes"])
    total = g("ReduceSum", part, np.array([2], np.int64), keepdims=0)
    inside = g("Add", total, pieces["first"])
    below = g("Min", g("Sub", x, low), np.float32(0))
    above = g("Max", g("Sub", x, high), np.float32(0))
    return g("Add", inside, g("Add", below, above))
