"""Training rows as statistics see them, and what a network makes of them."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from skae.core import ball, batching, gaussian
from skae.core.gaussian import Statistics


@dataclass(frozen=True)
class Sample:
    """Training rows, in random order, that statistics are measured on.

    ``ball`` is that of the rows. ``whole`` are the statistics of a model of all rows,
    where these are a part of them: what is a matter of luck, such as which rows are
    trusted, is then as it is there. The first ``n_new`` rows do not train, so that
    they show what is usual for new rows. ``is_contaminated`` says that outliers are
    known to be among the rows.
    """

    X: np.ndarray
    weight: np.ndarray
    ball: Statistics
    whole: Statistics = field(default_factory=dict)
    n_new: int = 0
    is_contaminated: bool = False

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.X.shape[1]

    def first(self, n_rows: int) -> "Sample":
        """Return the first rows."""
        if n_rows >= len(self.X):
            return self
        return self._part(slice(n_rows))

    @property
    def seen(self) -> "Sample":
        """Return the rows that train."""
        return self._part(slice(self.n_new, None)) if self.n_new else self

    @property
    def new(self) -> "Sample":
        """Return the rows that do not train; all, if there are none."""
        return self._part(slice(self.n_new)) if self.n_new else self

    def _part(self, rows: slice) -> "Sample":
        return replace(self, X=self.X[rows], weight=self.weight[rows], n_new=0)

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

    @property
    def residual(self) -> np.ndarray:
        """Residual of each cell."""
        return self.both[:, : self.width]

    @cached_property
    def squared(self) -> np.ndarray:
        """Squared residuals."""
        return np.square(self.residual)
