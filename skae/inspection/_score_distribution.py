"""Histograms of scores, with the threshold."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skae._parts import offset_of, require_scores
from skae._ranges import Int
from skae._types import MatrixLike
from skae._validation import check_range, check_scores
from skae.inspection._figure import (
    axes_of,
    check_partial_labels,
    groups,
    histogram,
    name_of,
    threshold_line,
    title,
    window,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ScoreDistributionDisplay:
    """Histograms of the scores of inliers and outliers, with the threshold.

    Create it by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Higher is more normal, as ``score_samples`` returns them.
    y_true : array-like of shape (n_samples,), default=None
        +1 for inliers, -1 for outliers, NaN where it is not known.
    threshold : float, default=None
        Score below which a row is flagged.
    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the picture is.
    figure_ : matplotlib Figure
        Figure of the picture.
    patches_ : list of matplotlib Polygon
        A histogram for each kind of rows.
    threshold_line_ : matplotlib Line2D or None
        The threshold.

    See Also
    --------
    AlarmSignalDisplay : The scores one after another.

    Notes
    -----
    Bars are shares of the rows of their kind, so that few outliers are seen beside many
    inliers. Scores far from the others are counted in the outermost bins.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from skae.inspection import ScoreDistributionDisplay
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> detector = IsolationForest(random_state=0).fit(X)
    >>> display = ScoreDistributionDisplay.from_estimator(detector, X)
    """

    def __init__(
        self,
        *,
        scores: ArrayLike,
        y_true: ArrayLike | None = None,
        threshold: float | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.scores = scores
        self.y_true = y_true
        self.threshold = threshold
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        bins: int = 50,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw the scores that a detector gives.

        Parameters
        ----------
        estimator : object
            Any fitted outlier detector with ``score_samples``, or a Pipeline of one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            +1 for inliers, -1 for outliers, NaN where it is not known.
        bins : int, default=50
            Bars across the picture.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title. None: the name of the estimator's class.

        Returns
        -------
        ScoreDistributionDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``score_samples``.
        """
        require_scores(estimator, cls.__name__)
        return cls.from_predictions(
            y,
            estimator.score_samples(X),
            threshold=offset_of(estimator),
            bins=bins,
            ax=ax,
            name=name_of(estimator, name),
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike | None,
        scores: ArrayLike,
        *,
        threshold: float | None = None,
        bins: int = 50,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw scores.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or None
            +1 for inliers, -1 for outliers, NaN where it is not known.
        scores : array-like of shape (n_samples,)
            Higher is more normal.
        threshold : float, default=None
            Score below which a row is flagged.
        bins : int, default=50
            Bars across the picture.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title.

        Returns
        -------
        ScoreDistributionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If scores are NaN or labels are others than +1, -1 and NaN.
        """
        return cls(
            scores=scores, y_true=y_true, threshold=threshold, estimator_name=name
        ).plot(ax=ax, bins=bins)

    def plot(self, ax: "Axes | None" = None, *, bins: int = 50) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        bins : int, default=50
            Bars across the picture.

        Returns
        -------
        ScoreDistributionDisplay
            The display itself.
        """
        check_range("bins", bins, Int("[1, inf)"), type(self).__name__)
        scores = check_scores(self.scores)
        y = check_partial_labels(self.y_true, scores)
        inside = [] if self.threshold is None else [self.threshold]
        low, high = window(scores, *inside)
        ax = axes_of(ax)
        self.patches_ = [
            histogram(
                ax, group, np.clip(scores[group.rows], low, high), (low, high), bins
            )
            for group in groups(y, len(scores))
        ]
        self.threshold_line_ = None
        if self.threshold is not None:
            self.threshold_line_ = threshold_line(ax.axvline, self.threshold)
        n_outside = np.count_nonzero((scores < low) | (scores > high))
        note = f"; {n_outside:,} beyond, in the outermost bins" if n_outside else ""
        ax.set(
            xlabel=f"score (higher = more normal{note})",
            ylabel="share of rows",
            xlim=(low, high),
        )
        ax.legend()
        title(ax, self.estimator_name)
        self.ax_, self.figure_ = ax, ax.figure
        return self
