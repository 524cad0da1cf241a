import copy
import pickle

import joblib
import numpy as np
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    fbeta_score,
    precision_score,
    recall_score,
)
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
)
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import AutoencoderOutlierDetector
from skae.metrics import AlarmCost, outlier_f1_scorer
from skae.model_selection import (
    FalseAlarmRate,
    FBeta,
    NoveltyKFold,
    NoveltySplit,
    RecallAtPrecision,
    TunedThresholdDetector,
    _objectives,
)
from tests.helpers import SMALL, SMALL_FOREST


@pytest.fixture
def labelled():
    """Normal rows with outliers among them, some of which look normal."""
    rng = np.random.default_rng(0)
    y = np.where(rng.random(400) < 0.15, -1, 1)
    X = rng.normal(size=(400, 3)) + np.where(y == -1, 2.0, 0)[:, None]
    return X, y


# Splitters


@given(
    st.lists(st.sampled_from([1, -1]), min_size=4, max_size=60),
    st.integers(2, 6),
    st.booleans(),
)
def test_novelty_folds_train_on_inliers_and_share_the_outliers(y, n_splits, shuffle):
    y = np.array(y)
    folds = NoveltyKFold(n_splits, shuffle=shuffle, random_state=0 if shuffle else None)
    if min((y == 1).sum(), (y == -1).sum()) < n_splits:
        with pytest.raises(ValueError, match=f"n_splits={n_splits}"):
            list(folds.split(y, y))
        return
    splits = list(folds.split(y, y))
    again = list(folds.split(y, y))
    assert len(splits) == folds.get_n_splits() == n_splits
    tested = np.concatenate([test for _, test in splits])
    np.testing.assert_array_equal(np.sort(tested), np.arange(len(y)))
    counts = [(y[test] == -1).sum() for _, test in splits]
    assert max(counts) - min(counts) <= 1 and min(counts) >= 1
    for (train, test), (train_again, test_again) in zip(splits, again, strict=True):
        assert (y[train] == 1).all()
        # Every inlier is in one of the two.
        assert {*train, *test} >= set(np.flatnonzero(y == 1))
        assert not set(train) & set(test)
        np.testing.assert_array_equal(train, train_again)
        np.testing.assert_array_equal(test, test_again)


def test_shuffled_novelty_folds_depend_on_the_seed(labelled):
    X, y = labelled
    first, second = (
        next(NoveltyKFold(3, shuffle=True, random_state=seed).split(X, y))[1]
        for seed in (0, 1)
    )
    assert (first != second).any()
    with pytest.raises(ValueError, match="random_state"):
        NoveltyKFold(3, random_state=0)


@pytest.mark.parametrize(
    "cv",
    [TimeSeriesSplit(3), StratifiedShuffleSplit(2, random_state=0), KFold(4)],
    ids=str,
)
def test_novelty_split_drops_outliers_from_any_training_fold(cv, labelled):
    X, y = labelled
    wrapped = NoveltySplit(cv)
    splits = list(wrapped.split(X, y))
    assert len(splits) == wrapped.get_n_splits(X, y)
    for (train, test), (train_all, test_all) in zip(
        splits, cv.split(X, y), strict=True
    ):
        np.testing.assert_array_equal(train, train_all[y[train_all] == 1])
        np.testing.assert_array_equal(test, test_all)
    assert repr(cv) in repr(wrapped)


def test_novelty_split_passes_groups(labelled):
    X, y = labelled
    groups = np.arange(len(y)) % 4
    for train, test in NoveltySplit(GroupKFold(4)).split(X, y, groups):
        assert not set(groups[train]) & set(groups[test])


@pytest.mark.parametrize("splitter", [NoveltyKFold(2), NoveltySplit(KFold(2))])
def test_splitters_refuse_other_labels(splitter):
    with pytest.raises(ValueError, match=r"np\.where"):
        next(splitter.split(np.zeros(4), [0, 1, 0, 1]))


@pytest.mark.parametrize("cv", [5, KFold, None])
def test_novelty_split_refuses_what_does_not_split(cv):
    with pytest.raises(TypeError, match="splitter"):
        NoveltySplit(cv)


class Halves:
    """Splits in a form of one's choice."""

    def __init__(self, form):
        self.form = form

    def split(self, X, y):
        mask = np.arange(len(y)) < len(y) / 2
        yield self.form(mask), self.form(~mask)


