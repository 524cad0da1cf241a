import numpy as np
import pytest
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skae import AutoencoderOutlierDetector
from skae.model_selection import TunedThresholdDetector
from skae.testing import OUTLIER_DETECTOR_CHECKS, check_outlier_detector
from tests.helpers import SMALL_FOREST

SMALL = AutoencoderOutlierDetector(
    hidden_layer_sizes=(32,), latent_dim=16, max_iter=60, random_state=0
)


@pytest.mark.parametrize("check", OUTLIER_DETECTOR_CHECKS)
@pytest.mark.parametrize(
    "detector",
    [
        pytest.param(AutoencoderOutlierDetector(), marks=pytest.mark.slow),
        make_pipeline(StandardScaler(), SMALL),
        TunedThresholdDetector(SMALL),
        make_pipeline(StandardScaler(), IsolationForest(**SMALL_FOREST)),
        IsolationForest(**SMALL_FOREST),
        LocalOutlierFactor(novelty=True),
        OneClassSVM(nu=0.05),
        EllipticEnvelope(random_state=0),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Column")
def test_detectors_pass(detector, check):
    if isinstance(detector, TunedThresholdDetector) and "labels_do" in check.__name__:
        pytest.skip("It is there to use labels.")
    check(detector)


class Distance(OutlierMixin, BaseEstimator):
    """Minus the distance to the mean, and one thing done wrong."""

    def __init__(self, contamination=0.1, wrong=None):
        self.contamination = contamination
        self.wrong = wrong

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        if self.wrong == "labels" and y is not None:
            self.mean_ = X[y == 1].mean(axis=0)
        if self.wrong == "place":
            X *= 1.5
        share = 1 - self.contamination if self.wrong == "share" else self.contamination
        self.offset_ = np.quantile(self.score_samples(X), share)
        return self

    def score_samples(self, X):
        scores = -np.linalg.norm(X - self.mean_, axis=1)
        if self.wrong == "company":
            scores = scores - scores.max()
        return -scores if self.wrong == "sign" else scores

    def decision_function(self, X):
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        labels = np.where(self.decision_function(X) >= 0, 1, -1)
        return (labels == -1).astype(int) if self.wrong == "coding" else labels


def test_a_right_detector_passes():
    check_outlier_detector(Distance())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("sign", "score higher"),
        ("coding", "not"),
        ("share", "contamination=0.05 flags"),
        ("labels", "labels change"),
        ("company", "other rows"),
        ("place", "in place"),
    ],
)
def test_a_wrong_detector_fails(wrong, message):
    for detector in (Distance(wrong=wrong), make_pipeline(Distance(wrong=wrong))):
        with pytest.raises(AssertionError, match=message):
            check_outlier_detector(detector)
