"""Training rows as statistics see them, and what a network makes of them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from skae.core import ball, batching, gaussian
from skae.core.gaussian import Statistics


@dataclass(frozen=True)
class Sample:
    """Training rows, in random order, that statistics are measured on.

    ``ball`` is that of the rows. ``whole`` are the statistics of a model of all rows,
    where these are a part of them: what is a matter of luck, such as which rows are
    trusted, is then as it is there.
    """

    X: np.ndarray
    weight: np.ndarray
    ball: Statistics
    whole: Statistics = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.X.shape[1]

    def first(self, n_rows: int) -> "Sample":
        """Return the first rows."""
        if n_rows >= len(self.X):
            return self
        few = self.X[:n_rows], self.weight[:n_rows]
        return Sample(*few, self.ball, self.whole)

    @cached_property
    def observed(self) -> np.ndarray | None:
        """Which cells are observed; None if all are."""
        return ~np.isnan(self.X) if batching.has_missing(self.X) else None

    @cached_property
    def standardised(self) -> np.ndarray:
        """Rows in units of the ball, float32."""
        return ball.standardised(self.X, self.ball)

    @cached_property
    def completed(self) -> np.ndarray:
        """Standardised rows with the likeliest values in place of missing cells."""
        complete = gaussian.completed(self.standardised, self.weight)
        return complete.astype(np.float32, copy=False)


@dataclass(frozen=True)
class Restored:
    """What a network makes of a sample's rows.

    ``both`` are float64 residuals, NaN in missing cells, beside codes.
    """

    both: np.ndarray
    width: int

    def first(self, n_rows: int) -> "Restored":
        """Return the first rows."""
        if n_rows >= len(self.both):
            return self
        return Restored(self.both[:n_rows], self.width)

    @property
    def codes(self) -> np.ndarray:
        """Code of each row."""
        return self.both[:, self.width :]

    @cached_property
    def squared(self) -> np.ndarray:
        """Squared residuals."""
        return np.square(self.both[:, : self.width])
