"""A sum of views of a row whose weights were learnt on many public tables.

A view is the logarithm of an energy in units of those of new normal rows. Views that
are usual add next to nothing: that a row is near a training row, say, does not excuse
a value that its column has never had. A power above 1 lets what is most unusual decide.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from skae.core.gaussian import Statistics
from skae.core.scores.combination import Combination, Statistic, Usual
from skae.core.scores.combining import floor_of
from skae.core.scores.learned_weights import WEIGHTS

# The unit of a view: the distance between these quantiles of new rows, divided so that
# it is about a standard deviation of a Gaussian; at least the smallest one.
LOW, HIGH, APART = 0.1, 0.97, 3.0
SMALLEST_UNIT = 1e-3

# Views above this number of units grow as a logarithm only.
LARGE = 12.0

# How sharply views below the middle are left out, and how much more those far above it
# count.
SHARPNESS = 2.0
MIDDLE = 0.5
POWER = 1.5

# From this number of units on, the square of what the network cannot restore counts as
# well: a cell that does not fit the others of its row shows in this view alone.
BROKEN = 2.0
WEIGHT_OF_BROKEN = 3.0


def fit(usual: Usual) -> Statistics:
    """Middle and unit of each view, and the weights for such training rows."""
    floor = floor_of(usual)
    logs = np.log(np.maximum(usual.energies, floor))
    low, middle, high = np.quantile(
        logs, (LOW, 0.5, HIGH), axis=0, weights=usual.weight, method="inverted_cdf"
    )
    return {
        "view_floor": floor,
        "view_middle": middle,
        "view_unit": np.maximum((high - low) / APART, SMALLEST_UNIT),
        "view_weight": np.array(
            WEIGHTS["contaminated" if usual.is_contaminated else "clean"], np.float64
        ),
    }


def keeps(n_energies: int) -> tuple[Statistic, ...]:
    """Declare units and weights, which NumPy uses in float64."""
    shape = (n_energies,)
    return (
        Statistic("view_floor", shape, np.float64, is_positive=True),
        Statistic("view_middle", shape, np.float64),
        Statistic("view_unit", shape, np.float64, is_positive=True),
        Statistic("view_weight", shape, np.float64),
    )


def views(energies: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Logarithms in units of new rows', a column for each energy."""
    logs = np.log(np.maximum(energies, statistics["view_floor"]))
    units = (logs - statistics["view_middle"]) / statistics["view_unit"]
    return np.minimum(units, LARGE) + np.log1p(np.maximum(units - LARGE, 0.0))


def evidence(views: np.ndarray) -> np.ndarray:
    """Power of how far views are above the middle, smoothly; at least 0."""
    sharp = SHARPNESS * (views + MIDDLE)
    # A fifth of the time of np.logaddexp.
    above = np.maximum(sharp, 0.0) + np.log1p(np.exp(-np.abs(sharp)))
    return (above / SHARPNESS) ** POWER


def _sum(found: np.ndarray, statistics: Statistics) -> np.ndarray:
    # Column by column: a product of matrices would round by the number of rows.
    terms = zip(statistics["view_weight"], found.T, strict=True)
    return np.asarray(sum(weight * column for weight, column in terms))


def merge(energies: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Root of the weighted sum of the evidence."""
    return _sum(evidence(views(energies, statistics)), statistics) ** (1 / POWER)


def merge_broken(energies: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Root of the sum, to which the first view adds where it is far from usual."""
    units = views(energies, statistics)
    broken = WEIGHT_OF_BROKEN * np.square(np.maximum(units[:, 0] - BROKEN, 0.0))
    return (_sum(evidence(units), statistics) + broken) ** (1 / POWER)


def onnx(g: Any, energies: list[str], statistics: Statistics) -> str:
    """ONNX form of :func:`merge`."""
    terms, _ = _onnx_terms(g, energies, statistics)
    return g("Pow", g("Sum", *terms), np.float64(1 / POWER))


def onnx_broken(g: Any, energies: list[str], statistics: Statistics) -> str:
    """ONNX form of :func:`merge_broken`."""
    terms, units = _onnx_terms(g, energies, statistics)
    broken = g("Max", g("Sub", units[0], np.float64(BROKEN)), np.float64(0))
    broken = g("Mul", g("Mul", broken, broken), np.float64(WEIGHT_OF_BROKEN))
    return g("Pow", g("Sum", *terms, broken), np.float64(1 / POWER))


def _onnx_terms(
    g: Any, energies: list[str], statistics: Statistics
) -> tuple[list[str], list[str]]:
    """Nodes of the weighted evidence, and of the views."""
    s, terms, all_units = statistics, [], []
    zero, large, sharp = (np.float64(x) for x in (0, LARGE, SHARPNESS))
    for i, energy in enumerate(energies):
        log = g("Log", g("Max", energy, s["view_floor"][i]))
        units = g("Div", g("Sub", log, s["view_middle"][i]), s["view_unit"][i])
        rest = g("Max", g("Sub", units, large), zero)
        view = g("Add", g("Min", units, large), g("Log", g("Add", rest, np.float64(1))))
        all_units.append(view)
        up = g("Mul", g("Add", view, np.float64(MIDDLE)), sharp)
        # The logarithm of 1 + exp(up), without overflow.
        small = g("Exp", g("Neg", g("Abs", up)))
        soft = g("Add", g("Max", up, zero), g("Log", g("Add", small, np.float64(1))))
        above = g("Div", soft, sharp)
        power = g("Pow", above, np.float64(POWER))
        terms.append(g("Mul", power, s["view_weight"][i]))
    return terms, all_units


LEARNED = Combination(
    merge, fit, keeps, of_new_rows=True, weight="view_weight", onnx=onnx
)

BROKEN_CELLS = replace(LEARNED, merge=merge_broken, onnx=onnx_broken)
