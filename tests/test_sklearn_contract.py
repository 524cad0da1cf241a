"""scikit-learn's own checks, and life inside its tools."""

import copy
import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import skops.io
from flax import nnx
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import AutoencoderOutlierDetector, _callbacks
from skae.core import batching, compilation
from skae.io import TRUSTED_TYPES
from skae.testing import count_compilations
from tests.helpers import EXPECTED_FAILURES, SMALL


class OneLayer(nnx.Module):
    """A network of the user's own."""

    def __init__(self, n_features, rngs):
        self.back = nnx.Linear(4, n_features, rngs=rngs)
        self.forth = nnx.Linear(n_features, 4, rngs=rngs)

    def encode(self, x):
        return nnx.tanh(self.forth(x))

    def decode(self, code):
        return self.back(code)


# Values that accept any table; binary cross-entropy wants values in [0, 1].
FAMILY = [
    {"anomaly_score": "joint"},
    {"n_estimators": 2},
    {"early_stopping": True},
    {"contamination": 0.1},
    {"missing": "mask"},
    {"bottleneck": "variational"},
    {"network": "conv"},
    {"corruption": None},
    {"corruption": "masking"},
    {"corruption": "swap"},
    {"corruption": "salt_and_pepper"},
    {"loss": "absolute_error"},
    {"loss": "huber"},
    {"loss": "correntropy"},
    {"alpha": 1e-4},
    {"l1_weights": 1e-4},
    {"l1_activity": 1e-3},
    {"l2_activity": 1e-3},
    {"sparsity": 1e-3, "activation": "sigmoid"},
    {"contraction": 1e-3},
    {"trim": 0.2},
    {"network": "recurrent"},
    {"network": OneLayer},
    {"bottleneck": "adversarial"},
    {"bottleneck": "variational", "anomaly_score": "elbo"},
    {"corruption": "swap", "loss": "correntropy", "contraction": 1e-3},
    {"latent_dim": 1},
]

pytestmark = [
    # Checks feed columns of any scale.
    pytest.mark.filterwarnings("ignore:Column"),
    # A check's own skip of array API input, which the subprocess below runs.
    pytest.mark.filterwarnings("ignore:.*SCIPY_ARRAY_API"),
]


