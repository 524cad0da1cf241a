"""Detectors on Dask collections, beside those in memory."""

import inspect
import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_validate

from skae import AutoencoderOutlierDetector, _plan
from skae.core import averaging
from skae.core.averaging import Sum
from skae.core.course import TrainingState
from tests.helpers import SMALL, slow_but

dask = pytest.importorskip("dask")
pytest.importorskip("distributed")

import dask.array as da  # noqa: E402
import dask.dataframe as dd  # noqa: E402
import pandas as pd  # noqa: E402
from distributed.core import Status  # noqa: E402

from skae.dask import DaskAutoencoderOutlierDetector, _tasks  # noqa: E402

DASK = SMALL | {"random_state": 0}


@pytest.fixture(autouse=True)
def _in_this_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def rows(n_rows=900, seed=0):
    """Rows of two factors in five columns."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(1).normal(size=(2, 5))
    return rng.normal(size=(n_rows, 2)) @ mixing + 0.1 * rng.normal(size=(n_rows, 5))


def outliers(n_rows=300):
    return np.random.default_rng(2).normal(scale=1.5, size=(n_rows, 5))


def fitted(X, sample_weight=None, **parameters):
    detector = DaskAutoencoderOutlierDetector(**DASK | parameters)
    return detector.fit(X, sample_weight=sample_weight)


def in_chunks(X, size=300):
    return da.from_array(X, chunks=(size, X.shape[1]))


def assert_same(one, other):
    """The same weights, statistics and threshold, to the last bit."""
    for name in ("weights_", "statistics_"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            np.testing.assert_array_equal(value, theirs[key])
    assert one.offset_ == other.offset_
    np.testing.assert_array_equal(one.calibration_scores_, other.calibration_scores_)


@pytest.mark.parametrize("parameters", [{}, {"contamination": 0.1, "n_estimators": 2}])
def test_one_partition_gives_what_fits_in_memory_give(parameters):
    X, weight = rows(), np.random.default_rng(0).integers(0, 3, size=900)
    local = AutoencoderOutlierDetector(**DASK | parameters)
    local.fit(X, sample_weight=weight)
    ours = fitted(in_chunks(X, 900), da.from_array(weight, chunks=900), **parameters)
    assert_same(ours, local)
    assert_same(ours.to_local(), local)
    frame = pd.DataFrame(X, columns=list("abcde"))
    named = fitted(dd.from_pandas(frame, npartitions=1), **parameters)
    assert list(named.feature_names_in_) == list("abcde")
    local.fit(frame)
    assert_same(named, local)


def test_few_rows_are_fitted_in_one_piece():
    X = rows(150)
    local = AutoencoderOutlierDetector(**DASK).fit(X)
    assert_same(fitted(in_chunks(X, 40)), local)


@pytest.mark.parametrize("size", slow_but([300], [450, 300, 64]))
def test_partitions_find_what_one_table_finds(size):
    X, new = rows(), np.r_[rows(300, seed=5), outliers()]
    y = np.repeat([0, 1], 300)
    local = AutoencoderOutlierDetector(**DASK | {"max_iter": "auto"}).fit(X)
    ours = fitted(in_chunks(X, size), max_iter="auto")
    found, wanted = (
        roc_auc_score(y, -detector.score_samples(new))
        for detector in (ours.to_local(), local)
    )
    assert found > wanted - 0.04
    flagged = (ours.to_local().predict(new[:300]) == -1).mean()
    assert 0 < flagged < 0.12


def test_results_do_not_depend_on_who_computes():
    X = in_chunks(rows(), 200)
    first, again = fitted(X), fitted(X)
    assert_same(first, again)
    with dask.config.set(scheduler="threads"):
        assert_same(first, fitted(X))
    other = fitted(X, random_state=1)
    assert other.offset_ != first.offset_


def test_lazy_results_are_those_of_the_local_detector():
    X = rows()
    new = in_chunks(np.r_[rows(100, seed=5), outliers(50)], 64)
    ours = fitted(in_chunks(X))
    local = ours.to_local()
    for name in ("score_samples", "decision_function", "predict", "p_values"):
        lazy = getattr(ours, name)(new)
        assert isinstance(lazy, da.Array)
        assert lazy.shape == (150,)
        now = getattr(local, name)(new.compute())
        assert lazy.dtype == now.dtype
        np.testing.assert_array_equal(lazy.compute(), now)
    for normalize in (False, True):
        lazy = ours.feature_errors(new, normalize=normalize)
        assert lazy.shape == (150, 5)
        now = local.feature_errors(new.compute(), normalize=normalize)
        np.testing.assert_array_equal(lazy.compute(), now)


def test_data_frames_keep_names_and_index():
    frame = pd.DataFrame(rows(), columns=list("abcde"))
    frame.index = [f"row {i:04}" for i in range(len(frame))]
    X = dd.from_pandas(frame, npartitions=3)
    ours = fitted(X)
    assert list(ours.feature_names_in_) == list("abcde")
    scores = ours.score_samples(X)
    assert isinstance(scores, dd.Series)
    local = ours.to_local().score_samples(frame)
    pd.testing.assert_series_equal(
        scores.compute(), pd.Series(local, index=frame.index), check_index_type=False
    )
    errors = ours.feature_errors(X).compute()
    assert list(errors.columns) == list("abcde")
    assert list(errors.index) == list(frame.index)
    with pytest.raises(ValueError, match="feature names"):
        ours.predict(X.rename(columns={"a": "z"})).compute()


def test_partitions_may_be_odd():
    X = rows()
    plain = fitted(in_chunks(X))
    # Empty ones, of unknown length, and of one row; columns in chunks of their own.
    sizes = (0, 300, 300, 0, 299, 1)
    odd = da.from_array(X, chunks=(sizes, (2, 3)))
    unknown = odd[odd[:, 0] > -np.inf]
    assert np.isnan(unknown.shape[0])
    for table in (odd, unknown):
        ours = fitted(table)
        assert np.isfinite(ours.score_samples(odd).compute()).all()
        assert abs(ours.offset_ - plain.offset_) < 1


def test_rows_of_no_weight_are_as_if_they_were_not_there():
    X, more = rows(), outliers(90) + 50
    both, weight = np.r_[X, more], np.r_[np.full(900, 2.0), np.zeros(90)]
    chunks = ((300, 300, 390), 5)
    ours = fitted(
        da.from_array(both, chunks=chunks), da.from_array(weight, chunks=chunks[0])
    )
    assert_same(ours, fitted(in_chunks(X)))


@pytest.mark.parametrize(
    "parameters",
    slow_but(
        [{"missing": "mask"}, {"contamination": 0.1, "n_estimators": 2}],
        [
            {"missing": "mask"},
            {"contamination": 0.1, "n_estimators": 2},
            {"early_stopping": True, "max_iter": 200, "n_iter_no_change": 2},
            {"loss": "binary_cross_entropy", "output_activation": "sigmoid"},
            {"bottleneck": "adversarial", "max_iter": 60},
            {"local_steps": 1, "max_iter": 5},
        ],
    ),
    ids=lambda p: "-".join(p),
)
def test_parameters_do_what_they_do_in_memory(parameters):
    X, bad = rows(), outliers()
    if "loss" in parameters:
        low, high = X.min(axis=0), X.max(axis=0)
        X, bad = ((x - low) / (high - low) for x in (X, bad))
        X = np.clip(X, 0, 1)
    if "missing" in parameters:
        X[::7, 2] = np.nan
    if "contamination" in parameters:
        X = np.r_[X, bad[:100]][np.random.default_rng(0).permutation(1000)]
    ours = fitted(in_chunks(X), **parameters)
    local = ours.to_local()
    good = rows(300, seed=5) if "loss" not in parameters else X[:300]
    scores = local.score_samples(np.r_[good, bad])
    assert roc_auc_score(np.repeat([0, 1], 300), -scores) > 0.8
    if "contamination" in parameters:
        assert (local.predict(X) == -1).sum() == 100
        assert {len(value) for value in local.weights_.values()} == {2}
    if "early_stopping" in parameters:
        assert local.n_iter_ < 200
        assert len(local.history_["validation_loss"]) == local.n_iter_
    if "local_steps" in parameters:
        # 270 rows of the largest partition train, 128 in a step.
        assert local.n_iter_ == 5 * 3


def test_columns_far_from_zero_are_shifted():
    X = rows() + 1.7e9
    ours = fitted(in_chunks(X))
    assert "shift" in ours.statistics_
    assert len(np.unique(ours.score_samples(in_chunks(X)).compute())) > 800


def test_what_cannot_be_is_refused_by_name():
    X = rows()
    with pytest.raises(TypeError, match=r"X must be a Dask array.*Got ndarray"):
        fitted(X)
    with pytest.raises(TypeError, match=r"X must be a Dask array.*Got ndarray"):
        fitted(in_chunks(X)).predict(X)
    with pytest.raises(ValueError, match=r"2D. Got 1D"):
        fitted(in_chunks(X)[:, 0])
    with pytest.raises(ValueError, match=r"warm_start.*Dask"):
        fitted(in_chunks(X), warm_start=True)
    for value, wanted in ((0, "an int"), (1.5, "an int"), ("all", "'auto' or an int")):
        with pytest.raises(ValueError, match=f"local_steps.* be {wanted} in the range"):
            fitted(in_chunks(X), local_steps=value)
    with pytest.raises(ValueError, match=r"latent_dim.*Got -1"):
        fitted(in_chunks(X), latent_dim=-1)
    with pytest.raises(TypeError, match="latent_dimension"):
        DaskAutoencoderOutlierDetector(latent_dimension=2)
    with pytest.raises(ValueError, match="at least 2 rows"):
        fitted(in_chunks(X[:1]))
    with pytest.raises(ValueError, match="missing='mask'"):
        fitted(in_chunks(np.where(X > 2, np.nan, X)))
    with pytest.raises(ValueError, match="infinity"):
        fitted(in_chunks(np.where(X > 2, np.inf, X)))
    with pytest.raises(ValueError, match=r"needs values in \[0, 1\]"):
        fitted(in_chunks(X), loss="binary_cross_entropy", output_activation="sigmoid")

    with pytest.raises(TypeError, match=r"client must be .* Got 'tcp://host:8786'"):
        fitted(in_chunks(X), client="tcp://host:8786")


def test_workers_of_other_versions_are_refused(monkeypatch):
    X = in_chunks(rows())
    ours = fitted(X)
    labels = ours.predict(X)
    here = _tasks.versions()
    with monkeypatch.context() as context:
        context.setattr(_tasks, "versions", lambda: here | {"jax": "0.0.1"})
        message = r"worker has jax 0\.0\.1, but the process that sent its task has"
        with pytest.raises(RuntimeError, match=message):
            labels.compute()
        told = iter([here])
        context.setattr(_tasks, "versions", lambda: next(told, here | {"jax": "0.0.1"}))
        with pytest.raises(RuntimeError, match=message):
            fitted(X)
    assert set(labels.compute()) <= {-1, 1}


def test_weights_and_columns_that_do_not_fit_are_refused():
    X = in_chunks(rows())
    weights = {
        "3 partitions of X. Got 2": np.ones(900),
        "numbers >= 0": -np.ones(900),
        "partitions as long as": np.ones(600),
        "at least 2 rows of positive": np.zeros(900),
    }
    for message, weight in weights.items():
        size = 450 if "Got 2" in message else len(weight) // 3
        with pytest.raises(ValueError, match=message):
            fitted(X, da.from_array(weight, chunks=size))
    narrow = dd.from_delayed(
        [
            dask.delayed(pd.DataFrame)(rows(300), columns=list("abcde")),
            dask.delayed(pd.DataFrame)(rows(300)[:, :4], columns=list("abcd")),
        ],
        meta=pd.DataFrame(columns=list("abcde"), dtype=float),
        verify_meta=False,
    )
    with pytest.raises(ValueError, match=r"the same columns. Number 1 has"):
        fitted(narrow)


def test_it_is_an_estimator_as_others():
    detector = DaskAutoencoderOutlierDetector(latent_dim=7, local_steps=3)
    local = AutoencoderOutlierDetector(latent_dim=7)
    assert detector.get_params() == local.get_params() | {"local_steps": 3}
    assert clone(detector).get_params() == detector.get_params()
    assert detector.set_params(alpha=0.5).alpha == 0.5
    assert "alpha" in inspect.signature(DaskAutoencoderOutlierDetector).parameters
    ours = fitted(in_chunks(rows()))
    assert_same(pickle.loads(pickle.dumps(ours)), ours)
    with pytest.raises(ValueError, match="not fitted"):
        clone(ours).to_local()


def test_importing_skae_imports_no_dask():
    code = "import sys, skae; assert not {'dask', 'distributed'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_part_takes_the_steps_of_the_whole_table():
    plan = _plan.make_plan(_plan.checked_parameters(AutoencoderOutlierDetector()), 5)
    for n_all in (2_000, 20_000, 200_000):
        whole = averaging.schedule(plan, n_all, n_all, None).n_steps
        for number in (2, 8, 64):
            rounds = averaging.schedule(plan, n_all // number, n_all, None)
            per_epoch = -(-(n_all // number) // rounds.height)
            assert 0 <= rounds.n_steps - min(whole, 4000) < per_epoch
            at_least = min(50, 8 * per_epoch)
            assert rounds.per_round == np.clip(per_epoch, at_least, 200)
    told = averaging.schedule(replace(plan, max_epochs=2), 1280, 10_000, None)
    assert (told.n_steps, told.n_rounds) == (20, 1)


@given(st.integers(1, 50), st.integers(0, 120), st.integers(1, 60), st.integers(0, 9))
def test_positions_are_whole_epochs_one_after_the_other(n_rows, first, more, part):
    found = averaging._positions(n_rows, first, first + more, 0, part)
    whole = averaging._positions(n_rows, 0, first + more, 0, part)
    np.testing.assert_array_equal(found, whole[first:])
    for start in range(0, len(whole) - n_rows + 1, n_rows):
        assert set(whole[start : start + n_rows]) == set(range(n_rows))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any))
def test_averages_are_weighted_by_rows(sizes):
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(3, 2)).astype(np.float32) for _ in sizes]
    sums = [
        Sum(n, [w * np.float64(n), np.int32(n)], n * 2.0) if n else Sum(0, [], 0.0)
        for n, w in zip(sizes, weights, strict=True)
    ]
    common = TrainingState({"w": weights[0]}, [np.int32(0)], 0, None)
    # In any grouping.
    total = averaging.add([averaging.add(sums[:2]), averaging.add(sums[2:])])
    found = averaging.mean(total, common)
    expected = np.average(weights, axis=0, weights=sizes)
    np.testing.assert_allclose(found.params["w"], expected, rtol=1e-6, atol=1e-6)
    assert found.params["w"].dtype == np.float32
    assert found.optimizer_state == [max(sizes)]
    assert total.loss == 2.0 * sum(sizes)


class Rounds:
    """A callback that notes what it is told of."""

    def setup(self, estimator, context):
        self.seen, self.is_torn_down = [], False

    def on_fit_task_begin(self, estimator, context, **kwargs):
        pass

    def on_fit_task_end(self, estimator, context, **kwargs):
        self.seen.append(context.task_name)

    def teardown(self, estimator, context):
        self.is_torn_down = True


def test_callbacks_are_told_of_each_round():
    notes = Rounds()
    # 270 rows of a partition train, 128 in a step.
    detector = DaskAutoencoderOutlierDetector(**DASK | {"max_iter": 4}, local_steps=3)
    detector.set_callbacks(notes).fit(in_chunks(rows()))
    assert notes.seen.count("epoch") == detector.n_iter_ == 4
    assert notes.is_torn_down


@contextmanager
def cluster():
    """Two worker processes, and their client."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address=":0"
        ) as processes,
        Client(processes) as client,
        dask.config.set(scheduler=None),
    ):
        yield processes, client


