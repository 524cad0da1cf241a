"""Codes: a map in two dimensions, and the distribution of each unit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.utils import check_array

from skae._parts import entering
from skae._ranges import OneOf
from skae._types import MatrixLike
from skae._validation import check_range
from skae.inspection._explanations import detector_with
from skae.inspection._figure import (
    Group,
    axes_grid,
    axes_of,
    check_partial_labels,
    groups,
    histogram,
    name_of,
    text,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Points of each kind of rows in a map.
MAX_SCATTERED = 5000

MAX_UNITS = 16

# A unit is dead if it varies less than this share of the one that varies most.
DEAD = 1e-6


class LatentSpaceDisplay:
    """Codes of rows: a map of them, or the distribution of each unit.

    Create it by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    codes : array-like of shape (n_samples, latent_dim)
        Codes, as ``transform`` returns them.
    y_true : array-like of shape (n_samples,), default=None
        +1 for inliers, -1 for outliers, NaN where it is not known.
    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the map is; the first axes with ``kind="units"``.
    axes_ : ndarray of matplotlib Axes
        Axes of the units, with ``kind="units"``.
    figure_ : matplotlib Figure
        Figure of the picture.
    dead_units_ : ndarray of int
        Units that hardly vary over the rows.

    See Also
    --------
    sklearn.decomposition.PCA : Makes the map of codes wider than two units.

    Notes
    -----
    A map shows the two units of the code, or its first two principal components where
    it is wider, with at most 5,000 rows of each kind, chosen at random. Of wide codes,
    the 16 units that vary most are drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderOutlierDetector
    >>> from skae.inspection import LatentSpaceDisplay
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> detector = AutoencoderOutlierDetector(
    ...     latent_dim=8, max_iter=5, random_state=0
    ... ).fit(X)
    >>> display = LatentSpaceDisplay.from_estimator(detector, X)
    """

    def __init__(
        self,
        *,
        codes: ArrayLike,
        y_true: ArrayLike | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.codes = codes
        self.y_true = y_true
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        kind: Literal["map", "units"] = "map",
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw the codes of rows.

        Parameters
        ----------
        estimator : object
            Fitted :class:`~skae.AutoencoderOutlierDetector`, or a Pipeline, search or
            meta-estimator around one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as they enter the estimator.
        y : array-like of shape (n_samples,), default=None
            +1 for inliers, -1 for outliers, NaN where it is not known.
        kind : {"map", "units"}, default="map"
            Map of the rows, or histograms of the units.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title. None: the name of the detector's class.

        Returns
        -------
        LatentSpaceDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the detector has no codes.
        """
        transformers, detector = detector_with("transform", estimator)
        return cls.from_predictions(
            y,
            detector.transform(entering(transformers, X)),
            kind=kind,
            ax=ax,
            name=name_of(detector, name),
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike | None,
        codes: ArrayLike,
        *,
        kind: Literal["map", "units"] = "map",
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw codes.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or None
            +1 for inliers, -1 for outliers, NaN where it is not known.
        codes : array-like of shape (n_samples, latent_dim)
            Codes.
        kind : {"map", "units"}, default="map"
            Map of the rows, or histograms of the units.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title.

        Returns
        -------
        LatentSpaceDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If labels are others than +1, -1 and NaN, or ``kind`` is unknown.
        """
        return cls(codes=codes, y_true=y_true, estimator_name=name).plot(
            ax=ax, kind=kind
        )

    def plot(
        self, ax: "Axes | None" = None, *, kind: Literal["map", "units"] = "map"
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        kind : {"map", "units"}, default="map"
            Map of the rows, or histograms of the units.

        Returns
        -------
        LatentSpaceDisplay
            The display itself.
        """
        check_range("kind", kind, OneOf(("map", "units")), type(self).__name__)
        codes = check_array(self.codes, dtype=np.float64, input_name="codes")
        y = check_partial_labels(self.y_true, codes)
        spread = codes.std(axis=0)
        self.dead_units_ = np.flatnonzero(spread <= DEAD * spread.max())
        if kind == "map":
            self._draw_map(axes_of(ax), codes, y)
        else:
            self._draw_units(ax, codes, y, np.argsort(-spread, kind="stable"))
        return self

    def _draw_map(self, ax: Any, codes: np.ndarray, y: np.ndarray | None) -> None:
        places, labels = _places(codes)
        rng = np.random.default_rng(0)
        for group in groups(y, len(codes)):
            rows = np.flatnonzero(group.rows)
            label = f"{group.name} ({len(rows):,})"
            if len(rows) > MAX_SCATTERED:
                label = f"{group.name} ({MAX_SCATTERED:,} of {len(rows):,})"
                rows = rng.choice(rows, MAX_SCATTERED, replace=False)
            ax.scatter(
                *places[rows].T,
                s=14,
                color=group.color,
                marker=group.marker,
                linewidths=0.8,
                alpha=0.7,
                label=label,
                rasterized=True,
            )
        ax.set(xlabel=labels[0], ylabel=labels[1])
        ax.legend()
        title(ax, self.estimator_name)
        self.ax_, self.figure_ = ax, ax.figure

    def _draw_units(
        self,
        ax: "Axes | None",
        codes: np.ndarray,
        y: np.ndarray | None,
        by_spread: np.ndarray,
    ) -> None:
        units = np.sort(by_spread[:MAX_UNITS])
        n_columns = min(4, len(units))
        n_rows = -(-len(units) // n_columns)
        self.figure_, self.axes_ = axes_grid(ax, n_rows, n_columns, (2.2, 1.5))
        self.ax_ = self.axes_.flat[0]
        for part in self.axes_.flat[len(units) :]:
            part.set_axis_off()
        for unit, part in zip(units, self.axes_.flat, strict=False):
            _draw_unit(part, codes[:, unit], groups(y, len(codes)))
            dead = " (dead)" if unit in self.dead_units_ else ""
            part.set_title(f"unit {unit}{dead}", fontsize="small")
        n_units, n_dead = codes.shape[1], len(self.dead_units_)
        shown = f"{len(units)} of {n_units} units" if n_units > len(units) else "units"
        heading = f"Share of rows by value: {shown}, {n_dead} dead"
        if self.estimator_name is not None:
            heading = f"{text(self.estimator_name)}. {heading}"
        if ax is None:
            handles, labels = self.ax_.get_legend_handles_labels()
            self.figure_.legend(
                handles, labels, loc="outside lower center", ncols=3, fontsize="small"
            )
            self.figure_.suptitle(heading, fontsize="medium")
        else:
            # The figure is the user's: it may have a title of its own.
            self.ax_.legend(fontsize="xx-small")
            ax.set_title(heading, fontsize="small", pad=18)


def _places(codes: np.ndarray) -> tuple[np.ndarray, Sequence[str]]:
    """Two coordinates for each row, and what they are."""
    if codes.shape[1] == 1:
        return np.c_[codes, np.arange(len(codes))], ("unit 0", "row")
    if codes.shape[1] == 2 or len(codes) == 1:
        return codes[:, :2], ("unit 0", "unit 1")
    pca = PCA(2, random_state=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        places = pca.fit_transform(codes)
    shares = np.nan_to_num(pca.explained_variance_ratio_)
    return places, [
        f"component {i} of the code ({share:.0%} of its variance)"
        for i, share in enumerate(shares, 1)
    ]


def _draw_unit(ax: Any, values: np.ndarray, kinds: list[Group]) -> None:
    low, high = values.min(), values.max()
    if high - low < 1e-12 * max(abs(low), abs(high), 1e-300):
        low, high = low - 0.5, high + 0.5
    for group in kinds:
        histogram(ax, group, values[group.rows], (low, high), bins=30)
    ax.tick_params(labelsize="x-small")