@pytest.mark.parametrize(
    "form", [lambda mask: mask, lambda mask: np.flatnonzero(mask).tolist()]
)
def test_novelty_split_takes_masks_and_lists(form, labelled):
    X, y = labelled
    [(train, test)] = NoveltySplit(Halves(form)).split(X, y)
    np.testing.assert_array_equal(train, np.flatnonzero(y[:200] == 1))
    np.testing.assert_array_equal(test, np.arange(200, 400))


def test_novelty_split_is_as_random_as_its_splitter():
    cv = NoveltySplit(StratifiedKFold(3, shuffle=True, random_state=5))
    assert cv.shuffle and cv.random_state == 5
    assert copy.deepcopy(cv).get_n_splits() == pickle.loads(pickle.dumps(cv)).n_splits
    assert not hasattr(NoveltySplit(Halves(list)), "shuffle")


# Objectives


def scored_rows():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = rng.integers(5, 40)
        y = np.r_[1, -1, np.where(rng.random(n) < 0.3, -1, 1)]
        yield y, rng.choice(rng.normal(size=rng.choice([4, 60])), len(y)) + 0.5 * y


class Column(OneClassSVM):
    """A detector whose scores are the first column."""

    def score_samples(self, X):
        return X[:, 0]


@pytest.mark.parametrize(
    ("objective", "metric"),
    [
        ("f1", f1_score),
        ("balanced_accuracy", balanced_accuracy_score),
        (FBeta(2), lambda y, p: fbeta_score(y, p, beta=2)),
        pytest.param(
            FBeta(0.5),
            lambda y, p: fbeta_score(y, p, beta=0.5),
            marks=pytest.mark.slow,
        ),
        (
            lambda tn, fp, fn, tp: tp - 2 * fp,
            lambda y, p: (p & y).sum() - 2 * (p & ~y).sum(),
        ),
    ],
)
def test_no_threshold_is_better_than_the_one_found(objective, metric):
    for y, scores in scored_rows():
        X = scores[:, None]
        detector = TunedThresholdDetector(
            FrozenEstimator(Column().fit(X)), objective=objective
        ).fit(X, y)
        best = max(metric(y == -1, scores < t) for t in [*np.unique(scores), np.inf])
        found = metric(y == -1, detector.predict(X) == -1)
        assert found == pytest.approx(best)
        assert detector.best_score_ == pytest.approx(best)
        assert detector.objective_curve_["values"].max() == detector.best_score_


def test_a_huge_beta_is_recall():
    assert FBeta(1e200)(tn=5, fp=9, fn=1, tp=3) == 0.75


def test_false_alarms_are_as_many_as_allowed():
    for y, scores in scored_rows():
        X = scores[:, None]
        frozen = FrozenEstimator(Column().fit(X))
        cuts = [scores < t for t in [*np.unique(scores), np.inf]]
        for rate in (0.0, 0.1, 0.5):
            detector = TunedThresholdDetector(frozen, objective=FalseAlarmRate(rate))
            alarms = detector.fit(X, y).predict(X) == -1
            allowed = [cut for cut in cuts if cut[y == 1].mean() <= rate]
            most = max(cut[y == 1].sum() for cut in allowed)
            assert alarms[y == 1].sum() == most
            # And of those, the one that finds the most outliers.
            assert alarms[y == -1].sum() == max(
                cut[y == -1].sum() for cut in allowed if cut[y == 1].sum() == most
            )


def test_recall_is_the_highest_at_the_precision():
    for y, scores in scored_rows():
        X = scores[:, None]
        detector = TunedThresholdDetector(
            FrozenEstimator(Column().fit(X)), objective=RecallAtPrecision(0.5)
        )
        cuts = [scores < t for t in [*np.unique(scores)[1:], np.inf]]
        cuts = [cut for cut in cuts if precision_score(y == -1, cut) >= 0.5]
        reached = [recall_score(y == -1, cut) for cut in cuts]
        if not reached:
            with pytest.raises(ValueError, match=r"precision=0\.5: the highest is"):
                detector.fit(X, y)
            continue
        predicted = detector.fit(X, y).predict(X) == -1
        assert recall_score(y == -1, predicted) == pytest.approx(max(reached))
        fewest = min(
            cut[y == 1].sum()
            for cut, recall in zip(cuts, reached, strict=True)
            if recall == max(reached)
        )
        assert predicted[y == 1].sum() == fewest