def leaves_sockets(test):
    """Mark a test of a cluster, which takes long and ends processes."""
    for warning in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
        test = pytest.mark.filterwarnings(f"ignore::{warning}")(test)
    return pytest.mark.slow(test)


@leaves_sockets
def test_lost_workers_change_nothing():
    """One of two processes is killed at ten random moments of fits and of scoring."""
    X = in_chunks(rows(4000), 400)
    alone = fitted(X, max_iter=20)
    scores = alone.score_samples(X).compute()
    with cluster() as (processes, client):
        left, ends = [10], threading.Event()

        def kill():
            rng = np.random.default_rng(0)
            while left[0] and not ends.wait(rng.uniform(3, 8)):
                # One that dies while it starts is given up by its nanny for good.
                known = processes.scheduler.workers
                pids = [
                    nanny.pid
                    for nanny in processes.workers.values()
                    if nanny.worker_address in known
                    and nanny.process is not None
                    and nanny.process.status == Status.running
                ]
                if pids:
                    os.kill(pids[rng.integers(len(pids))], signal.SIGKILL)
                    left[0] -= 1

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            while left[0]:
                detector = DaskAutoencoderOutlierDetector(
                    **DASK | {"max_iter": 20}, client=client
                )
                ours = detector.fit(X)
                assert_same(ours, alone)
                for _ in range(3):
                    found = client.compute(ours.score_samples(X)).result()
                    np.testing.assert_array_equal(found, scores)
        finally:
            ends.set()
            killer.join()
    assert not left[0]


