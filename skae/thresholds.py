"""From scores to thresholds and p-values, in NumPy.

Scores are higher for more normal rows; a row is an outlier where its score is below
the threshold.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length

from skae._ranges import Float
from skae._validation import (
    check_labels,
    check_range,
    check_sample_weight,
    check_scores,
)

__all__ = [
    "calibration_sample",
    "candidate_thresholds",
    "conformal_offset",
    "conformal_p_values",
    "confusion_counts",
    "contamination_offset",
    "count_below",
    "expected_offset",
]

MAX_CALIBRATION_SCORES = 10_000

# Scores from which on the lowest one is compared with the others.
FEW = 10


CONTAMINATION = Float("(0, 0.5]")


def contamination_offset(
    scores: ArrayLike, contamination: float, sample_weight: ArrayLike | None = None
) -> float:
    """Threshold that flags the given share of the scores.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Higher is more normal.
    contamination : float
        Share of the rows to flag, in (0, 0.5].
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; the share is then a share of their sum.

    Returns
    -------
    float
        The percentile that scikit-learn's IsolationForest uses, or the weighted
        quantile (inverted distribution function).

    Examples
    --------
    >>> from skae.thresholds import contamination_offset
    >>> contamination_offset([1.0, 2.0, 3.0, 4.0, 5.0], 0.25)
    2.0
    """
    scores = check_scores(scores)
    check_range("contamination", contamination, CONTAMINATION, "contamination_offset")
    weight = check_sample_weight(sample_weight, scores)
    if (weight == weight[0]).all():
        return float(np.percentile(scores, 100 * contamination))
    return _weighted_quantile(scores, contamination, weight)


def _weighted_quantile(scores: np.ndarray, share: float, weight: np.ndarray) -> float:
    quantile = np.quantile(scores, share, weights=weight, method="inverted_cdf")
    return float(quantile)


FALSE_POSITIVE_RATE = Float("(0, 1)")


def _check_rate(rate: float, owner: str) -> None:
    check_range("false_positive_rate", rate, FALSE_POSITIVE_RATE, owner)


def expected_offset(
    scores: ArrayLike,
    false_positive_rate: float,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Threshold with an expected rate of false alarms on new normal rows.

    The score at position ``false_positive_rate * (n + 1)`` of the sorted scores,
    between neighbours by interpolation: of n + 1 exchangeable rows, each is the k-th
    lowest with the same probability. Unlike :func:`conformal_offset`, which bounds the
    rate, it takes any number of scores; below ``1 / (n + 1)`` it is the lowest. Of ten
    scores or more, the lowest counts as no further below the second than that is below
    the median: one gross row among few would set the threshold.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Scores of normal rows that the detector was not trained on.
    false_positive_rate : float
        In (0, 1).
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows. Unless all are the same, the threshold is the weighted
        quantile (inverted distribution function).

    Returns
    -------
    float
        The threshold.

    Examples
    --------
    >>> from skae.thresholds import expected_offset
    >>> expected_offset(range(99), 0.05)
    4.0
    """
    scores = check_scores(scores)
    _check_rate(false_positive_rate, "expected_offset")
    weight = check_sample_weight(sample_weight, scores)
    if (weight == weight[0]).all():
        scores = _without_gross_lowest(np.sort(scores))
        place = np.clip(false_positive_rate * (len(scores) + 1), 1, len(scores)) - 1
        low, high = scores[math.floor(place)], scores[math.ceil(place)]
        return _between(low, high, place % 1)
    return _weighted_quantile(scores, false_positive_rate, weight)


def _between(low: float, high: float, share: float) -> float:
    """Interpolate, also from minus infinity on, where NumPy's quantile is NaN."""
    return float(low if share == 0 or np.isneginf(low) else low + (high - low) * share)


def _without_gross_lowest(scores: np.ndarray) -> np.ndarray:
    """Sorted scores, the lowest of which is near the others, where they are some."""
    if len(scores) >= FEW and np.isfinite(scores[1]):
        scores[0] = max(scores[0], 2 * scores[1] - np.median(scores))
    return scores


def conformal_offset(scores: ArrayLike, false_positive_rate: float) -> float:
    """Threshold with a guaranteed rate of false alarms on new normal rows.

    The k-th lowest score with ``k = floor(false_positive_rate * (n + 1))``: a new
    row exchangeable with the given ones scores below it with at most that
    probability (Vovk et al., 2005).

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Scores of normal rows that the detector was not trained on.
    false_positive_rate : float
        In (0, 1).

    Returns
    -------
    float
        The threshold.

    Raises
    ------
    ValueError
        Where the rows are too few for the rate.

    Examples
    --------
    >>> from skae.thresholds import conformal_offset
    >>> conformal_offset(range(99), 0.05)
    4.0
    """
    scores = np.sort(check_scores(scores))
    _check_rate(false_positive_rate, "conformal_offset")
    # Rounding would turn 0.05 * 100 into 5.000000000000001 or 4.99999999.
    rank = int(np.floor(false_positive_rate * (len(scores) + 1) + 1e-9))
    if rank < 1:
        needed = int(np.ceil(1 / false_positive_rate - 1e-9)) - 1
        raise ValueError(
            f"false_positive_rate={false_positive_rate} needs at least {needed} "
            f"calibration rows. Got {len(scores)}."
        )
    return float(scores[rank - 1])


