"""Tools for the tests of skae and of code that builds on it."""

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from skae.core.compilation import count_compilations

__all__ = ["OUTLIER_DETECTOR_CHECKS", "check_outlier_detector", "count_compilations"]


def check_outlier_detector(detector: Any) -> None:
    """Check what users of any outlier detector rely on, beyond ``check_estimator``.

    Scores are higher for more normal rows; decisions and labels follow from scores
    and threshold; contamination flags that share of the training rows, and more of it
    flags no row less; labels passed to ``fit`` change nothing, and the rows stay as
    they are; a row's score does not depend on its company. The single checks are in
    ``OUTLIER_DETECTOR_CHECKS``, for parametrised tests. Detectors that are tuned by
    labels should leave the one about labels out.

    Parameters
    ----------
    detector : object
        Detector, fitted or not, with ``fit``, ``score_samples``,
        ``decision_function`` and ``predict``; it is cloned. Pipelines are fine.

    Raises
    ------
    AssertionError
        If a check fails.

    Examples
    --------
    >>> from sklearn.ensemble import IsolationForest
    >>> from skae.testing import check_outlier_detector
    >>> check_outlier_detector(IsolationForest())
    """
    for check in OUTLIER_DETECTOR_CHECKS:
        check(detector)


def _rows() -> tuple[np.ndarray, np.ndarray]:
    """Return correlated normal rows, and outliers on all sides of them."""
    rng = np.random.default_rng(0)
    mixing = np.eye(4) + 0.5
    directions = rng.normal(size=(40, 4))
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    return rng.normal(size=(240, 4)) @ mixing, 12 * directions / lengths


def _fitted(detector: Any, y: Any = None, **parameters: Any) -> Any:
    detector = clone(detector)
    for name in detector.get_params():
        if name.split("__")[-1] == "random_state":
            parameters[name] = 0
    normal, _ = _rows()
    return detector.set_params(**parameters).fit(normal, y)


def _parameter(detector: Any, wanted: str) -> str | None:
    """Full name of a parameter of the detector or of the last step of a Pipeline."""
    names = [n for n in detector.get_params() if n.split("__")[-1] == wanted]
    return names[-1] if names else None


def _check_scores_are_higher_for_normal_rows(detector: Any) -> None:
    normal, outliers = _rows()
    detector = _fitted(detector)
    y = np.r_[np.ones(len(normal)), -np.ones(len(outliers))]
    area = roc_auc_score(y, detector.score_samples(np.r_[normal, outliers]))
    assert area > 0.9, f"outliers score higher than normal rows: ROC AUC {area:.3f}"


def _check_labels_follow_from_scores_and_threshold(detector: Any) -> None:
    rows = np.concatenate(_rows())
    detector = _fitted(detector)
    scores, decisions = detector.score_samples(rows), detector.decision_function(rows)
    labels = detector.predict(rows)
    assert scores.shape == decisions.shape == labels.shape == (len(rows),)
    assert set(labels) == {1, -1}, "labels are not +1 and -1"
    np.testing.assert_array_equal(labels, np.where(decisions >= 0, 1, -1))
    if hasattr(detector, "offset_"):
        np.testing.assert_allclose(decisions, scores - detector.offset_, rtol=1e-10)
    order = np.argsort(scores, kind="stable")
    assert (np.diff(labels[order]) >= 0).all(), "a lower score has the better label"


def _check_contamination_is_the_share_of_training_rows_flagged(detector: Any) -> None:
    name = _parameter(detector, "contamination")
    # With novelty=True, LOF scores training rows as if they were new.
    if name is None or _parameter(detector, "novelty"):
        return
    normal, _ = _rows()
    before = np.zeros(len(normal), dtype=bool)
    for share in (0.05, 0.25, 0.5):
        flagged = _fitted(detector, **{name: share}).predict(normal) == -1
        assert abs(flagged.mean() - share) <= 1 / len(normal), (
            f"contamination={share} flags {flagged.mean():.3f} of the training rows"
        )
        assert (flagged >= before).all(), "more contamination clears a row"
        before = flagged


def _check_labels_do_not_change_the_training(detector: Any) -> None:
    normal, outliers = _rows()
    labels = np.where(np.arange(len(normal)) % 5 == 0, -1, 1)
    with_labels, without = (
        _fitted(detector, y).score_samples(outliers) for y in (labels, None)
    )
    assert np.array_equal(with_labels, without), "labels change the scores"


def _check_rows_stay_as_they_are(detector: Any) -> None:
    normal, outliers = _rows()
    fitted = clone(detector).fit(normal)
    fitted.predict(outliers)
    for given, expected in zip((normal, outliers), _rows(), strict=True):
        assert np.array_equal(given, expected), "the rows were changed in place"


def _check_a_score_does_not_depend_on_other_rows(detector: Any) -> None:
    rows = np.concatenate(_rows())
    detector = _fitted(detector)
    scores = detector.score_samples(rows)
    order = np.random.default_rng(0).permutation(len(rows))
    reordered = detector.score_samples(rows[order])
    alone = [detector.score_samples(row[None])[0] for row in rows[-5:]]
    for found, expected in ((reordered, scores[order]), (alone, scores[-5:])):
        assert np.allclose(found, expected, rtol=1e-6), "a score depends on other rows"


OUTLIER_DETECTOR_CHECKS = (
    _check_rows_stay_as_they_are,
    _check_scores_are_higher_for_normal_rows,
    _check_labels_follow_from_scores_and_threshold,
    _check_contamination_is_the_share_of_training_rows_flagged,
    _check_labels_do_not_change_the_training,
    _check_a_score_does_not_depend_on_other_rows,
)
"""The single checks of :func:`check_outlier_detector`: functions of a detector."""
