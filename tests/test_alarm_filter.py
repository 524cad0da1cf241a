"""A second stage that dismisses alarms, and never adds one."""

import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.callback import ProgressBar
from sklearn.ensemble import ExtraTreesClassifier, IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, OneClassSVM
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import _num_samples

from skae import AutoencoderOutlierDetector
from skae.io import TRUSTED_TYPES
from skae.metrics import AlarmCost, outlier_f1_scorer
from skae.model_selection import AlarmFilter, FalseAlarmRate, TunedThresholdDetector
from tests.helpers import SMALL, SMALL_FOREST, slow_but


def make_rows(seed, n=600):
    """Normal rows around 0 and outliers on one side: alarms elsewhere are false."""
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(n) < 0.2, -1, 1)
    X = rng.normal(size=(n, 3)) + np.where(y == -1, 3.0, 0)[:, None] * [1, 0, 0]
    return X, y


@pytest.fixture
def labelled():
    return make_rows(0)


@pytest.fixture
def fresh():
    return make_rows(1, 2000)


DETECTORS = {
    "forest": lambda small: IsolationForest(**SMALL_FOREST),
    "neighbours": lambda small: LocalOutlierFactor(novelty=True, contamination=0.1),
    "support": lambda small: OneClassSVM(nu=0.1),
    "autoencoder": lambda small: small(
        anomaly_score="learned", contamination=0.1, max_iter=20
    ),
    "tuned": lambda small: TunedThresholdDetector(
        KernelDensity(), objective=FalseAlarmRate(0.1)
    ),
}


@pytest.mark.parametrize("piped", slow_but([True], [False, True]))
@pytest.mark.parametrize("name", DETECTORS)
def test_false_alarms_of_any_detector_are_cut_by_half(
    name, piped, labelled, fresh, small
):
    detector = DETECTORS[name](small)
    if piped:
        detector = make_pipeline(StandardScaler(), detector)
    second = AlarmFilter(detector, random_state=0).fit(*labelled)
    X, y = fresh
    before, after = second.estimator_.predict(X) == -1, second.predict(X) == -1
    assert before[y == 1].sum() > 50
    assert after[y == 1].sum() < before[y == 1].sum() / 2
    assert after[y == -1].sum() > 0.9 * before[y == -1].sum()


FITTED = [
    AlarmFilter(detector, classifier, random_state=0, **parameters).fit(*make_rows(0))
    for detector, classifier, parameters in (
        (IsolationForest(**SMALL_FOREST), None, {}),
        (OneClassSVM(nu=0.3), GaussianNB(), {"max_recall_loss": 0.5}),
        (OneClassSVM(nu=0.3), SVC(), {"max_recall_loss": None}),
    )
]


@given(
    st.lists(st.tuples(*3 * [st.floats(-1e9, 1e9)]), min_size=1, max_size=20),
    st.sampled_from(FITTED),
)
@settings(max_examples=30)
def test_no_alarm_is_added(rows, second):
    scores = second.estimator_.score_samples(rows)
    decisions = second.decision_function(rows)
    np.testing.assert_array_equal(second.score_samples(rows) >= scores, True)
    quiet = scores >= second.offset_
    np.testing.assert_array_equal(decisions[quiet], scores[quiet] - second.offset_)
    # Alarms that stand keep their score; others are at the threshold.
    stands = decisions < 0
    np.testing.assert_array_equal(decisions[stands], (scores - second.offset_)[stands])
    assert (decisions[~quiet & ~stands] == 0).all()
    np.testing.assert_array_equal(second.predict(rows), np.where(stands, -1, 1))


@pytest.mark.parametrize("second", FITTED, ids=lambda s: str(s.classifier))
def test_a_row_alone_is_judged_as_among_others(second, fresh):
    X = fresh[0][:60]
    alone = [second.score_samples(row[None])[0] for row in X]
    np.testing.assert_allclose(alone, second.score_samples(X), rtol=1e-12)