def conformal_p_values(scores: ArrayLike, calibration_scores: ArrayLike) -> np.ndarray:
    """Conformal p-values: how rare a score this low is among calibration rows.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Scores of the rows in question.
    calibration_scores : array-like of shape (n_calibration,)
        Scores of normal rows.

    Returns
    -------
    ndarray of shape (n_samples,)
        ``(1 + number of calibration scores <= score) / (n_calibration + 1)``, in
        (0, 1].

    Examples
    --------
    >>> from skae.thresholds import conformal_p_values
    >>> conformal_p_values([-5.0, 2.5], [1.0, 2.0, 3.0, 4.0])
    array([0.2, 0.6])
    """
    calibration = np.sort(check_scores(calibration_scores))
    below = np.searchsorted(calibration, check_scores(scores), side="right")
    return (1 + below) / (len(calibration) + 1)


def calibration_sample(scores: ArrayLike) -> np.ndarray:
    """Sorted scores to keep behind p-values: at most 10,000, a random sample of more.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Scores of normal rows.

    Returns
    -------
    ndarray of shape (min(n_samples, 10000),)
        A copy.

    Examples
    --------
    >>> from skae.thresholds import calibration_sample
    >>> calibration_sample([3.0, 1.0, 2.0])
    array([1., 2., 3.])
    """
    scores = np.sort(check_scores(scores))
    if len(scores) <= MAX_CALIBRATION_SCORES:
        return scores
    rng = np.random.default_rng(0)
    return np.sort(rng.choice(scores, MAX_CALIBRATION_SCORES, replace=False))


def candidate_thresholds(scores: ArrayLike) -> np.ndarray:
    """Every threshold that separates the scores in a different way, ascending.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Higher is more normal.

    Returns
    -------
    ndarray of shape (n_distinct + 1,)
        The lowest score, which flags no row; the middle between each two neighbours;
        and a value above the highest score, which flags all.

    Examples
    --------
    >>> from skae.thresholds import candidate_thresholds
    >>> candidate_thresholds([3.0, 1.0, 3.0])
    array([1., 2., 3.])
    """
    distinct = np.unique(check_scores(scores))
    low, high = distinct[:-1], distinct[1:]
    with np.errstate(over="ignore", invalid="ignore"):
        middle = low / 2 + high / 2
        above = np.nextafter(distinct[-1:], np.inf)
    # Between neighbouring floats, or from minus infinity on, there is no middle.
    middle = np.where((middle > low) & (middle <= high), middle, high)
    return np.concatenate([distinct[:1], middle, above])


def confusion_counts(
    y_true: ArrayLike, scores: ArrayLike, thresholds: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Confusion counts at each threshold, with the outlier as the positive class.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        +1 for inliers, -1 for outliers.
    scores : array-like of shape (n_samples,)
        Higher is more normal.
    thresholds : array-like of shape (n_thresholds,)
        A row is flagged where its score is below the threshold.

    Returns
    -------
    tuple of ndarray of shape (n_thresholds,)
        Counts tn, fp, fn, tp: inliers passed and flagged, outliers passed and flagged.

    Examples
    --------
    >>> from skae.thresholds import confusion_counts
    >>> tn, fp, fn, tp = confusion_counts([1, 1, -1], [3.0, 2.0, 1.0], [1.5, 2.5])
    >>> fp, tp
    (array([0, 1]), array([1, 1]))
    """
    scores, outlier = check_scores(scores), check_labels(y_true, "y_true") == -1
    check_consistent_length(scores, outlier)
    fp = count_below(scores[~outlier], thresholds)
    tp = count_below(scores[outlier], thresholds)
    return (~outlier).sum() - fp, fp, outlier.sum() - tp, tp


def count_below(scores: ArrayLike, thresholds: ArrayLike) -> np.ndarray:
    """Count the scores below each threshold.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        In any order.
    thresholds : array-like of shape (n_thresholds,)
        In any order.

    Returns
    -------
    ndarray of shape (n_thresholds,)
        Counts.

    Examples
    --------
    >>> from skae.thresholds import count_below
    >>> count_below([1.0, 2.0, 3.0], [2.0, 2.5])
    array([1, 2])
    """
    return np.searchsorted(np.sort(scores), thresholds, side="left")
