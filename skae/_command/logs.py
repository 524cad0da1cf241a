"""Logarithms of columns whose values differ by factors, such as prices."""

from typing import Any, Self

import numpy as np
from scipy.stats import skew
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

# Positive columns more skewed than this have logarithms.
SKEWED = 1.0

# Below this share of the least value that was seen, the logarithm goes on as a line.
BEND = 0.01


class Logs(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Take logarithms of positive, skewed columns, and leave the others.

    Products and ratios of columns become sums and differences, which a network learns
    from few rows. Values that are not positive, of rows to come, stay finite and in
    order.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find out which columns are positive and skewed."""
        X = validate_data(self, X, ensure_all_finite="allow-nan", dtype=np.float64)
        with np.errstate(all="ignore"):
            least = np.fmin.reduce(X, axis=0)
            skewed = np.array([_skewness(column) > SKEWED for column in X.T])
        self.bends_ = np.where((least > 0) & skewed, BEND * least, np.nan)
        return self

    def transform(self, X: Any) -> Any:
        """Take the logarithms."""
        check_is_fitted(self)
        X = validate_data(
            self, X, reset=False, ensure_all_finite="allow-nan", dtype=np.float64
        )
        bends = np.where(np.isnan(self.bends_), 1.0, self.bends_)
        logs = np.log(np.maximum(X, bends)) + np.minimum(X - bends, 0) / bends
        return np.where(np.isnan(self.bends_), X, logs)


def _skewness(column: np.ndarray) -> float:
    values = column[~np.isnan(column)]
    # Of values that differ by rounding alone there is none.
    spread = values.max(initial=-np.inf) - values.min(initial=np.inf)
    if not spread > 1e-9 * np.abs(values).max(initial=0):
        return 0.0
    return float(skew(values / np.abs(values).max()))
