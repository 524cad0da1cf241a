"""What an energy and a score are.

An energy says how unusual a row is: a mean squared distance, 0 for what is perfectly
usual. A score combines one or more of them. Each is a value in a file of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skae.core import gaussian
from skae.core.blocks import View
from skae.core.config import NetworkConfig
from skae.core.gaussian import Statistics
from skae.core.sample import Restored, Sample


class Statistic(NamedTuple):
    """An array that a fitted detector keeps, without the axis of the networks."""

    name: str
    shape: tuple[int, ...]
    dtype: type = np.float32
    is_positive: bool = False


def no_fit(sample: Sample, restored: Restored | None) -> Statistics:
    """Keep nothing of the training rows."""
    del sample, restored
    return {}


def nothing(found: Statistics, network: NetworkConfig) -> tuple[Statistic, ...]:
    """Declare that nothing is kept."""
    del found, network
    return ()


def few(width: int) -> int:
    """Rows that mean errors are estimated from: they take fewer than a covariance."""
    del width
    return 2048


def one(ball: Statistics) -> float:
    """Variance of training rows that are measured in training deviations."""
    del ball
    return 1.0


@dataclass(frozen=True)
class Energy(View):
    """One way to say how unusual a row is.

    ``measure`` returns the root of the energy: rows far outside of the ball would
    overflow in float32. ``needs_network`` also says that every network of an ensemble
    has statistics of its own; the others are shared.

    Attributes
    ----------
    prefix : str
        What the names of its statistics start with among those of a detector. Its own
        functions see them without it.
    fit : callable ``(sample, restored) -> own``
        What to keep of a :class:`Sample`, in NumPy. ``restored`` is a
        :class:`Restored`, None where the network is not needed.
    keeps : callable ``(found, network) -> tuple of Statistic``
        What ``fit`` keeps. Sizes that neither network nor width decide are read from
        the arrays ``found``, which may have the leading axis of the networks.
    n_rows : callable ``(width) -> int``
        Rows that ``fit`` gets, at most.
    prepare : callable ``(own) -> own``, or None
        What ``measure`` gets, where it is not what ``fit`` keeps.
    usual : callable ``(sample, restored, own) -> (n,) array``, or None
        Energies of a sample's rows, the first of those that ``fit`` got; of rows that
        are remembered, as if they were not. Needed to be combined with others.
    variance : callable ``(ball) -> float``
        Energy, or so, of a row that is replaced by the mean.
    bottleneck : str or None
        The bottleneck that it needs, if any.
    onnx : callable ``(g, rows, own) -> name``, or None
        The root of the energy in ONNX.
    """

    prefix: str = ""
    fit: Callable[[Sample, Any], Statistics] = no_fit
    keeps: Callable[[Statistics, NetworkConfig], tuple[Statistic, ...]] = nothing
    n_rows: Callable[[int], int] = few
    prepare: Callable[[Statistics], Statistics] | None = None
    usual: Callable[..., np.ndarray] | None = None
    variance: Callable[[Statistics], float] = one
    bottleneck: str | None = None
    onnx: Callable[[Any, Any, Statistics], str] | None = None

    def part(self, statistics: Statistics) -> Statistics:
        """Return its own among the statistics of a detector."""
        return gaussian.part(statistics, self.prefix)

    def on_device(self, statistics: Statistics, network: NetworkConfig) -> Statistics:
        """Statistics as ``measure`` gets them."""
        own = self.part(statistics)
        if self.prepare:
            return self.prepare(own)
        return {part.name: own[part.name] for part in self.keeps(own, network)}

    def declared(self, found: Statistics, network: NetworkConfig) -> list[Statistic]:
        """Declare what it keeps, by the names among the statistics of a detector."""
        return [
            part._replace(name=self.prefix + part.name)
            for part in self.keeps(self.part(found), network)
        ]

    def kept(self, sample: Sample, restored: Restored | None) -> Statistics:
        """Fit to the first rows; named as among the statistics of a detector."""
        n_rows = self.n_rows(sample.width)
        own = self.fit(sample.first(n_rows), restored and restored.first(n_rows))
        return {self.prefix + name: array for name, array in own.items()}


def of_gaussian(found: Statistics, width: int) -> tuple[Statistic, ...]:
    """Declare the statistics of a Gaussian; the rank of a wide one is found."""
    shapes = gaussian.shapes(found["components"].shape[-2], width)
    return tuple(Statistic(name, shape) for name, shape in shapes.items())


def no_units(
    energies: np.ndarray, weight: np.ndarray, variances: np.ndarray
) -> Statistics:
    """Keep nothing of usual energies."""
    del energies, weight, variances
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
    fit : callable ``(energies, weight, variances) -> statistics``
        What to keep of the usual energies of training rows.
    keeps : callable ``(n_energies) -> tuple of Statistic``
        What ``fit`` keeps.
    onnx : callable ``(g, energies, statistics) -> name``, or None
        ONNX form of ``merge``, for float64 nodes.
    """

    merge: Callable[[np.ndarray, Statistics], np.ndarray]
    fit: Callable[[np.ndarray, np.ndarray, np.ndarray], Statistics] = no_units
    keeps: Callable[[int], tuple[Statistic, ...]] = no_statistics
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


@dataclass(frozen=True)
class Score:
    """Energies, and how they combine."""

    energies: tuple[Energy, ...]
    combination: Combination = ALONE

    def __post_init__(self) -> None:
        if self.units and any(energy.usual is None for energy in self.energies):
            raise TypeError("Energies that are combined say what is usual for them.")

    @property
    def units(self) -> tuple[Statistic, ...]:
        """What the combination keeps."""
        return self.combination.keeps(len(self.energies))

    @property
    def bottlenecks(self) -> list[str]:
        """Bottlenecks that the energies need: mostly none."""
        return [e.bottleneck for e in self.energies if e.bottleneck is not None]

    def suits(self, bottleneck: str) -> bool:
        """Whether networks with this bottleneck have the score."""
        return set(self.bottlenecks) <= {bottleneck}

    @property
    def has_onnx(self) -> bool:
        """Whether there is an ONNX form."""
        forms = [energy.onnx for energy in self.energies]
        return None not in (*forms, self.combination.onnx)
