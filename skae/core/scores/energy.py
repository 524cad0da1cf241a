"""What an energy and a score are.

An energy says how unusual a row is: a mean squared distance, 0 for what is perfectly
usual. A score combines one or more of them. Each is a value in a file of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core import gaussian
from skae.core.blocks import Block, View
from skae.core.config import NetworkConfig
from skae.core.gaussian import Statistics
from skae.core.sample import Restored, Sample
from skae.core.scores.combination import ALONE, Combination, Statistic


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


def squared_residuals(rows: Block, own: Statistics) -> Array:
    """Parts of what measures the network in any way."""
    del own
    return jnp.square(rows.residual) + jnp.square(rows.away)


@dataclass(frozen=True, eq=False)
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
        are remembered, as if they were not. Needed by combinations that are not
        ``of_new_rows``.
    variance : callable ``(ball) -> float``
        Energy, or so, of a row that is replaced by the mean.
    parts : callable ``(rows, own) -> (n, d) array``
        What each column adds to the energy, at least 0, for explanations.
    usual_parts : callable ``(sample, own) -> (n, d) array``, or None
        Parts of the first rows of a sample; of rows that are remembered, as if they
        were not. None takes the feature errors of the network.
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
    parts: Callable[[Block, Statistics], Array] = squared_residuals
    usual_parts: Callable[[Sample, Statistics], np.ndarray] | None = None
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


@dataclass(frozen=True)
class _SideBySide:
    """What functions of several energies say of rows, on an axis of its own."""

    functions: tuple[Callable[[Block, Statistics], Array], ...]

    def __call__(self, rows: Block, own: tuple[Statistics, ...]) -> Array:
        pairs = zip(self.functions, own, strict=True)
        return jnp.stack([function(rows, mine) for function, mine in pairs], axis=1)


@dataclass(frozen=True, eq=False)
class Several(View):
    """Energies that one program measures: compiling it takes half of what theirs take.

    Rows are pulled into the ball once for all of them.
    """

    energies: tuple[Energy, ...] = ()

    @classmethod
    def of(
        cls,
        energies: list[Energy],
        function: Callable[[Energy], Callable[[Block, Statistics], Array]],
    ) -> "Several | None":
        """Return a view of what a function of each energy says; None of no energies."""
        if not energies:
            return None
        return cls(
            _SideBySide(tuple(map(function, energies))),
            any(energy.needs_network for energy in energies),
            lambda width: sum(energy.n_products(width) for energy in energies),
            tuple(energies),
        )

    def on_device(
        self, statistics: Statistics, network: NetworkConfig
    ) -> tuple[Statistics, ...]:
        """Statistics of each energy."""
        return tuple(energy.on_device(statistics, network) for energy in self.energies)


class Apart(NamedTuple):
    """Energies in one program for those that need no network and one for the others.

    ``order`` puts what the first and then the second say into that of the energies.
    """

    shared: Several | None
    own: Several | None
    order: np.ndarray

    @classmethod
    def of(cls, energies: tuple[Energy, ...], function: Callable[..., Any]) -> "Apart":
        """Return views of what a function of each energy says."""
        needs = [energy.needs_network for energy in energies]
        order = np.argsort(needs, kind="stable")
        shared, own = (
            [energy for energy in energies if energy.needs_network is wanted]
            for wanted in (False, True)
        )
        return cls(
            Several.of(shared, function), Several.of(own, function), np.argsort(order)
        )


def shaped(shapes: Mapping[str, tuple[int, ...]]) -> tuple[Statistic, ...]:
    """Declare float32 statistics by their shapes."""
    return tuple(Statistic(name, shape) for name, shape in shapes.items())


def of_gaussian(found: Statistics, width: int) -> tuple[Statistic, ...]:
    """Declare the statistics of a Gaussian; the rank of a wide one is found."""
    return shaped(gaussian.shapes(found["components"].shape[-2], width))


@dataclass(frozen=True, eq=False)
class Score:
    """Energies, and how they combine."""

    energies: tuple[Energy, ...]
    combination: Combination = ALONE

    def __post_init__(self) -> None:
        asks = self.units and not self.combination.of_new_rows
        if asks and any(energy.usual is None for energy in self.energies):
            raise TypeError("Energies that are combined say what is usual for them.")

    @cached_property
    def roots(self) -> Apart:
        """Views of the roots of the energies."""
        return Apart.of(self.energies, lambda energy: energy.measure)

    @cached_property
    def parts(self) -> Apart:
        """Views of what each column adds to each energy."""
        return Apart.of(self.energies, lambda energy: energy.parts)

    @property
    def units(self) -> tuple[Statistic, ...]:
        """What the combination keeps."""
        return self.combination.keeps(len(self.energies))

    @property
    def needs_new_rows(self) -> bool:
        """Whether units take rows that nothing was fitted to."""
        return self.combination.of_new_rows

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