class Recording(ExtraTreesClassifier):
    """Remembers what it is trained on."""

    fits = []  # noqa: RUF012

    def fit(self, X, y):
        self.fits.append((X, y))
        return super().fit(X, y)


@pytest.fixture
def recording():
    Recording.fits.clear()
    return Recording(n_estimators=10, random_state=0)


class Remembering(IsolationForest):
    """Remembers what it is trained on."""

    def fit(self, X, y=None, sample_weight=None):
        self.rows_, self.weight_ = X, sample_weight
        return super().fit(X, sample_weight=sample_weight)


def test_no_inlier_trains_both_stages(labelled, recording):
    X, y = labelled
    second = AlarmFilter(
        Remembering(**SMALL_FOREST), recording, holdout=0.4, random_state=0
    ).fit(X, y)
    seen, labels = Recording.fits[0]
    n_inliers = (y == 1).sum()
    assert len(second.estimator_.rows_) + (labels == 1).sum() == n_inliers
    assert (labels == 1).sum() == np.ceil(0.4 * n_inliers)
    rows = np.vstack([second.estimator_.rows_, seen[labels == 1, :3]])
    np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(X[y == 1], axis=0))
    np.testing.assert_array_equal(seen[labels == -1, :3], X[y == -1])
    np.testing.assert_array_equal(
        seen[:, 3], second.estimator_.score_samples(seen[:, :3])
    )


@pytest.mark.slow
def test_the_seed_chooses_the_inliers_and_the_classifier(labelled, fresh):
    def scores(seed):
        second = AlarmFilter(IsolationForest(**SMALL_FOREST), random_state=seed)
        return second.fit(*labelled).score_samples(fresh[0])

    np.testing.assert_array_equal(scores(0), scores(0))
    assert (scores(0) != scores(1)).any()


def test_the_classifier_sees_rows_codes_errors_and_score(labelled, recording, small):
    X, y = labelled
    pipeline = make_pipeline(StandardScaler(), small()).fit(X[y == 1])
    AlarmFilter(FrozenEstimator(pipeline), recording).fit(X, y)
    seen, labels = Recording.fits[0]
    scaler, detector = pipeline
    rows = scaler.transform(X)
    expected = np.hstack(
        [
            rows,
            detector.transform(rows),
            detector.feature_errors(rows),
            detector.score_samples(rows)[:, None],
        ]
    )
    np.testing.assert_array_equal(seen, expected)
    np.testing.assert_array_equal(labels, y)


def test_a_frozen_detector_is_not_trained(labelled):
    X, y = labelled
    detector = IsolationForest(**SMALL_FOREST).fit(X[y == 1])
    second = AlarmFilter(FrozenEstimator(detector), random_state=0).fit(X, y)
    assert second.offset_ == detector.offset_
    assert second.estimator_.estimator is detector


# How many true alarms may be lost


@pytest.mark.parametrize("loss", slow_but([0.05], [0.0, 0.05, 0.3]))
@pytest.mark.parametrize("classifier", [None, GaussianNB(), Perceptron(), SVC()])
def test_about_as_many_true_alarms_are_lost_as_allowed(classifier, loss):
    X, y = make_rows(2, 4000)
    detector = FrozenEstimator(IsolationForest(**SMALL_FOREST).fit(X[y == 1]))
    second = AlarmFilter(detector, classifier, max_recall_loss=loss, random_state=0)
    second.fit(*make_rows(3, 4000))
    true_alarms = (y == -1) & (detector.predict(X) == -1)
    lost = (second.predict(X)[true_alarms] == 1).mean()
    # What is lost may be less where many rows have the same response.
    assert lost < loss + 0.04
    if isinstance(classifier, GaussianNB):
        assert lost > loss - 0.04


def test_the_classifier_may_decide_itself(labelled, fresh):
    X, y = labelled
    detector = FrozenEstimator(IsolationForest(**SMALL_FOREST).fit(X[y == 1]))
    tuned = TunedThresholdClassifierCV(
        LogisticRegression(), scoring=make_scorer(recall_score)
    )
    second = AlarmFilter(detector, tuned, max_recall_loss=None).fit(X, y)
    assert second.classifier_threshold_ is None
    # Inliers are the positive class of recall: it is best where nothing is flagged.
    assert (second.predict(fresh[0]) == 1).mean() > 0.99