# The checks feed tables of few rows, which train five more networks each to score rows
# by: the default parameters stand for that, with few epochs here and with all of them
# among the slow ones; the others hold nothing out.
@parametrize_with_checks(
    [
        AutoencoderOutlierDetector(max_iter=2),
        AutoencoderOutlierDetector(
            n_estimators=2,
            trim=0.1,
            early_stopping=True,
            validation_fraction=0.0,
            **SMALL,
        ),
        AutoencoderOutlierDetector(missing="mask", validation_fraction=0.0, **SMALL),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
    xfail_strict=True,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        AutoencoderOutlierDetector(),
        *(AutoencoderOutlierDetector(**SMALL | value) for value in FAMILY),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
    xfail_strict=True,
)
def test_scikit_learn_checks_of_the_family(estimator, check):
    check(estimator)


@pytest.mark.slow
def test_scikit_learn_checks_with_array_api():
    code = (
        "from sklearn.utils.estimator_checks import check_estimator\n"
        "from skae import AutoencoderOutlierDetector\n"
        "from tests.helpers import EXPECTED_FAILURES, SMALL\n"
        "for kwargs in ({}, SMALL):\n"
        "    results = check_estimator(AutoencoderOutlierDetector(**kwargs),\n"
        "        expected_failed_checks=EXPECTED_FAILURES)\n"
        "    status = {r['check_name']: r['status'] for r in results}\n"
        "    assert status['check_array_api_input'] == 'passed', status\n"
    )
    env = os.environ | {"SCIPY_ARRAY_API": "1"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=env)


@pytest.fixture
def labelled():
    """Benign rows are inliers (+1), malignant ones outliers (-1)."""
    X, y = load_breast_cancer(return_X_y=True)
    return X, np.where(y == 1, 1, -1)


def average_precision(estimator, X, y):
    return average_precision_score(y == -1, -estimator.score_samples(X))


GRID = {
    "detect__hidden_layer_sizes": [(16,), (12, 6)],
    "detect__learning_rate": [1e-3, 1e-2],
    "detect__contamination": [0.05, "auto"],
}


@pytest.mark.parametrize(
    "backend", ["threading", pytest.param("sequential", marks=pytest.mark.slow)]
)
def test_a_grid_search_compiles_training_once_per_architecture(backend, labelled):
    X, y = labelled
    # What other tests compiled is neither missed nor makes room in the middle of this.
    compilation.forget()
    detector = AutoencoderOutlierDetector(latent_dim=5, max_iter=2, random_state=0)
    pipeline = Pipeline([("scale", StandardScaler()), ("detect", detector)])
    # 569 rows in three folds make training sets of 379 and 380 rows, and of 569.
    search = GridSearchCV(pipeline, GRID, scoring=average_precision, cv=3, n_jobs=2)
    with count_compilations() as counts, joblib.parallel_config(backend=backend):
        search.fit(X, y)
    assert counts["train_chunk"] == counts["chunk_loss"] == 2
    # Representation and reconstruction error of each architecture, and what needs no
    # network.
    assert counts["_map_blocks"] == 2 * 2 + 1
    assert search.best_score_ > 0.5


@pytest.mark.slow
def test_a_grid_search_runs_in_processes(labelled):
    X, y = labelled
    detector = AutoencoderOutlierDetector(random_state=0, **SMALL)
    pipeline = Pipeline([("scale", StandardScaler()), ("detect", detector)])
    grid = {"detect__learning_rate": [1e-3, 1e-2]}
    results = [
        GridSearchCV(pipeline, grid, scoring=average_precision, cv=2, n_jobs=n_jobs)
        .fit(X, y)
        .cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*results)


@pytest.mark.slow
def test_a_search_finds_a_better_detector_than_the_default():
    """On breast cancer with outliers among the rows, judged on rows it has not seen.

    The default learns the outliers too; a narrow code trained briefly does less so.
    """
    X, y = load_breast_cancer(return_X_y=True)
    y = np.where(y == 1, 1, -1)
    rng = np.random.default_rng(0)
    rows = np.r_[np.flatnonzero(y == 1), rng.permutation(np.flatnonzero(y == -1))[:60]]
    rows = rng.permutation(rows)
    search_rows, test_rows = rows[::2], rows[1::2]
    detector = AutoencoderOutlierDetector(random_state=0)
    pipeline = Pipeline([("scale", StandardScaler()), ("detect", detector)])
    grid = {"detect__latent_dim": [2, 128], "detect__max_iter": [2, "auto"]}
    search = GridSearchCV(
        pipeline, grid, scoring=average_precision, cv=StratifiedKFold(3)
    ).fit(X[search_rows], y[search_rows])
    default = pipeline.fit(X[search_rows])
    found = average_precision(search.best_estimator_, X[test_rows], y[test_rows])
    assert found > average_precision(default, X[test_rows], y[test_rows])


def test_cross_validation_without_scoring_uses_score(blobs, small):
    rows, _ = blobs
    scores = cross_val_score(small(), rows, cv=3)
    assert np.isfinite(scores).all() and (scores < 0).all()


ROUND_TRIPS = {
    "pickle": lambda e: pickle.loads(pickle.dumps(e)),
    "deepcopy": copy.deepcopy,
    "skops": lambda e: skops.io.loads(skops.io.dumps(e), trusted=TRUSTED_TYPES),
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
@pytest.mark.parametrize("warm_start", [False, True])
def test_copies_score_to_the_same_bit(name, warm_start, blobs, small):
    rows, outliers = blobs
    detector = small(n_estimators=2, warm_start=warm_start)
    pipeline = make_pipeline(StandardScaler(), detector).fit(rows)
    other = ROUND_TRIPS[name](pipeline)
    np.testing.assert_array_equal(
        other.score_samples(outliers), pipeline.score_samples(outliers)
    )
    np.testing.assert_array_equal(other.predict(outliers), pipeline.predict(outliers))
    np.testing.assert_array_equal(other[-1].p_values(rows), pipeline[-1].p_values(rows))
    # Copies train on as the original would.
    np.testing.assert_array_equal(
        other.fit(rows).score_samples(rows), pipeline.fit(rows).score_samples(rows)
    )


def test_joblib_files_score_to_the_same_bit(blobs, small, tmp_path):
    rows, _ = blobs
    detector = small().fit(rows)
    joblib.dump(detector, tmp_path / "detector.joblib")
    other = joblib.load(tmp_path / "detector.joblib", mmap_mode="r")
    np.testing.assert_array_equal(
        other.score_samples(rows), detector.score_samples(rows)
    )


def leaves(value):
    if isinstance(value, dict):
        return [leaf for v in value.values() for leaf in leaves(v)]
    if isinstance(value, (list, tuple)):
        return [leaf for v in value for leaf in leaves(v)]
    return [value]


def test_fitted_state_is_numpy_and_plain_python(blobs, small):
    rows, _ = blobs
    detector = small(warm_start=True, n_estimators=2).fit(rows)
    plain = (np.ndarray, np.generic, int, float, str, bool, type(None))
    for name, value in vars(detector).items():
        for leaf in leaves(value):
            assert isinstance(leaf, plain), name


def test_size_does_not_follow_the_number_of_rows(small):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150_000, 3))
    detector = small(max_iter=1).fit(X)
    declared = sum(
        array.nbytes
        for arrays in (detector.weights_, detector.statistics_)
        for array in arrays.values()
    )
    declared += detector.calibration_scores_.nbytes
    size = len(pickle.dumps(detector))
    assert size < 1.2 * declared
    # From 100,000 rows on, the sample behind p-values is full.
    assert size == len(pickle.dumps(small(max_iter=1).fit(X[:110_000])))


