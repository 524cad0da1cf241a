"""Whole Pipelines and searches round trip through skops with our list alone."""

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import metrics
from skae.io import TRUSTED_TYPES
from skae.model_selection import (
    FalseAlarmRate,
    FBeta,
    NoveltyKFold,
    NoveltySplit,
    RecallAtPrecision,
    TunedThresholdDetector,
)


@pytest.fixture
def labelled(blobs):
    rows, outliers = blobs
    X = np.vstack([rows[:100], outliers[:20]])
    y = np.repeat([1, -1], [100, 20])
    order = np.random.default_rng(0).permutation(120)
    return X[order], y[order]


def round_trip(estimator):
    return skops.io.loads(skops.io.dumps(estimator), trusted=TRUSTED_TYPES)


def test_a_pipeline_of_mixed_columns(small):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"size": rng.normal(size=80), "kind": rng.choice(["a", "b"], size=80)}
    )
    encode = make_column_transformer(
        (StandardScaler(), ["size"]), (OneHotEncoder(), ["kind"])
    )
    pipeline = make_pipeline(encode, small()).fit(frame)
    np.testing.assert_array_equal(
        round_trip(pipeline).score_samples(frame), pipeline.score_samples(frame)
    )


@pytest.mark.parametrize(
    "objective",
    [
        metrics.AlarmCost(missed=5),
        FBeta(2),
        FalseAlarmRate(0.1),
        RecallAtPrecision(0.5),
    ],
)
@pytest.mark.parametrize("cv", [NoveltyKFold(3), NoveltySplit(KFold(3))])
def test_tuned_thresholds(objective, cv, labelled, small):
    X, y = labelled
    tuned = TunedThresholdDetector(small(max_iter=1), objective=objective, cv=cv)
    loaded = round_trip(tuned.fit(X, y))
    np.testing.assert_array_equal(loaded.predict(X), tuned.predict(X))


@pytest.mark.parametrize(
    "scorer",
    [
        metrics.outlier_roc_auc_scorer,
        metrics.outlier_average_precision_scorer,
        metrics.outlier_f1_scorer,
        metrics.AlarmCost(),
        None,
    ],
)
def test_searches_with_our_scorers(scorer, labelled, small):
    X, y = labelled
    search = GridSearchCV(
        small(max_iter=1), {"latent_dim": [2]}, scoring=scorer, cv=NoveltyKFold(3)
    ).fit(X, y)
    loaded = round_trip(search)
    np.testing.assert_array_equal(loaded.score_samples(X), search.score_samples(X))
    assert loaded.score(X, y) == search.score(X, y)
