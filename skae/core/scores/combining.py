"""How several energies combine: as logarithms, in units of those of training rows."""

from typing import Any

import numpy as np

from skae.core.gaussian import Statistics
from skae.core.scores.combination import Combination, Statistic, Usual

# The soft maximum of local energies and a global one: sharpness, and weight of the
# global one.
SHARPNESS = 4.0
GLOBAL_WEIGHT = 0.4

# Energies below this share of their mean count as this much, so that rows which are
# there twice do not make all others infinitely abnormal.
LOG_FLOOR = 1e-6

# Energies below this share of a feature's variance are rounding noise of float32, such
# as the distance of a row to its copy.
NOISE_FLOOR = 1e-10


def _logarithm(energies: np.ndarray, floor: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(energies, floor))


def floor_of(usual: Usual) -> np.ndarray:
    """Energies below which logarithms are cut off."""
    mean = np.average(usual.energies, axis=0, weights=usual.weight)
    return np.maximum(LOG_FLOOR * mean, NOISE_FLOOR * usual.variances)


def fit(usual: Usual) -> Statistics:
    """Mean and spread of the logarithms of energies over training rows."""
    energies, weight = usual.energies, usual.weight
    floor = floor_of(usual)
    logs = _logarithm(energies, floor)
    mean = np.average(logs, axis=0, weights=weight)
    spread = np.sqrt(np.average(np.square(logs - mean), axis=0, weights=weight))
    return {
        "log_floor": floor,
        "log_mean": mean,
        "log_scale": np.where(spread > 1e-6, spread, 1.0),
    }


def keeps(n_energies: int) -> tuple[Statistic, ...]:
    """Declare the units, which NumPy uses in float64."""
    shape = (n_energies,)
    return (
        Statistic("log_floor", shape, np.float64, is_positive=True),
        Statistic("log_mean", shape, np.float64),
        Statistic("log_scale", shape, np.float64, is_positive=True),
    )


def in_units(energies: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Logarithms of energies in units of those of training rows."""
    units = _logarithm(energies, statistics["log_floor"]) - statistics["log_mean"]
    units /= statistics["log_scale"]
    return units


def onnx_units(g: Any, energies: list[str], statistics: Statistics) -> list[str]:
    """ONNX form of :func:`in_units`."""
    s, units = statistics, []
    for i, energy in enumerate(energies):
        log = g("Log", g("Max", energy, s["log_floor"][i]))
        units.append(g("Div", g("Sub", log, s["log_mean"][i]), s["log_scale"][i]))
    return units


def soft_maximum(energies: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Mean of all but the last, the local energies, or the last, if that is higher."""
    units = in_units(energies, statistics)
    weighted = np.log(GLOBAL_WEIGHT) + SHARPNESS * units[:, -1]
    local = units[:, :-1].mean(axis=1)
    return np.logaddexp(SHARPNESS * local, weighted) / SHARPNESS


def onnx_soft_maximum(g: Any, energies: list[str], statistics: Statistics) -> str:
    """ONNX form of :func:`soft_maximum`."""
    *local, overall = onnx_units(g, energies, statistics)
    a = g("Mul", g.mean(*local), np.float64(SHARPNESS))
    b = g("Mul", overall, np.float64(SHARPNESS))
    b = g("Add", b, np.float64(np.log(GLOBAL_WEIGHT)))
    larger, smaller = g("Max", a, b), g("Min", a, b)
    excess = g("Log", g("Add", g("Exp", g("Sub", smaller, larger)), np.float64(1)))
    return g("Div", g("Add", larger, excess), np.float64(SHARPNESS))


SOFT_MAXIMUM = Combination(soft_maximum, fit, keeps, onnx=onnx_soft_maximum)