def test_labels_without_false_alarms_are_fine(labelled, fresh):
    X, y = labelled
    detector = IsolationForest(**SMALL_FOREST).fit(X[y == 1])
    calm = (y == -1) | (detector.predict(X) == 1)
    second = AlarmFilter(FrozenEstimator(detector), random_state=0)
    second.fit(X[calm], y[calm])
    X, y = fresh
    before, after = (np.sum(d.predict(X[y == 1]) == -1) for d in (detector, second))
    assert after < before


def test_without_known_true_alarms_nothing_is_dismissed(labelled, fresh):
    X, y = labelled
    detector = IsolationForest(**SMALL_FOREST).fit(X[y == 1])
    hidden = (y == 1) | (detector.predict(X) == 1)
    second = AlarmFilter(FrozenEstimator(detector), random_state=0)
    message = f"none of the {(y[hidden] == -1).sum()} labelled outliers"
    with pytest.warns(UserWarning, match=message) as record:
        second.fit(X[hidden], y[hidden])
    assert record[0].filename == __file__
    assert second.classifier_threshold_ == -np.inf
    np.testing.assert_array_equal(second.predict(fresh[0]), detector.predict(fresh[0]))


def test_two_outliers_suffice(labelled):
    X, y = labelled
    worst = np.argsort(np.where(y == -1, -X[:, 0], np.inf))[:2]
    rows = np.r_[np.flatnonzero(y == 1), worst]
    second = AlarmFilter(IsolationForest(**SMALL_FOREST), random_state=0)
    assert (second.fit(X[rows], y[rows]).predict(X[worst]) == -1).all()


# Rows of other kinds


def test_missing_cells_reach_the_classifier(labelled, fresh, small):
    X, y = labelled
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    X[:, 0] = labelled[0][:, 0]
    second = AlarmFilter(small(missing="mask", contamination=0.1), random_state=0)
    assert (second.fit(X, y).predict(X) == -1).any()
    refusing = AlarmFilter(small(missing="mask"), LogisticRegression())
    with pytest.raises(ValueError, match="LogisticRegression does not accept missing"):
        refusing.fit(X, y)


@pytest.mark.parametrize("name", ["forest", "autoencoder"])
def test_sparse_rows_are_judged_as_dense_ones(name, labelled, fresh, small):
    X, y = labelled
    detector = DETECTORS[name](small)
    dense, sparse = (
        AlarmFilter(detector, SVC(), random_state=0).fit(rows, y)
        for rows in (X, csr_array(X))
    )
    np.testing.assert_array_equal(
        sparse.predict(csr_array(fresh[0])), dense.predict(fresh[0])
    )


def test_densities_that_are_zero_are_alarms(labelled):
    X, y = labelled
    density = KernelDensity(kernel="tophat", bandwidth=1.0)
    tuned = TunedThresholdDetector(density, objective=FalseAlarmRate(0.2))
    with np.errstate(divide="ignore"):
        second = AlarmFilter(tuned, random_state=0).fit(X, y)
        assert second.decision_function([[50.0, 0, 0]])[0] == -np.inf


@pytest.mark.parametrize("make", slow_but([pd.DataFrame], [pd.DataFrame, pl.DataFrame]))
def test_data_frames_and_names(make, labelled, small):
    X, y = labelled
    frame = make(dict(zip("abc", X.T, strict=True)))
    pipeline = make_pipeline(StandardScaler(), small(contamination=0.2))
    second = AlarmFilter(pipeline, random_state=0)
    expected = second.fit(X, y).predict(X)
    assert not hasattr(second, "feature_names_in_")
    second.fit(frame, y)
    assert second.feature_names_in_.tolist() == ["a", "b", "c"]
    assert second.n_features_in_ == 3
    np.testing.assert_array_equal(second.predict(frame), expected)
    with pytest.raises(ValueError, match="feature names"):
        second.predict(frame[["c", "b", "a"]])


