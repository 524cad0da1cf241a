import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.inspection import permutation_importance
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    fbeta_score,
    precision_score,
    roc_auc_score,
)
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skae.metrics import (
    AlarmCost,
    make_outlier_scorer,
    outlier_average_precision_scorer,
    outlier_f1_scorer,
    outlier_roc_auc_scorer,
)
from skae.model_selection import NoveltyKFold
from tests.helpers import SMALL_FOREST

SCORERS = {
    "roc_auc": outlier_roc_auc_scorer,
    "average_precision": outlier_average_precision_scorer,
    "f1": outlier_f1_scorer,
}


@pytest.fixture
def labelled(blobs):
    rows, outliers = blobs
    return np.r_[rows, outliers], np.r_[np.ones(300), -np.ones(60)].astype(int)


@pytest.mark.parametrize("piped", [False, True])
@pytest.mark.parametrize(
    "detector",
    [
        IsolationForest(**SMALL_FOREST),
        LocalOutlierFactor(novelty=True),
        OneClassSVM(nu=0.1),
        EllipticEnvelope(random_state=0),
        "small",
    ],
    ids=str,
)
def test_scorers_take_the_outlier_as_positive(detector, piped, labelled, small):
    X, y = labelled
    detector = small() if detector == "small" else detector
    detector = make_pipeline(StandardScaler(), detector) if piped else detector
    detector.fit(X[:300])
    scores, labels = -detector.score_samples(X), detector.predict(X)
    assert outlier_roc_auc_scorer(detector, X, y) == roc_auc_score(y == -1, scores)
    assert outlier_average_precision_scorer(detector, X, y) == average_precision_score(
        y == -1, scores
    )
    assert outlier_f1_scorer(detector, X, y) == f1_score(y == -1, labels == -1)


