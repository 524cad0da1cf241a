"""What each threshold costs, or how well it serves another objective."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skae._parts import offset_of, require_scores
from skae._types import MatrixLike
from skae._validation import check_labels, check_scores
from skae.inspection._figure import (
    LARGEST,
    NORMAL,
    axes_of,
    name_of,
    text,
    threshold_line,
    title,
    window,
)
from skae.metrics import AlarmCost
from skae.model_selection._objectives import FBeta, best_threshold, resolve

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ThresholdCostDisplay:
    """Cost, or another objective, of every threshold that makes a difference.

    Create it by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    thresholds : array-like of shape (n_thresholds,)
        Scores below which rows are flagged, ascending.
    values : array-like of shape (n_thresholds,)
        Value of the objective at each; minus infinity where it is not allowed.
    threshold : float, default=None
        The threshold that is used.
    objective_name : str, default="objective"
        What the values are.
    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the picture is.
    figure_ : matplotlib Figure
        Figure of the picture.
    line_ : matplotlib Line2D
        The curve.
    threshold_line_ : matplotlib Line2D or None
        The threshold that is used.

    See Also
    --------
    skae.model_selection.TunedThresholdDetector : Takes the best threshold.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from skae.inspection import ThresholdCostDisplay
    >>> from skae.metrics import AlarmCost
    >>> rng = np.random.default_rng(0)
    >>> X = np.r_[rng.normal(size=(300, 2)), rng.normal(4, 1, size=(20, 2))]
    >>> y = np.r_[np.ones(300), -np.ones(20)]
    >>> detector = IsolationForest(random_state=0).fit(X)
    >>> display = ThresholdCostDisplay.from_estimator(
    ...     detector, X, y, objective=AlarmCost(missed=5)
    ... )
    """

    def __init__(
        self,
        *,
        thresholds: ArrayLike,
        values: ArrayLike,
        threshold: float | None = None,
        objective_name: str = "objective",
        estimator_name: str | None = None,
    ) -> None:
        self.thresholds = thresholds
        self.values = values
        self.threshold = threshold
        self.objective_name = objective_name
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike | None = None,
        y: ArrayLike | None = None,
        *,
        objective: str | AlarmCost | Callable[..., ArrayLike] | None = None,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw the objective of a detector on labelled rows.

        Parameters
        ----------
        estimator : object
            Any fitted outlier detector with ``score_samples``, or a Pipeline of one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows. None draws the curve that a
            :class:`~skae.model_selection.TunedThresholdDetector` was tuned by.
        y : array-like of shape (n_samples,), default=None
            +1 for inliers, -1 for outliers. Needed with ``X``.
        objective : AlarmCost, {"f1", "balanced_accuracy"} or callable, default=None
            As in :class:`~skae.model_selection.TunedThresholdDetector`, which is where
            None takes it from; "f1" for other detectors.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title. None: the name of the estimator's class.

        Returns
        -------
        ThresholdCostDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If rows are needed and not given, or the objective allows no threshold.
        TypeError
            If the estimator has no ``score_samples``.
        """
        require_scores(estimator, cls.__name__)
        threshold, name = offset_of(estimator), name_of(estimator, name)
        if objective is None:
            objective = getattr(estimator, "objective", "f1")
        if X is not None:
            return cls.from_predictions(
                y,
                estimator.score_samples(X),
                objective=objective,
                threshold=threshold,
                ax=ax,
                name=name,
            )
        curve = getattr(estimator, "objective_curve_", None)
        if curve is None:
            raise ValueError(
                f"{cls.__name__} needs X and y, but for a TunedThresholdDetector that "
                f"was fitted with labels. Got {type(estimator).__name__}."
            )
        objective = resolve(objective)
        return cls(
            thresholds=curve["thresholds"],
            values=_sign(objective) * curve["values"],
            threshold=threshold,
            objective_name=_objective_name(objective),
            estimator_name=name,
        ).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike | None,
        scores: ArrayLike,
        *,
        objective: str | AlarmCost | Callable[..., ArrayLike] = "f1",
        threshold: float | None = None,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw the objective that scores make.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            +1 for inliers, -1 for outliers.
        scores : array-like of shape (n_samples,)
            Higher is more normal.
        objective : AlarmCost, {"f1", "balanced_accuracy"} or callable, default="f1"
            As in :class:`~skae.model_selection.TunedThresholdDetector`.
        threshold : float, default=None
            The threshold that is used.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title.

        Returns
        -------
        ThresholdCostDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If labels are others than +1 and -1, or the objective allows no threshold.
        """
        objective = resolve(objective)
        candidates, values, _ = best_threshold(
            objective, check_labels(y_true, "y_true"), check_scores(scores)
        )
        return cls(
            thresholds=candidates,
            values=_sign(objective) * values,
            threshold=threshold,
            objective_name=_objective_name(objective),
            estimator_name=name,
        ).plot(ax=ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        ThresholdCostDisplay
            The display itself.
        """
        candidates = check_scores(self.thresholds)
        values = np.asarray(self.values, dtype=np.float64)
        finite = np.abs(candidates) < LARGEST
        candidates, values = candidates[finite], values[finite]
        # A gap in the curve where a threshold is not allowed.
        values = np.where(np.isfinite(values), values, np.nan)
        ax = axes_of(ax)
        # A row is flagged below the threshold: the value holds up to the candidate.
        self.line_ = ax.step(candidates, values, where="pre", color=NORMAL)[0]
        inside = []
        self.threshold_line_ = None
        if self.threshold is not None and np.isfinite(self.threshold):
            inside.append(self.threshold)
            self.threshold_line_ = threshold_line(ax.axvline, self.threshold)
            ax.legend()
        ax.set(
            xlabel="threshold (rows of lower scores are flagged)",
            ylabel=text(self.objective_name),
            xlim=window(candidates, *inside),
        )
        title(ax, self.estimator_name)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _sign(objective: Any) -> int:
    """Costs are drawn as they are: the lower the better."""
    return -1 if isinstance(objective, AlarmCost) else 1


def _objective_name(objective: Any) -> str:
    if isinstance(objective, AlarmCost):
        return (
            f"cost (false alarm {objective.false_alarm:g}, missed {objective.missed:g})"
        )
    if isinstance(objective, FBeta):
        return f"F{objective.beta:g} of the outliers"
    name = getattr(objective, "__name__", None)
    return name.replace("_", " ") if name else repr(objective)
