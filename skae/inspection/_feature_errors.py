"""Which features restore badly: on average, and row by row."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from skae._ranges import Int, OneOf
from skae._types import MatrixLike
from skae._validation import check_range
from skae.inspection._explanations import detector_with, named_errors
from skae.inspection._figure import (
    ABNORMAL,
    LARGEST,
    MAX_POINTS,
    Group,
    axes_of,
    bin_starts,
    check_partial_labels,
    groups,
    name_of,
    spans,
    text,
    title,
    whole_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Bars of lengths that differ more than this need a logarithmic axis.
LINEAR_RANGE = 30

INCHES_PER_FEATURE = 0.2


class FeatureErrorDisplay:
    """Features by their reconstruction errors: the worst on average, or row by row.

    Create it by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    errors : array-like of shape (n_samples, n_features)
        Errors in units of the usual ones, as ``feature_errors`` returns them.
    feature_names : array-like of str of shape (n_features,), default=None
        Names of the features. None: x0, x1, ...
    y_true : array-like of shape (n_samples,), default=None
        +1 for inliers, -1 for outliers, NaN where it is not known.
    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the picture is.
    figure_ : matplotlib Figure
        Figure of the picture.
    bars_ : list of matplotlib BarContainer
        Mean errors by kind of rows, with ``kind="bar"``.
    image_ : matplotlib QuadMesh
        Errors of rows, with ``kind="heatmap"``.
    features_ : list of str
        Names of the features drawn, the worst first.

    See Also
    --------
    skae.inspection.explain : The worst features of each row as text.

    Notes
    -----
    The worst features are those of the highest mean error over the outliers, or over
    all rows where no outlier is known. In a heat map of more than 2,000 rows, each
    point is the largest error of neighbouring rows. Missing cells are white.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderOutlierDetector
    >>> from skae.inspection import FeatureErrorDisplay
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> detector = AutoencoderOutlierDetector(max_iter=5, random_state=0).fit(X)
    >>> display = FeatureErrorDisplay.from_estimator(detector, X + [0, 0, 5])
    >>> display.features_[0]
    'x2'
    """

    def __init__(
        self,
        *,
        errors: ArrayLike,
        feature_names: Sequence[str] | None = None,
        y_true: ArrayLike | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.estimator_name = estimator_name
        self.errors = errors
        self.feature_names = feature_names
        self.y_true = y_true

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        kind: Literal["bar", "heatmap"] = "bar",
        n_features: int = 20,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw the feature errors of rows.

        Parameters
        ----------
        estimator : object
            Fitted :class:`~skae.AutoencoderOutlierDetector`, or a Pipeline, search or
            meta-estimator around one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as they enter the estimator.
        y : array-like of shape (n_samples,), default=None
            +1 for inliers, -1 for outliers, NaN where it is not known.
        kind : {"bar", "heatmap"}, default="bar"
            Mean errors, or errors row by row.
        n_features : int, default=20
            Features to draw, at most all.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title. None: the name of the detector's class.

        Returns
        -------
        FeatureErrorDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the detector has no feature errors.
        """
        _, detector = detector_with("feature_errors", estimator)
        errors, names = named_errors(estimator, X)
        return cls.from_predictions(
            y,
            errors,
            feature_names=names,
            kind=kind,
            n_features=n_features,
            ax=ax,
            name=name_of(detector, name),
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike | None,
        errors: ArrayLike,
        *,
        feature_names: Sequence[str] | None = None,
        kind: Literal["bar", "heatmap"] = "bar",
        n_features: int = 20,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw feature errors.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or None
            +1 for inliers, -1 for outliers, NaN where it is not known.
        errors : array-like of shape (n_samples, n_features)
            Errors in units of the usual ones; NaN in missing cells.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the features. None takes those of a data frame, else x0, x1, ...
        kind : {"bar", "heatmap"}, default="bar"
            Mean errors, or errors row by row.
        n_features : int, default=20
            Features to draw, at most all.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title.

        Returns
        -------
        FeatureErrorDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the names are not as many as the features, labels are others than +1, -1
            and NaN, or ``kind`` is unknown.
        """
        return cls(
            errors=errors,
            feature_names=feature_names,
            y_true=y_true,
            estimator_name=name,
        ).plot(ax=ax, kind=kind, n_features=n_features)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        kind: Literal["bar", "heatmap"] = "bar",
        n_features: int = 20,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        kind : {"bar", "heatmap"}, default="bar"
            Mean errors, or errors row by row.
        n_features : int, default=20
            Features to draw, at most all.

        Returns
        -------
        FeatureErrorDisplay
            The display itself.
        """
        owner = type(self).__name__
        check_range("kind", kind, OneOf(("bar", "heatmap")), owner)
        check_range("n_features", n_features, Int("[1, inf)"), owner)
        errors, names = _check_errors(self.errors, self.feature_names)
        y = check_partial_labels(self.y_true, errors)
        kinds = groups(y, len(errors))
        means = [_means(errors[group.rows]) for group in kinds]
        worst = _worst(errors, y)[:n_features]
        self.features_ = [names[j] for j in worst]
        self.ax_ = ax = axes_of(ax, height=INCHES_PER_FEATURE * len(worst))
        self.figure_ = ax.figure
        if kind == "bar":
            self._draw_bars(kinds, [mean[worst] for mean in means])
        else:
            self._draw_heatmap(errors[:, worst], y)
        # Above the legend.
        title(ax, self.estimator_name, pad=24)
        ax.set_yticks(np.arange(len(worst)), [text(name) for name in self.features_])
        return self

    def _draw_bars(self, kinds: list[Group], means: list[np.ndarray]) -> None:
        ax, height = self.ax_, 0.8 / len(means)
        values = np.concatenate(means)
        values = values[values > 0]
        if len(values) and values.max() > LINEAR_RANGE * values.min():
            ax.set_xscale("log")
            ax.set_xlim(min(values.min(), 1) / 1.5, values.max() * 1.5)
        self.bars_ = [
            ax.barh(
                np.arange(len(mean)) + (i - (len(means) - 1) / 2) * height,
                np.nan_to_num(mean),
                height,
                color=group.color,
                edgecolor="white",
                hatch=group.hatch,
                label=f"{group.name} ({np.count_nonzero(group.rows):,})",
            )
            for i, (group, mean) in enumerate(zip(kinds, means, strict=True))
        ]
        ax.axvline(1, color="black", linestyle=":", label="usual")
        ax.set_xlabel("mean error (1 = usual in training)")
        ax.invert_yaxis()
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False)

    def _draw_heatmap(self, errors: np.ndarray, y: np.ndarray | None) -> None:
        from matplotlib.colors import LogNorm

        ax, n_rows = self.ax_, len(errors)
        starts = bin_starts(n_rows)
        if n_rows > MAX_POINTS:
            errors = np.fmax.reduceat(errors, starts, axis=0)
        top = np.nanmax(errors, initial=10.0)
        ax.set_facecolor("white")
        self.image_ = ax.pcolormesh(
            np.r_[starts, n_rows] - 0.5,
            np.arange(errors.shape[1] + 1) - 0.5,
            np.clip(errors, 1, None).T,
            norm=LogNorm(1, top),
            cmap="cividis_r",
            rasterized=True,
        )
        ax.figure.colorbar(self.image_, ax=ax, label="error (1 = usual in training)")
        if y is not None and (y == -1).any():
            # Above the picture, so that nothing of it is hidden.
            ax.broken_barh(
                spans(y == -1, np.arange(n_rows)),
                (1.005, 0.03),
                transform=ax.get_xaxis_transform(),
                facecolor=ABNORMAL,
                clip_on=False,
                label="outliers",
            )
            ax.legend(loc="lower right", bbox_to_anchor=(1, 1.03), frameon=False)
        ax.invert_yaxis()
        ax.set(xlabel="row", xlim=(-0.5, n_rows - 0.5))
        whole_numbers(ax)