# Life inside scikit-learn's tools


def test_a_search_tunes_both_stages(labelled):
    X, y = labelled
    second = AlarmFilter(
        make_pipeline(StandardScaler(), IsolationForest(**SMALL_FOREST)),
        ExtraTreesClassifier(**SMALL_FOREST),
        random_state=0,
    )
    grid = {
        "classifier__max_depth": [1, 3],
        "estimator__isolationforest__contamination": [0.05, 0.2],
    }
    search = GridSearchCV(
        second, grid, scoring=outlier_f1_scorer, cv=StratifiedKFold(2)
    ).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    alone = clone(second.estimator).fit(X[y == 1])
    assert search.best_score_ > outlier_f1_scorer(alone, X, y)


def test_inside_a_pipeline(labelled, fresh):
    second = AlarmFilter(IsolationForest(**SMALL_FOREST), random_state=0)
    pipeline = make_pipeline(StandardScaler(), second).fit(*labelled)
    assert pipeline.score_samples(fresh[0]).shape == (2000,)
    assert AlarmCost(missed=5)(pipeline, *fresh) > AlarmCost(missed=5)(
        make_pipeline(pipeline[0], FrozenEstimator(second.estimator_)), *fresh
    )


def test_copies_decide_the_same(labelled, fresh, small, tmp_path):
    X, y = labelled
    second = AlarmFilter(small(contamination=0.2), random_state=0).fit(X, y)
    expected = second.decision_function(fresh[0])
    joblib.dump(second, tmp_path / "second.joblib")
    for other in (
        pickle.loads(pickle.dumps(second)),
        joblib.load(tmp_path / "second.joblib"),
        clone(second).fit(X, y),
    ):
        np.testing.assert_array_equal(other.decision_function(fresh[0]), expected)
    second.set_params(classifier=GaussianNB()).fit(X, y)
    other = skops.io.loads(skops.io.dumps(second), trusted=TRUSTED_TYPES)
    np.testing.assert_array_equal(other.predict(fresh[0]), second.predict(fresh[0]))


def test_fit_predict_uses_labels(labelled):
    second = AlarmFilter(IsolationForest(**SMALL_FOREST), random_state=0)
    np.testing.assert_array_equal(
        second.fit_predict(*labelled), clone(second).fit(*labelled).predict(labelled[0])
    )
    with pytest.raises(ValueError, match="y is needed"):
        second.fit_predict(labelled[0])


def test_fit_parameters_follow_their_rows(labelled):
    X, y = labelled
    weight = X[:, 1] + 10
    second = AlarmFilter(Remembering(**SMALL_FOREST), random_state=0)
    second.fit(X, y, sample_weight=weight)
    detector = second.estimator_
    np.testing.assert_array_equal(detector.weight_, detector.rows_[:, 1] + 10)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = Remembering(**SMALL_FOREST).set_fit_request(sample_weight=True)
        second = AlarmFilter(asking, random_state=0)
        second.fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(second.estimator_.weight_, detector.weight_)
        with pytest.raises(TypeError, match="unexpected"):
            second.fit(X, y, other=1)
        second.fit(X, y)


def test_progress_bars_show_the_training(labelled, small, capsys):
    second = AlarmFilter(small(contamination=0.2), random_state=0)
    second.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(*labelled)
    shown = capsys.readouterr().out
    assert "AlarmFilter" in shown and "AutoencoderOutlierDetector" in shown


# What is refused


