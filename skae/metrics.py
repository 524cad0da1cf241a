"""Scorers and costs for outlier detectors, with the outlier as the positive class.

scikit-learn labels inliers +1 and outliers -1, so its scorers "f1", "precision",
"recall" and "average_precision" measure how well the inliers are found. Those here
measure how well the outliers are, and refuse other labels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    make_scorer,
    roc_auc_score,
)
from sklearn.utils import check_consistent_length

from skae import thresholds
from skae._ranges import Float, Int, Ranges
from skae._types import MatrixLike
from skae._validation import check_labels, check_ranges, check_scores

__all__ = [
    "AlarmCost",
    "make_outlier_scorer",
    "outlier_average_precision_scorer",
    "outlier_f1_scorer",
    "outlier_roc_auc_scorer",
]

RESPONSE_METHODS = ("score_samples", "decision_function", "predict")


@dataclass(frozen=True)
class AlarmCost:
    """Cost of false alarms and of missed outliers, with a tolerance in time.

    A row is an alarm where its score is below the threshold. The cost is
    ``false_alarm`` times the alarms that have no outlier within ``tolerance`` rows
    before or after, plus ``missed`` times the outliers that have no alarm within
    ``tolerance`` rows. With a tolerance, rows must be in the order of time.

    An instance is a scorer, ``scoring=AlarmCost(missed=5)``, and an objective of
    :class:`~skae.model_selection.TunedThresholdDetector`.

    Parameters
    ----------
    false_alarm : float, default=1
        Cost >= 0 of a false alarm.
    missed : float, default=1
        Cost >= 0 of a missed outlier.
    tolerance : int, default=0
        Rows >= 0 by which an alarm may come early or late.

    Raises
    ------
    ValueError
        If a cost is negative or not finite, or the tolerance is not an int >= 0.

    Examples
    --------
    >>> from skae.metrics import AlarmCost
    >>> cost = AlarmCost(false_alarm=1, missed=5, tolerance=1)
    >>> cost.cost([1, 1, -1, 1, 1, -1], [1, -1, 1, 1, 1, 1])
    5.0
    >>> cost.cost([1, 1, -1, 1, 1, -1], [-1, 1, 1, 1, 1, -1])
    6.0
    """

    _ranges: ClassVar[Ranges] = {
        "false_alarm": Float("[0, inf)"),
        "missed": Float("[0, inf)"),
        "tolerance": Int("[0, inf)"),
    }

    false_alarm: float = 1
    missed: float = 1
    tolerance: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, vars(self))

    def __call__(self, estimator: Any, X: MatrixLike, y: ArrayLike) -> float:
        """Score a detector: minus the cost of its predictions.

        Parameters
        ----------
        estimator : object
            Fitted detector with ``predict``.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            +1 for inliers, -1 for outliers.

        Returns
        -------
        float
            At most 0.
        """
        # Not -0.0 where all is well.
        return 0.0 - self.cost(y, estimator.predict(X))

    def cost(self, y_true: ArrayLike, y_pred: ArrayLike) -> float:
        """Cost of predicted labels.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            +1 for inliers, -1 for outliers.
        y_pred : array-like of shape (n_samples,)
            +1 for rows that pass, -1 for alarms.

        Returns
        -------
        float
            At least 0.
        """
        alarm = check_labels(y_pred, "y_pred") == -1
        outlier = self._outliers(y_true, alarm)
        false_alarms = np.count_nonzero(alarm & ~self._reach(outlier))
        missed = np.count_nonzero(outlier & ~self._reach(alarm))
        return float(self._total(false_alarms, missed))

    def curve(
        self, y_true: ArrayLike, scores: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Cost at every threshold that makes a difference, in O(n log n).

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            +1 for inliers, -1 for outliers.
        scores : array-like of shape (n_samples,)
            Higher is more normal, as ``score_samples`` returns them.

        Returns
        -------
        thresholds : ndarray of shape (n_thresholds,)
            Ascending (see :func:`skae.thresholds.candidate_thresholds`).
        costs : ndarray of shape (n_thresholds,)
            Cost of flagging the rows that score below each threshold.
        """
        scores = check_scores(scores)
        outlier = self._outliers(y_true, scores)
        candidates = thresholds.candidate_thresholds(scores)
        # A false alarm can only come from rows out of reach of any outlier, and an
        # outlier is caught as soon as the lowest score in its reach is an alarm.
        lowest = minimum_filter1d(
            scores, self._width(scores), mode="constant", cval=np.inf
        )
        false_alarms = thresholds.count_below(scores[~self._reach(outlier)], candidates)
        missed = outlier.sum() - thresholds.count_below(lowest[outlier], candidates)
        return candidates, self._total(false_alarms, missed)

    def _outliers(self, y_true: ArrayLike, other: np.ndarray) -> np.ndarray:
        outlier = check_labels(y_true) == -1
        check_consistent_length(outlier, other)
        return outlier

    def _reach(self, rows: np.ndarray) -> np.ndarray:
        """Whether one of ``rows`` is within the tolerance of each row."""
        return maximum_filter1d(rows, self._width(rows), mode="constant", cval=False)

    def _total(self, false_alarms: Any, missed: Any) -> Any:
        # Narrow numbers of NumPy would overflow.
        return float(self.false_alarm) * false_alarms + float(self.missed) * missed

    def _width(self, rows: np.ndarray) -> int:
        return 2 * min(int(self.tolerance), len(rows)) + 1