def test_equally_good_thresholds_yield_the_middle():
    X = np.array([[0.0], [1.0], [5.0], [6.0]])
    detector = TunedThresholdDetector(FrozenEstimator(Column().fit(X)))
    assert detector.fit(X, [-1, -1, 1, 1]).offset_ == 3.0
    # A cost that only asks for one alarm near the outliers has a run of best ones.
    X = np.arange(9.0)[:, None]
    cost = AlarmCost(tolerance=2)
    detector.set_params(objective=cost).fit(X, [1, 1, -1, 1, 1, 1, 1, 1, 1])
    best = detector.objective_curve_["values"] == 0
    assert best.sum() == 5
    assert detector.offset_ == detector.objective_curve_["thresholds"][best][2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FBeta(0), "'beta' parameter of FBeta.*Got 0"),
        (lambda: FBeta("1"), "beta"),
        (lambda: RecallAtPrecision(0), "precision"),
        (lambda: RecallAtPrecision(1.1), r"\(0, 1\]"),
        (lambda: FalseAlarmRate(1), "rate"),
        (lambda: FalseAlarmRate(-0.1), "rate"),
    ],
)
def test_bad_objectives_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# The meta-estimator


@pytest.mark.parametrize(
    "estimator",
    [
        IsolationForest(**SMALL_FOREST),
        LocalOutlierFactor(novelty=True),
        OneClassSVM(nu=0.1),
        EllipticEnvelope(random_state=0),
        KernelDensity(),
        AutoencoderOutlierDetector(
            hidden_layer_sizes=(16,), latent_dim=4, max_iter=20, random_state=0
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("piped", [False, True])
def test_any_detector_is_tuned(estimator, piped, labelled):
    X, y = labelled
    if piped:
        estimator = make_pipeline(StandardScaler(), estimator)
    detector = TunedThresholdDetector(estimator).fit(X[:300], y[:300])
    assert outlier_f1_scorer(detector, X[300:], y[300:]) > 0.6
    np.testing.assert_array_equal(
        detector.decision_function(X), detector.score_samples(X) - detector.offset_
    )
    np.testing.assert_array_equal(
        detector.predict(X), np.where(detector.decision_function(X) >= 0, 1, -1)
    )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda detector: detector,
        lambda detector: make_pipeline(StandardScaler(), detector),
        lambda detector: GridSearchCV(
            detector, {"max_features": [1, 3]}, scoring=lambda *args: 0.0
        ),
    ],
    ids=["alone", "pipeline", "search"],
)
def test_without_labels_the_own_threshold_stays(wrap, labelled):
    X, _ = labelled
    for contamination in ("auto", 0.1, 0.25):
        forest = IsolationForest(
            n_estimators=20, contamination=contamination, random_state=0
        )
        inner = wrap(forest)
        detector = TunedThresholdDetector(inner).fit(X)
        np.testing.assert_array_equal(
            detector.predict(X), clone(inner).fit(X).predict(X)
        )
        assert detector.best_score_ is detector.objective_curve_ is None


def test_without_labels_a_threshold_of_its_own_is_needed(labelled):
    X, _ = labelled
    with pytest.raises(ValueError, match="KernelDensity has no threshold"):
        TunedThresholdDetector(KernelDensity()).fit(X)
    frozen = FrozenEstimator(OneClassSVM(nu=0.1).fit(X))
    detector = TunedThresholdDetector(frozen).fit(X)
    np.testing.assert_array_equal(detector.predict(X), frozen.predict(X))
    assert isinstance(detector.offset_, float)


class Counting(IsolationForest):
    """Counts fits and remembers the rows of each."""

    fits = []  # noqa: RUF012

    def fit(self, X, y=None, sample_weight=None):
        self.fits.append((X, y, sample_weight))
        return super().fit(X, sample_weight=sample_weight)


@pytest.fixture
def counting():
    Counting.fits.clear()
    return Counting(n_estimators=10, random_state=0)


def test_densities_that_are_zero_have_a_place(labelled):
    X, y = labelled
    density = KernelDensity(kernel="tophat", bandwidth=0.5)
    far = np.full((5, 3), 50.0)
    with np.errstate(divide="ignore"):
        tuned = TunedThresholdDetector(density).fit(X, y)
        assert (tuned.predict(far) == -1).all()
        # Here false alarms cost so much that nothing is flagged.
        tuned.set_params(objective=AlarmCost(missed=0)).fit(X, y)
        assert tuned.offset_ == -np.inf
        assert (tuned.predict(far) == 1).all()


def test_the_detector_is_trained_once_per_split_on_inliers(counting, labelled):
    X, y = labelled
    detector = TunedThresholdDetector(counting, cv=3).fit(X, y)
    assert len(Counting.fits) == 4
    assert all((labels == 1).all() for _, labels, _ in Counting.fits)
    # Refitted on all inliers; every distinct score was a candidate.
    assert len(Counting.fits[-1][0]) == (y == 1).sum()
    thresholds = detector.objective_curve_["thresholds"]
    assert 300 < len(thresholds) <= len(y) + 1
    assert (np.diff(thresholds) > 0).all()


def test_few_outliers_make_few_folds(counting, labelled):
    X, y = labelled
    rows = np.r_[np.flatnonzero(y == 1), np.flatnonzero(y == -1)[:3]]
    TunedThresholdDetector(counting).fit(X[rows], y[rows])
    assert len(Counting.fits) == 4


class Narrow(Column):
    """Float32 scores."""

    def score_samples(self, X):
        return X[:, 0].astype(np.float32)


def test_float32_scores_are_cut_where_they_were_tuned():
    one = np.float32(1)
    X = np.array([[one], [np.nextafter(one, np.float32(2))]], np.float32)
    detector = TunedThresholdDetector(FrozenEstimator(Narrow().fit(X)))
    assert detector.fit(X, [-1, 1]).predict(X).tolist() == [-1, 1]
    assert detector.score_samples(X).dtype == np.float64


class Wide(Column):
    """Scores of a wrong shape."""

    def score_samples(self, X):
        return X[:5, 0]


def test_scores_of_a_wrong_shape_are_refused(labelled):
    X, y = labelled
    with pytest.raises(ValueError, match="inconsistent"):
        TunedThresholdDetector(Wide()).fit(X, y)


def test_splitters_that_train_on_outliers_are_taken_at_their_word(counting, labelled):
    X, y = labelled
    TunedThresholdDetector(counting, cv=KFold(2)).fit(X, y)
    assert [len(rows) for rows, _, _ in Counting.fits] == [200, 200, 400]


def test_held_out_rows_tune_the_very_detector_that_is_kept(counting, labelled):
    X, y = labelled
    detector = TunedThresholdDetector(counting, cv=0.3, refit=False, random_state=0)
    detector.fit(X, y)
    assert len(Counting.fits) == 1
    n_tuned = detector.objective_curve_["thresholds"].size - 1
    assert n_tuned <= 120 and len(Counting.fits[0][0]) == pytest.approx(
        0.7 * (y == 1).sum(), abs=1
    )
    again = clone(detector).fit(X, y)
    assert again.offset_ == detector.offset_


def test_a_frozen_detector_is_not_trained(counting, labelled):
    X, y = labelled
    fitted = counting.fit(X[:200])
    detector = TunedThresholdDetector(FrozenEstimator(fitted)).fit(X[200:], y[200:])
    expected = f1_score(y[200:] == -1, detector.predict(X[200:]) == -1)
    assert detector.best_score_ == pytest.approx(expected)
    search = GridSearchCV(
        detector,
        {"objective": [FBeta(0.5), FBeta(2), AlarmCost(missed=5), FalseAlarmRate(0.1)]},
        scoring=AlarmCost(missed=5),
    ).fit(X[200:], y[200:])
    assert len(Counting.fits) == 1
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_search_over_thresholds_trains_nothing_twice(counting, labelled, tmp_path):
    X, y = labelled
    detector = TunedThresholdDetector(counting, cv=3, memory=str(tmp_path))
    objectives = [FBeta(0.5), FBeta(1), FBeta(2), FalseAlarmRate(0.05)]
    GridSearchCV(
        detector, {"objective": objectives}, scoring=AlarmCost(missed=5), cv=2
    ).fit(X, y)
    # Two folds and the refit, with three splits and a refit each.
    assert len(Counting.fits) == 3 * 4


def test_rows_in_the_order_of_time(counting, labelled):
    X, y = labelled
    cost = AlarmCost(missed=5, tolerance=3)
    cv = NoveltySplit(TimeSeriesSplit(3))
    detector = TunedThresholdDetector(counting, objective=cost, cv=cv).fit(X, y)
    # Scores of the three last blocks, each by a detector of the past.
    scores = np.concatenate(
        [clone(counting).fit(X[a]).score_samples(X[b]) for a, b in cv.split(X, y)]
    )
    tested = y[100:]
    labels = np.where(scores < detector.offset_, -1, 1)
    assert -detector.best_score_ == cost.cost(tested, labels)
    assert -detector.best_score_ == cost.curve(tested, scores)[1].min()
    shuffled = clone(detector).set_params(cv=0.3)
    with pytest.raises(ValueError, match="consecutive rows"):
        shuffled.fit(X, y)
    repeated = clone(detector).set_params(cv=NoveltySplit(ShuffleSplit(3)))
    with pytest.raises(ValueError, match="consecutive rows"):
        repeated.fit(X, y)
    repeated.set_params(objective="f1").fit(X, y)


def test_all_inliers_suffice_for_a_false_alarm_rate(labelled):
    X, y = labelled
    X = X[y == 1]
    for cv in (None, 0.4):
        detector = TunedThresholdDetector(
            IsolationForest(**SMALL_FOREST), objective=FalseAlarmRate(0.1), cv=cv
        ).fit(X[:200], np.ones(200))
        assert 0.02 < (detector.predict(X[200:]) == -1).mean() < 0.25
    with pytest.raises(ValueError, match="at least one outlier"):
        detector.set_params(objective="f1").fit(X, np.ones(len(X)))


def test_splits_run_in_parallel_with_the_same_result(labelled):
    X, y = labelled
    detector = TunedThresholdDetector(IsolationForest(**SMALL_FOREST))
    offsets = [detector.fit(X, y).offset_]
    with joblib.parallel_config(backend="threading"):
        offsets.append(detector.set_params(n_jobs=2).fit(X, y).offset_)
    assert offsets[0] == offsets[1]


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bars_show_every_training(n_jobs, labelled, small, capsys):
    X, y = labelled
    detector = TunedThresholdDetector(small(), cv=2, n_jobs=n_jobs)
    detector.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    shown = capsys.readouterr().out
    assert "TunedThresholdDetector" in shown and "AutoencoderOutlierDetector" in shown
    assert pickle.loads(pickle.dumps(detector)).offset_ == detector.offset_


def test_fit_parameters_follow_their_rows(counting, labelled):
    X, y = labelled
    weight = np.arange(400.0) + 1
    TunedThresholdDetector(counting, cv=2).fit(X, y, sample_weight=weight)
    for rows, _, weights in Counting.fits:
        np.testing.assert_array_equal(X[weights.astype(int) - 1], rows)


def test_groups_reach_the_splitter(counting, labelled):
    X, y = labelled
    groups = np.repeat([0, 1, 2, 3], 100)
    cv = NoveltySplit(GroupKFold(4))
    TunedThresholdDetector(counting, cv=cv).fit(X, y, groups=groups)
    assert len(Counting.fits) == 5


def test_metadata_is_routed(counting, labelled):
    X, y = labelled
    with sklearn.config_context(enable_metadata_routing=True):
        detector = TunedThresholdDetector(
            counting.set_fit_request(sample_weight=True), cv=NoveltySplit(GroupKFold(2))
        )
        detector.fit(X, y, sample_weight=np.ones(400), groups=np.arange(400) % 2)
        assert all(len(weight) == len(rows) for rows, _, weight in Counting.fits)
        with pytest.raises(TypeError, match="unexpected"):
            detector.fit(X, y, other=1)
        TunedThresholdDetector(counting).fit(X)


def test_data_frames_and_names(labelled):
    import pandas as pd

    X, y = labelled
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    detector = TunedThresholdDetector(IsolationForest(**SMALL_FOREST), cv=2)
    detector.fit(frame, pd.Series(y, index=frame.index[::-1]))
    assert detector.feature_names_in_.tolist() == ["a", "b", "c"]
    assert detector.predict(frame).shape == (400,)
    assert not hasattr(detector.fit(X, y), "feature_names_in_")


def test_fit_predict_uses_labels(labelled):
    X, y = labelled
    detector = TunedThresholdDetector(IsolationForest(**SMALL_FOREST))
    np.testing.assert_array_equal(
        detector.fit_predict(X, y), clone(detector).fit(X, y).predict(X)
    )


def test_copies_predict_the_same(labelled, small):
    X, y = labelled
    detector = TunedThresholdDetector(small(), objective=AlarmCost(missed=2)).fit(X, y)
    for other in (pickle.loads(pickle.dumps(detector)), copy.deepcopy(detector)):
        np.testing.assert_array_equal(other.predict(X), detector.predict(X))
    refitted = clone(detector).fit(X, y)
    assert refitted.offset_ == detector.offset_


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"objective": "recall"}, ValueError, "'objective'.*'f1'.*Got 'recall'"),
        ({"objective": 3}, ValueError, "'objective'"),
        ({"objective": lambda tn, fp, fn, tp: 1.0}, ValueError, "one value for each"),
        (
            {"objective": lambda tn, fp, fn, tp: tp * np.nan},
            ValueError,
            "allows no threshold",
        ),
        ({"cv": 1.5}, ValueError, r"'cv'.*\(0, 1\)"),
        ({"cv": 1}, ValueError, "n_splits=1"),
        ({"cv": []}, ValueError, "at least one split"),
        ({"objective": FBeta}, ValueError, "'objective'"),
        ({"objective": f1_score}, TypeError, r"\(tn, fp, fn, tp\)"),
        ({"cv": "prefit"}, ValueError, "Expected `cv`"),
        ({"refit": "no"}, ValueError, "'refit'.*bool"),
        ({"refit": False}, ValueError, "one split. Got 5"),
        ({"estimator": LocalOutlierFactor()}, TypeError, "novelty"),
        ({"estimator": StandardScaler()}, TypeError, "score_samples"),
    ],
)
def test_bad_parameters_are_refused(parameters, error, message, labelled):
    X, y = labelled
    detector = TunedThresholdDetector(
        **{"estimator": IsolationForest(**SMALL_FOREST)} | parameters
    )
    with pytest.raises(error, match=message):
        detector.fit(X, y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, (y == -1).astype(int)), r"np\.where"),
        (lambda X, y: (X, np.where(y == 1, "in", "out")), r"\+1 for inliers"),
        (lambda X, y: (X, y[:-1]), "inconsistent"),
        (lambda X, y: (X, np.c_[y, y]), "1d array"),
        (lambda X, y: (X[:6], np.array([1, 1, 1, 1, 1, -1])), "n_splits=2"),
    ],
)
def test_bad_labels_are_refused(change, message, labelled):
    with pytest.raises(ValueError, match=message):
        TunedThresholdDetector(IsolationForest(**SMALL_FOREST)).fit(*change(*labelled))