class Deaf(ClassifierMixin, BaseEstimator):
    """A classifier that only predicts."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.ones(len(X))


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"estimator": StandardScaler()}, TypeError, "AlarmFilter.*score_samples"),
        ({"estimator": LocalOutlierFactor()}, TypeError, "novelty"),
        ({"estimator": KernelDensity()}, ValueError, "no threshold.*TunedThreshold"),
        ({"classifier": Deaf()}, TypeError, "'classifier'.*AlarmFilter.*Deaf"),
        ({"max_recall_loss": 1}, ValueError, r"'max_recall_loss'.*\[0, 1\).*Got 1"),
        ({"max_recall_loss": -0.1}, ValueError, "max_recall_loss"),
        ({"max_recall_loss": "1%"}, ValueError, "max_recall_loss"),
        ({"holdout": 0}, ValueError, r"'holdout'.*AlarmFilter.*\(0, 1\)"),
        ({"holdout": 1.0}, ValueError, "holdout"),
        ({"holdout": 0.9999}, ValueError, "at least two outliers"),
    ],
)
def test_bad_parameters_are_refused(parameters, error, message, labelled):
    second = AlarmFilter(**{"estimator": IsolationForest(**SMALL_FOREST)} | parameters)
    with pytest.raises(error, match=message):
        second.fit(*labelled)


def test_a_classifier_that_only_predicts_may_decide(labelled):
    second = AlarmFilter(
        IsolationForest(**SMALL_FOREST), Deaf(), max_recall_loss=None
    ).fit(*labelled)
    assert (second.predict(labelled[0]) == 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: (y == -1).astype(int), r"np\.where"),
        (lambda y: np.where(y == 1, "in", "out"), r"\+1 for inliers"),
        (lambda y: np.where(y == 1, 1.0, np.nan), r"\+1 for inliers"),
        (lambda y: y[:-1], "inconsistent"),
        (lambda y: np.c_[y, y], "1d array"),
        (lambda y: None, "y is needed"),
        (lambda y: np.ones_like(y), "at least two outliers.*0 are outliers"),
        (lambda y: -np.ones_like(y), "two inliers.*0 such inliers"),
        (lambda y: np.r_[-1, np.ones(len(y) - 1)], "1 are outliers"),
        (lambda y: np.r_[1, 1, -np.ones(len(y) - 2)], "1 such inliers"),
    ],
)
def test_bad_labels_are_refused(change, message, labelled):
    X, y = labelled
    with pytest.raises(ValueError, match=message):
        AlarmFilter(IsolationForest(**SMALL_FOREST)).fit(X, change(y))


class AnyLabels(AlarmFilter):
    """scikit-learn's checks pass labels of any kind; here each third is an outlier."""

    def fit(self, X, y=None, **fit_params):
        if y is None or np.asarray(y).ndim == 1:
            y = np.where(np.arange(_num_samples(X)) % 3 == 1, -1, 1)
        return super().fit(X, y, **fit_params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags


@parametrize_with_checks(
    [
        AnyLabels(
            AutoencoderOutlierDetector(
                validation_fraction=0.0, random_state=0, **SMALL
            ),
            GaussianNB(),
            max_recall_loss=0.1,
            random_state=0,
        ),
    ]
)
@pytest.mark.filterwarnings("ignore:Column", "ignore:.*SCIPY_ARRAY_API")
@pytest.mark.filterwarnings("ignore:The detector flags none")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        AnyLabels(IsolationForest(**SMALL_FOREST), classifier, random_state=0)
        for classifier in (None, ExtraTreesClassifier(**SMALL_FOREST))
    ]
)
@pytest.mark.filterwarnings("ignore:Column", "ignore:.*SCIPY_ARRAY_API")
@pytest.mark.filterwarnings("ignore:The detector flags none")
def test_scikit_learn_checks_of_other_classifiers(estimator, check):
    check(estimator)


def test_the_grossest_rows_do_not_stop_the_others(small):
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(size=(200, 3)), rng.normal(4, 1, size=(20, 3))]
    y = np.r_[np.ones(200), -np.ones(20)]
    detector = AlarmFilter(make_pipeline(StandardScaler(), small()), random_state=0)
    labels = detector.fit(X, y).predict([[1e39, 0, 0], [0, 0, 0]])
    assert labels[1] == 1


def test_what_is_no_classifier_is_named(small):
    with pytest.raises(TypeError, match=r"must be a classifier\. Got Iso"):
        AlarmFilter(small(), IsolationForest(**SMALL_FOREST)).fit([[0.0], [1]], [1, -1])
