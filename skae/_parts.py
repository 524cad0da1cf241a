"""What estimators are made of: transformers, a detector, and wrappers around them."""

from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline


def parts(estimator: Any) -> tuple[list[Any], Any]:
    """Split a fitted estimator into transformers, in order, and its detector.

    Looks into Pipelines, searches, frozen and meta-estimators.
    """
    transformers = []
    while True:
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif isinstance(estimator, Pipeline):
            transformers += [step for _, step in estimator.steps[:-1] if _works(step)]
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(getattr(estimator, "estimator_", None), "score_samples"):
            # Not the trees of a forest, which call their template so as well.
            estimator = estimator.estimator_
        else:
            return transformers, estimator


def _works(step: Any) -> bool:
    return step is not None and not isinstance(step, str)


def entering(transformers: list[Any], X: Any) -> Any:
    """Rows as they reach the detector."""
    for transformer in transformers:
        X = transformer.transform(X)
    return X


def offset_of(estimator: Any) -> float | None:
    """Threshold of a fitted detector, found behind wrappers; None where it has none."""
    inner = estimator
    while not hasattr(inner, "offset_"):
        if hasattr(inner, "best_estimator_"):
            inner = inner.best_estimator_
        elif hasattr(inner, "steps"):
            inner = inner.steps[-1][1]
        else:
            return None
    return float(np.ravel(inner.offset_)[0])


def require_scores(estimator: Any, owner: str) -> None:
    """Refuse what has no score_samples."""
    if hasattr(estimator, "score_samples"):
        return
    hint = " Set its novelty to True." if hasattr(estimator, "novelty") else ""
    raise TypeError(
        f"The 'estimator' parameter of {owner} must have score_samples. Got "
        f"{estimator!r} instead.{hint}"
    )