def test_clone_and_refit_with_other_parameters(blobs, small):
    rows, _ = blobs
    detector = small().fit(rows)
    assert not hasattr(clone(detector), "offset_")
    scores = detector.score_samples(rows)
    # What was fitted stays in force until the next fit.
    detector.set_params(latent_dim=9, anomaly_score="latent", activation="tanh")
    np.testing.assert_array_equal(detector.score_samples(rows), scores)
    assert detector.transform(rows).shape == (300, 4)
    assert detector.fit(rows).transform(rows).shape == (300, 9)


def test_metadata_routing_passes_weights_and_validation_rows(blobs, small):
    import sklearn

    rows, outliers = blobs
    with sklearn.config_context(enable_metadata_routing=True):
        detector = small().set_fit_request(sample_weight=True, X_val=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, detector, transform_input=["X_val"])
        pipeline.fit(rows, sample_weight=np.ones(len(rows)), X_val=outliers)
    assert len(pipeline[-1].calibration_scores_) == len(outliers)


class Recorder:
    """A callback that keeps what it is told and stops after some epochs."""

    def __init__(self, stop_after=None):
        self.scores, self.stop_after, self.begun = [], stop_after, 0

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context):
        self.begun += 1

    def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
        if context.parent is None:
            return False
        self.scores.append(fitted_estimator.reconstruct(X[:5]))
        return len(self.scores) == self.stop_after


def test_callbacks_see_a_fitted_detector_and_can_stop(blobs, small):
    rows, _ = blobs
    recorder = Recorder(stop_after=3)
    detector = small(max_iter=50).set_callbacks(recorder).fit(rows)
    assert detector.n_iter_ == 3
    assert recorder.begun == 4
    np.testing.assert_array_equal(recorder.scores[-1], detector.reconstruct(rows[:5]))
    assert (recorder.scores[0] != recorder.scores[1]).any()


def test_callbacks_count_the_epochs_of_all_networks(blobs, small):
    rows, _ = blobs
    recorder = Recorder()
    small(n_estimators=3, max_iter=2).set_callbacks(recorder).fit(rows)
    assert len(recorder.scores) == 6