def make_outlier_scorer(
    metric: Callable[..., Any],
    *,
    response_method: str = "score_samples",
    greater_is_better: bool = True,
    **kwargs: Any,
) -> Callable[[Any, Any, Any], float]:
    """Make a scorer of outlier detectors from a metric of binary classification.

    The scorer serves ``GridSearchCV``, ``cross_validate``, ``permutation_importance``
    and all else that takes ``scoring``, with any detector, alone or in a Pipeline.

    Parameters
    ----------
    metric : callable
        ``metric(y_true, y_score, **kwargs)`` or ``metric(y_true, y_pred, **kwargs)``.
        It gets 1 for outliers and 0 for inliers, and scores that are higher for more
        anomalous rows.
    response_method : {"score_samples", "decision_function", "predict"}, \
            default="score_samples"
        Method of the detector whose result is measured.
    greater_is_better : bool, default=True
        If False, the scorer returns minus the metric.
    **kwargs : dict
        Passed to the metric.

    Returns
    -------
    callable
        Scorer with signature ``(estimator, X, y)``; y is +1 for inliers and -1 for
        outliers, other labels raise a ValueError.

    Raises
    ------
    ValueError
        If ``response_method`` is unknown.
    TypeError
        If ``metric`` is not callable, or an AlarmCost, which is a scorer itself.

    Examples
    --------
    >>> from sklearn.ensemble import IsolationForest
    >>> from sklearn.metrics import matthews_corrcoef
    >>> from skae.metrics import make_outlier_scorer
    >>> scorer = make_outlier_scorer(matthews_corrcoef, response_method="predict")
    >>> X, y = [[0.0], [0.1], [0.2], [0.3], [9.0]], [1, 1, 1, 1, -1]
    >>> detector = IsolationForest(contamination=0.2, random_state=0).fit(X)
    >>> scorer(detector, X, y)
    1.0
    """
    if metric is AlarmCost or isinstance(metric, AlarmCost):
        raise TypeError("An AlarmCost is a scorer itself: pass it as scoring.")
    if not callable(metric):
        raise TypeError(f"metric must be callable. Got {metric!r}.")
    if response_method not in RESPONSE_METHODS:
        names = ", ".join(map(repr, RESPONSE_METHODS))
        raise ValueError(
            f"response_method must be one of {names}. Got {response_method!r}."
        )
    return make_scorer(
        _outlier_positive,
        # A sequence, since make_scorer does not take "score_samples" by itself.
        response_method=(response_method,),
        greater_is_better=greater_is_better,
        metric=metric,
        labels_given=response_method == "predict",
        **kwargs,
    )


def _outlier_positive(
    y_true: Any,
    response: Any,
    *,
    metric: Callable[..., float],
    labels_given: bool,
    **kwargs: Any,
) -> float:
    y_true = (check_labels(y_true) == -1).astype(int)
    if labels_given:
        response = (check_labels(response, "predictions") == -1).astype(int)
    else:
        # Metrics refuse infinite scores, such as those of a density that is zero.
        limit = np.finfo(np.float64).max
        response = np.clip(-check_scores(response), -limit, limit)
    return metric(y_true, response, **kwargs)


outlier_roc_auc_scorer = make_outlier_scorer(roc_auc_score)
"""Scorer of the area under the ROC curve, by ``score_samples``."""

outlier_average_precision_scorer = make_outlier_scorer(average_precision_score)
"""Scorer of the average precision with outliers as positives, by ``score_samples``."""

outlier_f1_scorer = make_outlier_scorer(f1_score, response_method="predict")
"""Scorer of the F1 score with outliers as positives, by ``predict``."""
