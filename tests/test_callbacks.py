"""What fits are like where scikit-learn's callbacks and pages are not as they were."""

import subprocess
import sys

import pytest
from sklearn.callback import CallbackContext, CallbackSupportMixin

from skae import _callbacks

WITHOUT = """
import sys
import numpy as np
import sklearn.model_selection, sklearn.ensemble, sklearn.frozen
from sklearn.base import BaseEstimator

callback, sys.modules["sklearn.callback"] = sys.modules["sklearn.callback"], None
del BaseEstimator._get_params_html, BaseEstimator._get_fitted_attr_html
from skae import AutoencoderOutlierDetector
from skae.model_selection import TunedThresholdDetector
sys.modules["sklearn.callback"] = callback

rng = np.random.default_rng(0)
X = np.r_[rng.normal(size=(100, 3)), rng.normal(5, 1, size=(20, 3))]
y = np.r_[np.ones(100), -np.ones(20)]
detector = AutoencoderOutlierDetector(
    latent_dim=2, max_iter=2, anomaly_score="reconstruction", validation_fraction=0
)
for estimator in (detector, TunedThresholdDetector(detector, cv=2)):
    assert not hasattr(estimator, "set_callbacks")
    labels = sklearn.base.clone(estimator).fit(X, y).predict(X)
    assert set(labels) == {1, -1}
    assert type(estimator).__name__ in estimator._repr_html_()
"""


def test_detectors_fit_and_show_without_callbacks_and_parameter_tables():
    subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT], check=True)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (CallbackSupportMixin, "_init_callback_context"),
        (CallbackContext, "subcontext"),
        (CallbackContext, "call_on_fit_task_begin"),
        (CallbackContext, "call_on_fit_task_end"),
        (CallbackContext, "propagate_callback_context"),
    ],
)
def test_callbacks_that_are_not_as_they_were_are_not_used(owner, name, monkeypatch):
    assert _callbacks.find() is not None
    monkeypatch.delattr(owner, name)
    assert _callbacks.find() is None


def test_a_progress_bar_needs_callbacks(small, monkeypatch):
    detector = small()
    with _callbacks.progress_bar(detector, visible=True):
        assert detector._skl_callbacks
    assert not hasattr(detector, "_skl_callbacks")
    monkeypatch.setattr(_callbacks, "CALLBACKS", None)
    with _callbacks.progress_bar(detector, visible=True):
        assert not hasattr(detector, "_skl_callbacks")