@leaves_sockets
def test_a_closed_client_is_told():
    X = in_chunks(rows())
    with cluster() as (_, client):
        ours = DaskAutoencoderOutlierDetector(**DASK, client=client)
    with pytest.raises(Exception, match=r"Client is closed|Client not running"):
        ours.fit(X)


@leaves_sockets
def test_searches_run_on_a_cluster_and_compile_once_in_each_process():
    X = np.r_[rows(240), outliers(60)]
    y = np.r_[np.ones(240), -np.ones(60)]
    order = np.random.default_rng(0).permutation(300)
    X, y = X[order], y[order]
    detector = AutoencoderOutlierDetector(**DASK)
    grid = {"learning_rate": [1e-3, 1e-2], "random_state": [0, 1]}
    search = GridSearchCV(detector, grid, scoring="roc_auc", cv=2)

    def begin():
        """Count what this process compiles from now on."""
        import skae.testing

        skae.testing.counting = skae.testing.count_compilations()
        skae.testing.counts = skae.testing.counting.__enter__()

    def end():
        import skae.testing

        skae.testing.counting.__exit__(None, None, None)
        return dict(skae.testing.counts)

    with cluster() as (_, client):
        client.run(begin)
        with joblib.parallel_backend("dask"):
            found = clone(search).fit(X, y)
            folds = cross_validate(detector, X, y, scoring="roc_auc", cv=2)
        counts = client.run(end)
    search.fit(X, y)
    for result in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(
            found.cv_results_[result], search.cv_results_[result]
        )
    np.testing.assert_array_equal(
        folds["test_score"],
        cross_validate(detector, X, y, scoring="roc_auc", cv=2)["test_score"],
    )
    # Not again for a fold, a learning rate or a seed.
    assert max(compiled["train_chunk"] for compiled in counts.values()) == 1
