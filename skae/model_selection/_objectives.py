"""What a threshold can aim at, as functions of the confusion counts.

An objective gets the arrays tn, fp, fn and tp, one entry for each threshold, with the
outlier as the positive class, and returns values to maximise. Minus infinity marks a
threshold that is not allowed. An AlarmCost, which needs the order of the rows, has a
curve of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skae import thresholds
from skae._ranges import Float, Ranges
from skae._validation import check_ranges, refused
from skae.metrics import AlarmCost

OWNER = "TunedThresholdDetector"

Objective = AlarmCost | Callable[..., ArrayLike]


@dataclass(frozen=True)
class FBeta:
    """F-beta score of the outliers: the weighted harmonic mean of precision and recall.

    Parameters
    ----------
    beta : float, default=1.0
        Above 0. Recall counts ``beta`` times as much as precision.

    Raises
    ------
    ValueError
        If ``beta`` is out of range; when called, if there is no outlier.

    Examples
    --------
    >>> from skae.model_selection import FBeta
    >>> float(FBeta(2)(tn=8, fp=1, fn=0, tp=4).round(3))
    0.952
    """

    _ranges: ClassVar[Ranges] = {"beta": Float("(0, inf)")}

    beta: float = 1.0

    def __post_init__(self) -> None:
        check_ranges(self, vars(self))

    def __call__(
        self, tn: ArrayLike, fp: ArrayLike, fn: ArrayLike, tp: ArrayLike
    ) -> NDArray[np.float64]:
        """F-beta from confusion counts, in [0, 1]."""
        _require("outlier (-1)", fn, tp)
        # A product, since a power of a huge float raises OverflowError.
        of_precision = 1 / (1 + self.beta * self.beta)
        tp, fn, fp = map(np.asarray, (tp, fn, fp))
        return tp / (tp + (1 - of_precision) * fn + of_precision * fp)


@dataclass(frozen=True)
class RecallAtPrecision:
    """Highest recall of the outliers among thresholds of at least some precision.

    Parameters
    ----------
    precision : float
        Share of outliers among the flagged rows, in (0, 1].

    Raises
    ------
    ValueError
        If ``precision`` is out of range; when called, if there is no outlier or no
        threshold reaches it.

    Examples
    --------
    >>> from skae.model_selection import RecallAtPrecision
    >>> RecallAtPrecision(0.5)(tn=8, fp=[1, 5], fn=[2, 0], tp=[2, 4])
    array([ 0.5, -inf])
    """

    _ranges: ClassVar[Ranges] = {"precision": Float("(0, 1]")}

    precision: float

    def __post_init__(self) -> None:
        check_ranges(self, vars(self))

    def __call__(
        self, tn: ArrayLike, fp: ArrayLike, fn: ArrayLike, tp: ArrayLike
    ) -> NDArray[np.float64]:
        """Recall where the precision is reached, else minus infinity."""
        _require("outlier (-1)", fn, tp)
        flagged = np.add(tp, fp)
        reached = np.divide(tp, np.maximum(flagged, 1))
        if np.max(reached) < self.precision:
            raise ValueError(
                f"No threshold reaches precision={self.precision}: the highest is "
                f"{np.max(reached):.3g}."
            )
        return np.where(
            reached >= self.precision, np.divide(tp, np.add(tp, fn)), -np.inf
        )


@dataclass(frozen=True)
class FalseAlarmRate:
    """Largest share of inliers flagged that does not exceed a rate.

    Labels of outliers are not needed: y may be +1 for all rows.

    Parameters
    ----------
    rate : float
        Share of the inliers, in [0, 1).

    Raises
    ------
    ValueError
        If ``rate`` is out of range; when called, if there is no inlier.

    Examples
    --------
    >>> from skae.model_selection import FalseAlarmRate
    >>> FalseAlarmRate(0.1)(tn=[10, 9, 8], fp=[0, 1, 2], fn=0, tp=0)
    array([ 0. ,  0.1, -inf])
    """

    _ranges: ClassVar[Ranges] = {"rate": Float("[0, 1)")}

    rate: float

    def __post_init__(self) -> None:
        check_ranges(self, vars(self))

    def __call__(
        self, tn: ArrayLike, fp: ArrayLike, fn: ArrayLike, tp: ArrayLike
    ) -> NDArray[np.float64]:
        """Share of the inliers flagged where allowed, else minus infinity."""
        _require("inlier (+1)", tn, fp)
        rate = np.divide(fp, np.add(tn, fp))
        # A count that makes the rate exactly must not fail by rounding.
        return np.where(rate <= self.rate * (1 + 1e-12), rate, -np.inf)


def balanced_accuracy(
    tn: ArrayLike, fp: ArrayLike, fn: ArrayLike, tp: ArrayLike
) -> NDArray[np.float64]:
    """Mean of the shares of outliers and of inliers that are labelled rightly."""
    _require("outlier (-1)", fn, tp)
    _require("inlier (+1)", tn, fp)
    return (np.divide(tp, np.add(tp, fn)) + np.divide(tn, np.add(tn, fp))) / 2


def _require(kind: str, *parts: Any) -> None:
    if not np.add(*parts).all():
        raise ValueError(f"The objective needs at least one {kind} among the rows.")


NAMED: dict[str, Objective] = {"f1": FBeta(), "balanced_accuracy": balanced_accuracy}


def resolve(objective: Any) -> Objective:
    """Return the objective that a name stands for, or a valid one as it is."""
    if isinstance(objective, str) and objective in NAMED:
        return NAMED[objective]
    if isinstance(objective, (str, type)) or not callable(objective):
        names = ", ".join(map(repr, NAMED))
        raise refused(
            "objective", f"an AlarmCost, {names} or a callable", objective, OWNER
        )
    return objective


def best_threshold(
    objective: Objective, y: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return all candidate thresholds, their values, and the index of the best."""
    if isinstance(objective, AlarmCost):
        candidates, costs = objective.curve(y, scores)
        return candidates, -costs, _middle_of_longest_run(costs == costs.min())
    candidates = thresholds.candidate_thresholds(scores)
    counts = thresholds.confusion_counts(y, scores, candidates)
    values = _values(objective, counts)
    best = _not_dominated(values == values.max(), *counts)
    return candidates, values, _middle_of_longest_run(best)