def _worst(errors: np.ndarray, y: np.ndarray | None) -> np.ndarray:
    """Features by their mean error over the outliers, over all rows without any."""
    if y is not None and (y == -1).any():
        errors = errors[y == -1]
    return np.argsort(-np.nan_to_num(_means(errors), nan=-1.0), kind="stable")


def _means(errors: np.ndarray) -> np.ndarray:
    """Mean of each column without NaN; NaN where there is nothing else."""
    observed = ~np.isnan(errors)
    count = observed.sum(axis=0)
    total = np.where(observed, errors, 0).sum(axis=0)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def _check_errors(errors: Any, names: Any) -> tuple[np.ndarray, list[str]]:
    if names is None:
        names = getattr(errors, "columns", None)
    errors = np.asarray(errors, dtype=np.float64)
    if errors.ndim != 2 or 0 in errors.shape:
        raise ValueError(
            "errors must have shape (n_samples, n_features), each at least 1. Got "
            f"{errors.shape}."
        )
    if names is None:
        names = [f"x{i}" for i in range(errors.shape[1])]
    names = [str(name) for name in names]
    if len(names) != errors.shape[1]:
        raise ValueError(
            f"feature_names must hold {errors.shape[1]} names, one for each column of "
            f"errors. Got {len(names)}."
        )
    return np.minimum(errors, LARGEST), names
