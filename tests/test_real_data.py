"""Detection on real data, where it is at hand; and the protocol that measures it."""

import os
import runpy
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.quality import (
    adbench,
    alarm_filter,
    autorec,
    hpc,
    runs,
    tampering,
    thresholds,
)
from skae import AutoencoderOutlierDetector
from skae.datasets import load_movielens


@pytest.fixture
def data_folder():
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SKAE_DATA", beside))
    if not folder.is_dir():
        pytest.skip("needs the real data sets in SKAE_DATA")
    return folder


@pytest.mark.slow
def test_default_beats_isolation_forest_on_average(data_folder):
    names = ["2_annthyroid", "28_pendigits", "30_satellite", "37_Stamps", "46_WPBC"]
    results = {"skae": [], "IsolationForest": []}
    for name in names:
        data = np.load(data_folder / "adbench" / f"{name}.npz")
        parts = adbench.parts(data, "S2", 0)
        for detector, found in results.items():
            found.append(runs.evaluate(runs.DETECTORS[detector], parts, 0))
    for measure in ("auroc", "ap"):
        ours, theirs = (np.mean([r[measure] for r in v]) for v in results.values())
        assert ours > theirs


@pytest.mark.slow
def test_frauds_are_found(data_folder):
    data = np.load(data_folder / "creditcard" / "creditcard.npz")
    X, y = data["X"][:, 1:], data["y"]
    normal = np.random.default_rng(0).permutation(np.flatnonzero(y == 0))
    test = np.concatenate([normal[10_000:20_000], np.flatnonzero(y == 1)])
    precision = {}
    for detector in (
        AutoencoderOutlierDetector(random_state=0),
        IsolationForest(random_state=0),
    ):
        pipeline = make_pipeline(StandardScaler(), detector).fit(X[normal[:10_000]])
        scores = -pipeline.score_samples(X[test])
        precision[type(detector).__name__] = average_precision_score(y[test], scores)
    assert precision["AutoencoderOutlierDetector"] > precision["IsolationForest"]


@pytest.mark.slow
def test_alarms_cost_less_than_the_lecture_reports(data_folder, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", str(data_folder))
    X, y = hpc.load()
    costs = hpc.costs(X, y, AutoencoderOutlierDetector(random_state=0), {})
    assert costs["validation"] + costs["test"] < 264 + 265
    assert costs["oracle_test"] <= costs["test"]


def test_fresh_rows_are_flagged_as_often_as_promised(data_folder):
    data = np.load(data_folder / "adbench" / "28_pendigits.npz")
    row = thresholds.measure(data["X"], data["y"], 0)
    assert 0.025 < row["auto"] < 0.1
    assert 0.003 < row["calibrate"] < 0.03
    assert row["ks"] > 0.01


@pytest.mark.parametrize("n_rows", [200, 3000])
@pytest.mark.parametrize("setting", ["S1", "S2", "U"])
def test_settings_split_as_they_say(setting, n_rows):
    X = np.arange(n_rows)[:, None]
    y = (np.arange(n_rows) % 10 == 0).astype(int)
    X_train, X_test, y_test = adbench.split(X, y, setting, 0)
    total = 1000 if n_rows < 1000 and setting != "S2" else n_rows
    if setting == "U":
        assert len(X_train) == len(X_test) == total
        assert 0.05 < (X_train % 10 == 0).mean() < 0.15
    else:
        assert len(X_train) + len(X_test) == total
        assert not (X_train % 10 == 0).any()
        share = len(X_train) / (len(X_train) + (y_test == 0).sum())
        assert share == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(y_test, X_test[:, 0] % 10 == 0)
    if setting == "S1" and n_rows >= 1000:
        assert X_train.max() < n_rows * 0.51


@pytest.mark.slow
def test_ratings_are_predicted(data_folder):
    ratings = load_movielens(data_home=data_folder).data
    errors = autorec.evaluate(ratings.T, 0)
    assert errors["AutoRec"] < 0.92
    assert errors["AutoRec"] < errors["truncated SVD"] < errors["biases"]


@pytest.mark.parametrize(
    "name",
    [
        "30_satellite",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("26_optdigits", "46_WPBC", "5_campaign", "8_celeba")
        ),
    ],
)
@pytest.mark.parametrize("score", ["reconstruction", "joint"])
def test_tampered_features_are_named(data_folder, name, score):
    data = np.load(data_folder / "adbench" / f"{name}.npz")
    parameters = {"latent_dim": 8, "anomaly_score": score}
    found = tampering.evaluate(data["X"], data["y"], parameters, 0)
    assert found["5 residual deviations"] >= 2.4


@pytest.mark.slow
def test_signals_of_anomalies_are_those_of_the_lecture(
    data_folder, monkeypatch, tmp_path
):
    mpl.use("agg")
    monkeypatch.setenv("SKAE_DATA", str(data_folder))
    example = Path(__file__).parents[1] / "docs" / "examples" / "monitoring.py"
    worst = runpy.run_path(str(example))["main"](tmp_path)
    families = [name.split("_")[0] for name in worst]
    assert set(families[:4]) == {"ips"}
    assert set(families[:14]) == {"ips", "util"}
    assert all(
        (tmp_path / f"{p}.png").exists() for p in ("alarms", "signals", "heatmap")
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Column")  # Rare kinds of traffic, one-hot.
def test_false_alarms_are_halved_by_a_second_stage(data_folder, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", str(data_folder))
    found = alarm_filter.run(*alarm_filter.load(), seed=0)["2,000"]
    assert found["filter"]["ratio"] < 0.5
    assert found["lax"]["at_recall"] < 0.5 * found["detector"]["false_alarms"]