def _values(
    objective: Callable[..., ArrayLike], counts: tuple[np.ndarray, ...]
) -> np.ndarray:
    try:
        values = np.asarray(objective(*counts), dtype=np.float64)
    except TypeError as error:
        raise TypeError(
            "The 'objective' parameter of TunedThresholdDetector must take the arrays "
            f"(tn, fp, fn, tp) where it is a callable. Got {objective!r} instead."
        ) from error
    if values.shape != counts[0].shape:
        raise ValueError(
            f"The objective must return one value for each of {len(counts[0])} "
            f"thresholds. Got shape {values.shape}."
        )
    # Precision where nothing is flagged, and the like.
    values = np.where(np.isnan(values), -np.inf, values)
    if (values == -np.inf).all():
        raise ValueError("The objective allows no threshold on these rows.")
    return values


def _not_dominated(
    best: np.ndarray, tn: np.ndarray, fp: np.ndarray, fn: np.ndarray, tp: np.ndarray
) -> np.ndarray:
    """Those of the best that no other of them beats in false alarms or in hits."""
    indices = np.flatnonzero(best)
    # Both counts rise with the threshold.
    _, fewest_false_alarms = np.unique(tp[indices], return_index=True)
    _, most_hits = np.unique(fp[indices][::-1], return_index=True)
    kept = np.intersect1d(fewest_false_alarms, len(indices) - 1 - most_hits)
    result = np.zeros_like(best)
    result[indices[kept]] = True
    return result


def _middle_of_longest_run(chosen: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(chosen, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    longest = np.argmax(stops - starts)
    return (starts[longest] + stops[longest] - 1) // 2