class BinaryLabels(TunedThresholdDetector):
    """scikit-learn's checks pass labels of any kind; here they become +1 and -1."""

    def fit(self, X, y=None, **fit_params):
        if y is not None:
            y = np.asarray(y)
            if y.ndim == 1 and len(y) > 9 and len(np.unique(y)) > 1:
                y = np.where(y == y[0], 1, -1)
            else:
                y = None
        return super().fit(X, y, **fit_params)


@parametrize_with_checks(
    [
        BinaryLabels(IsolationForest(n_estimators=20, random_state=0), cv=2),
        BinaryLabels(
            AutoencoderOutlierDetector(
                validation_fraction=0.0, random_state=0, **SMALL
            ),
            objective=AlarmCost(),
            cv=2,
        ),
    ]
)
@pytest.mark.filterwarnings("ignore:Column", "ignore:.*SCIPY_ARRAY_API")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@given(st.lists(st.booleans(), min_size=1).filter(any))
def test_the_middle_of_the_longest_run_is_chosen(chosen):
    runs, start = [], None
    for i, is_chosen in enumerate([*chosen, False]):
        if is_chosen and start is None:
            start = i
        if not is_chosen and start is not None:
            runs.append((start, i - 1))
            start = None
    first, last = max(runs, key=lambda run: run[1] - run[0])
    # Of runs of the same length the first, of two in the middle the lower one.
    found = _objectives._middle_of_longest_run(np.array(chosen))
    assert found == (first + last) // 2


def test_the_precision_of_one_flagged_row_is_that_of_one():
    recall = RecallAtPrecision(1.0)(tn=[3, 3], fp=[0, 0], fn=[2, 1], tp=[0, 1])
    assert recall.tolist() == [-np.inf, 0.5]