def test_built_in_scorers_mislead_where_these_do_not():
    """The reason for the module: noise scores 0.98 with "f1", and 0.03 here."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1000, 3)), np.r_[np.ones(980), -np.ones(20)]
    detector = IsolationForest(contamination=0.02, **SMALL_FOREST).fit(X)
    results = cross_validate(detector, X, y, scoring="f1", cv=NoveltyKFold(3))
    assert results["test_score"].min() > 0.95
    results = cross_validate(
        detector, X, y, scoring=outlier_f1_scorer, cv=NoveltyKFold(3)
    )
    assert results["test_score"].max() < 0.3


@pytest.mark.parametrize("name", SCORERS)
@pytest.mark.parametrize(
    "labels", [[0, 1], [True, False], [-1, 0], [1, 2], ["in", "out"], [np.nan, 1.0]]
)
def test_other_labels_are_refused_with_the_way_to_convert(name, labels, labelled):
    X, _ = labelled
    detector = IsolationForest(**SMALL_FOREST).fit(X)
    y = np.array(labels, dtype=object if isinstance(labels[0], str) else None)[
        np.arange(len(X)) % 2
    ]
    with pytest.raises(ValueError, match=r"\+1 for inliers and -1 for outliers.*where"):
        SCORERS[name](detector, X, y)


def test_labels_may_be_floats_lists_and_series(labelled):
    import pandas as pd

    X, y = labelled
    detector = IsolationForest(**SMALL_FOREST).fit(X)
    expected = outlier_roc_auc_scorer(detector, X, y)
    for labels in (y.astype(float), y.tolist(), pd.Series(y), y.astype(object)):
        assert outlier_roc_auc_scorer(detector, X, labels) == expected


def test_scorers_serve_searches_validation_and_importances(labelled):
    X, y = labelled
    search = GridSearchCV(
        IsolationForest(**SMALL_FOREST),
        {"max_features": [1, 6]},
        scoring=SCORERS | {"cost": AlarmCost(missed=5)},
        refit="average_precision",
        cv=NoveltyKFold(3),
    ).fit(X, y)
    for name in [*SCORERS, "cost"]:
        assert np.isfinite(search.cv_results_[f"mean_test_{name}"]).all()
    result = permutation_importance(
        search.best_estimator_, X, y, scoring=outlier_roc_auc_scorer, random_state=0
    )
    assert result.importances_mean.max() > 0


def test_a_search_reports_refused_labels(labelled):
    X, y = labelled
    search = GridSearchCV(
        IsolationForest(**SMALL_FOREST),
        {},
        scoring=outlier_f1_scorer,
        error_score="raise",
    )
    with pytest.raises(ValueError, match=r"np\.where"):
        search.fit(X, (y == -1).astype(int))


def test_any_metric_makes_a_scorer(labelled):
    X, y = labelled
    detector = IsolationForest(contamination=0.1, **SMALL_FOREST).fit(X)
    labels, decisions = detector.predict(X) == -1, detector.decision_function(X)
    scorer = make_outlier_scorer(fbeta_score, response_method="predict", beta=2)
    assert scorer(detector, X, y) == fbeta_score(y == -1, labels, beta=2)
    scorer = make_outlier_scorer(
        precision_score, response_method="predict", greater_is_better=False
    )
    assert scorer(detector, X, y) == -precision_score(y == -1, labels)

    def highest(y_true, y_score):
        assert set(y_true) == {0, 1}
        return y_score.max()

    scorer = make_outlier_scorer(highest, response_method="decision_function")
    assert scorer(detector, X, y) == -decisions.min()


@pytest.mark.parametrize("kernel", ["gaussian", "tophat"])
def test_densities_have_scores_too(kernel, labelled):
    X, y = labelled
    density = KernelDensity(kernel=kernel).fit(X[:300])
    with np.errstate(divide="ignore"):
        assert outlier_roc_auc_scorer(density, X, y) > 0.5


def test_other_predictions_are_refused(labelled):
    X, y = labelled
    with pytest.raises(ValueError, match="predictions must hold"):
        outlier_f1_scorer(GaussianMixture(2, random_state=0).fit(X), X, y)


def test_labels_are_needed(labelled):
    X, _ = labelled
    with pytest.raises(ValueError, match="y is needed"):
        outlier_f1_scorer(IsolationForest(**SMALL_FOREST).fit(X), X, None)


def test_sample_weight_reaches_the_metric(labelled):
    X, y = labelled
    detector = IsolationForest(**SMALL_FOREST).fit(X)
    weight = np.random.default_rng(0).random(len(y))
    assert outlier_roc_auc_scorer(
        detector, X, y, sample_weight=weight
    ) == roc_auc_score(y == -1, -detector.score_samples(X), sample_weight=weight)


def test_scorers_and_costs_can_be_pickled():
    for thing in [*SCORERS.values(), AlarmCost(missed=5)]:
        assert repr(pickle.loads(pickle.dumps(thing))) == repr(thing)


def test_misuse_of_make_outlier_scorer_is_refused():
    with pytest.raises(TypeError, match="scorer itself"):
        make_outlier_scorer(AlarmCost())
    with pytest.raises(TypeError, match="callable"):
        make_outlier_scorer("roc_auc")
    with pytest.raises(ValueError, match="'predict'"):
        make_outlier_scorer(f1_score, response_method="predict_proba")


def brute_force_cost(y, alarm, false_alarm, missed, tolerance):
    """The definition, word by word."""
    total, rows = 0, range(len(y))
    for i in rows:
        near = [j for j in rows if abs(i - j) <= tolerance]
        if alarm[i] and not any(y[j] == -1 for j in near):
            total += false_alarm
        if y[i] == -1 and not any(alarm[j] for j in near):
            total += missed
    return total


def test_costs_equal_brute_force_on_a_thousand_cases():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        n = rng.integers(1, 25)
        y = np.where(rng.random(n) < rng.choice([0, 0.1, 0.5, 1]), -1, 1)
        # Few distinct scores make ties, many make none.
        scores = rng.choice(rng.normal(size=rng.choice([3, 50])), n)
        scores = np.where(rng.random(n) < 0.02, -np.inf, scores)
        parts = rng.integers(0, 6), float(rng.exponential()), int(rng.integers(0, 30))
        cost = AlarmCost(*parts)
        thresholds, costs = cost.curve(y, scores)
        expected = [brute_force_cost(y, scores < t, *parts) for t in thresholds]
        np.testing.assert_allclose(costs, expected)
        labels = np.where(scores < thresholds[len(thresholds) // 2], -1, 1)
        np.testing.assert_allclose(cost.cost(y, labels), expected[len(thresholds) // 2])
        # Every way to separate the scores is there.
        assert {tuple(scores < t) for t in thresholds} >= {
            tuple(scores < s) for s in [*scores, np.inf]
        }


labels = st.lists(st.sampled_from([1, -1]), min_size=1, max_size=30)


@given(labels, st.integers(0, 40), st.integers(0, 40), st.randoms())
def test_laws_of_the_cost(y, tolerance, more, random):
    predicted = [random.choice([1, -1]) for _ in y]
    cost = AlarmCost(2, 3, tolerance)
    assert cost.cost(y, y) == 0
    assert cost.cost(y, predicted) >= AlarmCost(2, 3, tolerance + more).cost(
        y, predicted
    )
    assert cost.cost(y, predicted) == cost.cost(y[::-1], predicted[::-1])
    assert cost.cost(y, np.ones(len(y))) == 3 * y.count(-1)
    if tolerance == 0:
        swapped = AlarmCost(3, 2, 0)
        assert cost.cost(y, predicted) == swapped.cost(predicted, y)


def test_costs_are_those_that_were_asked_for_and_stay():
    cost = AlarmCost()
    assert (cost.false_alarm, cost.missed, cost.tolerance) == (1, 1, 0)
    with pytest.raises(AttributeError):
        cost.missed = 2


def test_the_cost_scores_a_detector(labelled):
    X, y = labelled
    detector = IsolationForest(contamination=0.1, **SMALL_FOREST).fit(X)
    cost = AlarmCost(missed=5)
    assert cost(detector, X, y) == -cost.cost(y, detector.predict(X)) < 0


@pytest.mark.parametrize(
    "parameters",
    [
        {"false_alarm": -1},
        {"missed": np.nan},
        {"missed": "5"},
        {"tolerance": 1.5},
        {"tolerance": -1},
        {"tolerance": True},
        {"tolerance": 10**400},
    ],
)
def test_bad_costs_are_refused(parameters):
    with pytest.raises(ValueError, match=f"{next(iter(parameters))}.*AlarmCost"):
        AlarmCost(**parameters)


def test_bad_labels_and_scores_are_refused():
    cost = AlarmCost()
    with pytest.raises(ValueError, match=r"np\.where\(y == 1"):
        cost.curve([0, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match="y_pred must hold"):
        cost.cost([1, -1], [0, 1])
    with pytest.raises(ValueError, match="NaN for 1 rows"):
        cost.curve([1, -1], [0.1, np.nan])
    with pytest.raises(ValueError, match="inconsistent"):
        cost.curve([1, -1, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match="inconsistent"):
        cost.cost([1, -1, 1], [1, -1])


def test_narrow_numbers_do_not_overflow():
    y = np.ones(700, int)
    y[350] = -1
    alarm = np.ones(700, int)
    alarm[[550, 551]] = -1
    cost = AlarmCost(np.float16(60_000), np.int8(100), tolerance=np.uint8(200))
    assert cost.cost(y, alarm) == 60_000
    assert cost.cost(y, -alarm) == 60_000 * (700 - 401 - 1)
    assert np.isfinite(cost.curve(y, np.arange(700.0))[1]).all()
