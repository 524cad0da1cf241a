"""Loaders read what publishers give away; generators do what they say."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.utils import Bunch

from skae import datasets
from skae.datasets import _loaders
from skae.metrics import outlier_roc_auc_scorer
from tests.helpers import SMALL_FOREST

COLUMNS = [*(f"V{i}" for i in range(1, 29)), "Amount"]


def cards():
    table = pd.DataFrame(np.arange(90.0).reshape(3, 30), columns=["Time", *COLUMNS])
    return table.assign(Class=[0, 1, 0])


def attacks():
    names = ["id", "dur", "proto", "service", "state", "rate", "attack_cat", "label"]
    rows = [[1, 0.5, "tcp", "-", "FIN", 3, "Normal", 0]]
    rows.append([2, 0.25, "udp", "dns", "INT", 4, "Fuzzers", 1])
    return pd.DataFrame(rows, columns=names)


def sensors():
    table = pd.DataFrame({"timestamp": ["2018-03-05 22:45:00"] * 3, "a": [1.0, 2, 3]})
    return table.assign(anomaly=[0, 1, 2])


@pytest.fixture
def home(tmp_path):
    """A folder with the files of all publishers, as they are downloaded."""
    tables = {
        "creditcard/creditcard.csv": cards(),
        "unsw_nb15/UNSW_NB15_testing-set.csv": attacks(),
        "hpc/hpc.csv": sensors(),
    }
    for name in ("creditcard", "unsw_nb15", "hpc", "ecg5000", "mnist", "ml100k"):
        (tmp_path / name).mkdir()
    for name, table in tables.items():
        table.to_csv(tmp_path / name, index=False, encoding="utf-8-sig")
    beats = np.column_stack([[1, 2], np.ones((2, 140))])
    for part in ("TRAIN", "TEST"):
        np.savetxt(tmp_path / f"ecg5000/ECG5000_{part}.txt", beats)
    images = np.arange(2 * 784).reshape(2, 28, 28)
    np.savez(tmp_path / "mnist/mnist_t10k.npz", x=images, y=[7, 2])
    (tmp_path / "ml100k/u.data").write_text("1\t2\t5\t0\n2\t1\t3\t0\n")
    (tmp_path / "ml100k/u.item").write_bytes("1|Léon|x\n2|Heat|x\n".encode("latin-1"))
    return tmp_path


def test_files_of_publishers_are_read(home):
    found = datasets.load_creditcard(data_home=home)
    assert list(found.data) == found.feature_names == COLUMNS
    np.testing.assert_array_equal(found.target, [1, -1, 1])

    found = datasets.load_unsw_nb15(data_home=home)
    assert found.feature_names == ["proto", "service", "state", "dur", "rate"]
    np.testing.assert_array_equal(found.target, [1, -1])
    np.testing.assert_array_equal(found.kind, ["Normal", "Fuzzers"])

    found = datasets.load_hpc(data_home=home)
    assert found.feature_names == ["a"] and found.time[0].astype(str) > "2018-03-05"
    np.testing.assert_array_equal(found.target, [1, -1, -1])
    np.testing.assert_array_equal(found.mode, [0, 1, 2])

    found = datasets.load_ecg5000(data_home=home)
    assert found.data.shape == (4, 140)
    np.testing.assert_array_equal(found.target, [1, -1, 1, -1])
    np.testing.assert_array_equal(found.is_train, [True, True, False, False])

    found = datasets.load_mnist(data_home=home)
    np.testing.assert_array_equal(found.data[1], found.images[1].ravel())
    np.testing.assert_array_equal(found.target, [7, 2])

    found = datasets.load_movielens(data_home=home)
    np.testing.assert_array_equal(found.data, [[np.nan, 5], [3, np.nan]])
    assert found.feature_names == ["Léon", "Heat"]


def test_the_environment_names_the_folder(home, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", str(home))
    assert datasets.load_hpc().data.shape == (3, 1)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("load_unsw_nb15", "research.unsw.edu.au"),
        ("load_hpc", "github.com/lompabo"),
        ("load_ecg5000", "timeseriesclassification.com"),
        ("load_movielens", "grouplens.org"),
    ],
)
def test_missing_files_are_named_with_their_publisher(tmp_path, name, address):
    with pytest.raises(FileNotFoundError, match=rf"SKAE_DATA.*{tmp_path}.*{address}"):
        getattr(datasets, name)(data_home=tmp_path)


def test_what_openml_has_is_fetched_where_no_file_is(tmp_path, monkeypatch):
    asked = []

    def fetch(*name, **options):
        asked.append(name or options["data_id"])
        if name:
            images = np.repeat(np.arange(70_000, dtype=np.uint16)[:, None], 784, axis=1)
            return Bunch(data=images, target=np.full(70_000, "3"))
        return Bunch(frame=cards().astype({"Class": str}))

    monkeypatch.setattr(_loaders, "fetch_openml", fetch)
    assert datasets.load_creditcard(data_home=tmp_path).data.shape == (3, 29)
    digits = datasets.load_mnist(data_home=tmp_path)
    assert digits.data[0, 0] == 60_000 and digits.target[0] == 3
    assert asked == [1597, ("mnist_784",)]


def test_dependence_outliers_are_usual_in_each_column_and_far_from_the_surface():
    X, y = datasets.make_dependence_outliers(2000, 8, random_state=0)
    again, _ = datasets.make_dependence_outliers(2000, 8, random_state=0)
    other, _ = datasets.make_dependence_outliers(2000, 8, random_state=1)
    np.testing.assert_array_equal(X, again)
    assert not np.allclose(X, other)
    assert (y == -1).sum() == 100
    alone = [
        outlier_roc_auc_scorer(
            IsolationForest(**SMALL_FOREST).fit(X[:, [j]]), X[:, [j]], y
        )
        for j in range(8)
    ]
    assert max(alone) < 0.65
    near = LocalOutlierFactor(novelty=True).fit(X[:1000][y[:1000] == 1])
    assert outlier_roc_auc_scorer(near, X[1000:], y[1000:]) > 0.9


def test_stuck_sensors_leave_what_the_others_do():
    X, y = datasets.make_sensor_outliers(random_state=0)
    assert (y[:1500] == 1).all()
    starts = np.flatnonzero(np.diff(y) == -2)
    assert len(starts) == 5
    near = LocalOutlierFactor(novelty=True).fit(X[:1500])
    assert outlier_roc_auc_scorer(near, X[1500:], y[1500:]) > 0.75
    assert (datasets.make_sensor_outliers(50, n_spans=0)[1] == 1).all()
    with pytest.raises(ValueError, match=r"n_samples must be at least 160 .* Got 300"):
        datasets.make_sensor_outliers(300)


def test_sparse_counts_tell_their_topic():
    X, topic = datasets.make_sparse_counts(600, 1000, n_topics=3, random_state=0)
    assert X.format == "csr" and (X.data == np.round(X.data)).all()
    assert 60 < X.sum(axis=1).mean() < 100
    means = np.array([np.asarray(X[topic == t].mean(axis=0)) for t in range(3)])
    nearest = np.argmax(X @ (means / np.linalg.norm(means, axis=1)[:, None]).T, axis=1)
    assert np.mean(nearest == topic) > 0.9


def test_generators_name_what_is_out_of_range():
    with pytest.raises(ValueError, match=r"'contamination' .* range \[0, 0.5\]. Got 2"):
        datasets.make_dependence_outliers(contamination=2)
    with pytest.raises(ValueError, match=r"'n_topics' .* range \[2, inf\). Got 1"):
        datasets.make_sparse_counts(n_topics=1)
