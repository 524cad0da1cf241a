"""What the tests of the commands share: a folder of their own, and haste."""

import functools

import pytest
from matplotlib.figure import Figure

from skae import AutoencoderOutlierDetector
from skae._command import detectors, page, score


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pixels():
    """Asked for by tests that look at the pictures of a report."""


@pytest.fixture(autouse=True)
def _drawn_only(request, monkeypatch):
    """Draw pictures for the other tests, but do not lay them out nor write them."""

    def picture(draw, alt, size=(4, 3)):
        draw(Figure(figsize=size).subplots())
        return ""

    if "pixels" not in request.fixturenames:
        monkeypatch.setattr(page, "picture", picture)


@pytest.fixture
def default_network():
    """Asked for by tests of what the commands find as users run them."""


@pytest.fixture(autouse=True)
def _trained_in_a_blink(request, monkeypatch):
    """Give the other tests a small network, few epochs and a score of one program."""
    if "default_network" not in request.fixturenames:
        small = functools.partial(
            AutoencoderOutlierDetector,
            hidden_layer_sizes=(16,),
            latent_dim=4,
            max_iter=20,
            corruption=None,
            anomaly_score="reconstruction",
        )
        for module in (score, detectors):
            monkeypatch.setattr(module, "AutoencoderOutlierDetector", small)
        monkeypatch.setattr(score, "ANOMALY_SCORE", "reconstruction")
