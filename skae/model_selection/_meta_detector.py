"""What meta-estimators around an outlier detector have in common."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OutlierMixin
from sklearn.utils import get_tags

from skae._callbacks import CallbackSupportMixin
from skae._html import ParameterHelpMixin
from skae._types import MatrixLike


class MetaDetector(
    ParameterHelpMixin,
    CallbackSupportMixin,
    OutlierMixin,
    MetaEstimatorMixin,
    BaseEstimator,
):
    """Decisions and labels from ``score_samples`` and ``offset_``."""

    def _adopt_columns(self) -> None:
        """Take over what the fitted detector knows about its columns."""
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))

    def decision_function(self, X: MatrixLike) -> NDArray[np.float64]:
        """Score rows relative to the threshold; negative means outlier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``.
        """
        scores = self.score_samples(X)
        # A density may be zero, and its score and the threshold minus infinity.
        with np.errstate(invalid="ignore"):
            return np.where(scores == self.offset_, 0.0, scores - self.offset_)

    def predict(self, X: MatrixLike) -> NDArray[np.int64]:
        """Label rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to label.

        Returns
        -------
        ndarray of shape (n_samples,)
            +1 for inliers (``decision_function >= 0``), -1 for outliers.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def fit_predict(
        self, X: MatrixLike, y: ArrayLike | None = None, **fit_params: Any
    ) -> NDArray[np.int64]:
        """Fit and label the same rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            See ``fit``.
        **fit_params : dict
            See ``fit``.

        Returns
        -------
        ndarray of shape (n_samples,)
            +1 for inliers, -1 for outliers.
        """
        return self.fit(X, y, **fit_params).predict(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags
