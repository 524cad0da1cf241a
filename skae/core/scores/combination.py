"""How the energies of a row make one number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skae.core.gaussian import Statistics


class Statistic(NamedTuple):
    """An array that a fitted detector keeps, without the axis of the networks."""

    name: str
    shape: tuple[int, ...]
    dtype: type = np.float32
    is_positive: bool = False


class Usual(NamedTuple):
    """Energies of rows that are usual, a column for each energy.

    ``variances`` are the energies, or so, of a row that is replaced by the mean.
    ``is_contaminated`` says that outliers are known to be among the training rows.
    """

    energies: np.ndarray
    weight: np.ndarray
    variances: np.ndarray
    is_contaminated: bool = False


def no_units(usual: Usual) -> Statistics:
    """Keep nothing of usual energies."""
    del usual
    return {}


def no_statistics(n_energies: int) -> tuple[Statistic, ...]:
    """Declare that nothing is kept."""
    del n_energies
    return ()


@dataclass(frozen=True)
class Combination:
    """How the energies of a row make one number.

    Attributes
    ----------
    merge : callable ``(energies, statistics) -> (n,) array``
        Higher for more unusual rows; ``energies`` are float64, a column for each.
    fit : callable ``(usual) -> statistics``
        What to keep of :class:`Usual` energies.
    of_new_rows : bool
        Whether usual energies are measured on rows that nothing was fitted to, instead
        of what energies say of training rows.
    keeps : callable ``(n_energies) -> tuple of Statistic``
        What ``fit`` keeps.
    weight : str or None
        Name of the statistic that weighs the energies, if they do not count the same.
    onnx : callable ``(g, energies, statistics) -> name``, or None
        ONNX form of ``merge``, for float64 nodes.
    """

    merge: Callable[[np.ndarray, Statistics], np.ndarray]
    fit: Callable[[Usual], Statistics] = no_units
    keeps: Callable[[int], tuple[Statistic, ...]] = no_statistics
    of_new_rows: bool = False
    weight: str | None = None
    onnx: Callable[[Any, list[str], Statistics], str] | None = None


def only(energies: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Return the only energy."""
    del statistics
    return energies[:, 0]


def only_node(g: Any, energies: list[str], statistics: Statistics) -> str:
    """ONNX form of :func:`only`."""
    del g, statistics
    return energies[0]


ALONE = Combination(only, onnx=only_node)