def test_a_callback_stops_an_ensemble_as_a_whole(blobs, small):
    rows, _ = blobs
    detector = small(n_estimators=3, max_iter=50).set_callbacks(Recorder(2)).fit(rows)
    assert {len(value) for value in detector.weights_.values()} == {1}
    assert detector.n_iter_ == 2


class Keeper(Recorder):
    """A callback that keeps the estimators it is shown."""

    def on_fit_task_end(self, estimator, context, *, metadata, fitted_estimator):
        self.scores.append((context.parent is None, metadata, fitted_estimator))


def test_callbacks_keep_what_they_saw_and_see_the_end(blobs, small):
    rows, _ = blobs
    keeper = Keeper()
    weight = np.ones(len(rows))
    detector = small().set_callbacks(keeper).fit(rows, sample_weight=weight)
    assert [len(e.history_["loss"]) for _, _, e in keeper.scores] == [1, 2, 3, 4, 5, 5]
    assert all(metadata["sample_weight"] is weight for _, metadata, _ in keeper.scores)
    is_root, _, last = keeper.scores[-1]
    assert is_root
    np.testing.assert_array_equal(
        last.score_samples(rows), detector.score_samples(rows)
    )
    assert last.offset_ == detector.offset_


class Course(Recorder):
    """A callback that keeps the names of what has ended."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.scores.append((context.task_name, fitted_estimator is not None))


def test_bars_move_within_long_epochs(small, monkeypatch):
    X = np.random.default_rng(0).normal(size=(1100, 4))
    monkeypatch.setattr(batching, "CHUNK_FLOATS", 4 * 128)
    monkeypatch.setattr(batching, "USUAL_CHUNK_STEPS", 1)
    monkeypatch.setattr(_callbacks, "MANY_PARTS", 8)
    plain = small(max_iter=3, random_state=0).fit(X)
    course = Course()
    told = small(max_iter=3, random_state=0).set_callbacks(course).fit(X)
    # Of eight chunks the last is the epoch's end; the first of a later epoch is early.
    for epoch in range(3):
        n_parts = 7 if epoch == 0 else 6
        of_epoch = [course.scores.pop(0) for _ in range(n_parts + 1)]
        assert of_epoch == [("part of an epoch", False)] * n_parts + [("epoch", True)]
    assert course.scores == [("fit", True)]
    np.testing.assert_array_equal(plain.score_samples(X), told.score_samples(X))
    stopped = small(max_iter=3).set_callbacks(Stopper()).fit(X)
    assert stopped.n_iter_ == 1


class Stopper(Recorder):
    """A callback that asks to stop in the middle of an epoch, which is finished."""

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "part of an epoch"


def test_progress_bar_runs_through_a_search(labelled, capsys):
    X, y = labelled
    pipeline = make_pipeline(StandardScaler(), AutoencoderOutlierDetector(**SMALL))
    search = GridSearchCV(
        pipeline,
        {"autoencoderoutlierdetector__learning_rate": [1e-3, 1e-2]},
        scoring=average_precision,
        cv=2,
    )
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    assert "AutoencoderOutlierDetector" in capsys.readouterr().out


def test_scoring_monitor_follows_the_training(labelled):
    X, y = labelled
    monitor = ScoringMonitor(scoring="roc_auc")
    detector = AutoencoderOutlierDetector(**SMALL | {"max_iter": 3})
    detector.set_callbacks(monitor).fit(StandardScaler().fit_transform(X), y)
    values = [row["roc_auc"] for row in monitor.get_logs().data]
    assert len(values) >= 3 and all(0 <= value <= 1 for value in values)


def test_labels_are_ignored(labelled):
    X, y = labelled
    X = StandardScaler().fit_transform(X)
    with_labels, without = (
        AutoencoderOutlierDetector(random_state=0, **SMALL).fit(X, labels)
        for labels in (y, None)
    )
    np.testing.assert_array_equal(
        with_labels.score_samples(X), without.score_samples(X)
    )
