"""Exported models give the library's scores and labels, or are refused by name."""

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.cluster import FeatureAgglomeration
from sklearn.compose import make_column_transformer
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
)

from skae.core.networks import ACTIVATIONS
from skae.core.scores import SCORES
from skae.io import to_onnx
from skae.model_selection import TunedThresholdDetector
from tests.helpers import SMALL_FOREST, slow_but


def run(model, inputs):
    """Labels and scores by ONNX Runtime, as vectors."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    label, scores = session.run(["label", "scores"], inputs)
    assert label.dtype == np.int64
    assert label.shape == scores.shape == (len(label), 1)
    return label[:, 0], scores[:, 0]


def check_equal(estimator, model, X, inputs):
    """Compare with the library, relative to the score or that of a usual new row."""
    label, found = run(model, inputs)
    expected, scores = estimator.decision_function(X), estimator.score_samples(X)
    detector = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    usual = np.median(np.abs(detector.calibration_scores_))
    unit = np.maximum(np.abs(scores), usual)
    # Distances to subsets are differences of products, which lose digits.
    differs = {"cells", "learned", "subsets"} & {detector.fitted_score_}
    tolerance = 1e-4 if differs else 1e-5
    assert np.max(np.abs(found - expected) / unit) < tolerance
    clear = np.abs(expected) > tolerance * unit
    np.testing.assert_array_equal(label[clear], estimator.predict(X)[clear])
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("score", SCORES)
def test_pipelines_of_arrays(score, dtype, blobs, small):
    rows, outliers = (X.astype(dtype) * 3 + 1 for X in blobs)
    detector = small(anomaly_score=score, hidden_layer_sizes=(16, 8))
    pipeline = make_pipeline(StandardScaler(), detector).fit(rows)
    model = to_onnx(pipeline, rows)
    X = np.vstack([outliers, rows, 1000 * outliers, np.full((1, 6), 1e6, dtype)])
    assert check_equal(pipeline, model, X, {"X": X}).dtype == dtype


@pytest.mark.parametrize("score", slow_but(["combined"], SCORES))
def test_ensembles_without_a_pipeline(score, blobs, small):
    rows, outliers = (X.astype(np.float32) for X in blobs)
    detector = small(anomaly_score=score, n_estimators=3).fit(rows)
    check_equal(detector, to_onnx(detector, rows[0:1]), outliers, {"X": outliers})


# One that is a node with a number.
@pytest.mark.parametrize("activation", slow_but(("leaky_relu",), ACTIVATIONS))
def test_activations(activation, blobs, small):
    rows, outliers = blobs
    detector = small(
        activation=activation,
        output_activation=activation,
        anomaly_score="reconstruction",
    ).fit(rows)
    check_equal(detector, to_onnx(detector, rows), outliers, {"X": outliers})


@pytest.mark.slow
@pytest.mark.parametrize(
    "score", slow_but(("joint",), ("joint", "latent", "mahalanobis"))
)
def test_wide_rows_with_covariances_of_low_rank(score, small):
    rng = np.random.default_rng(0)
    width = 1030 if score != "joint" else 1022
    X = rng.normal(size=(120, width)).astype(np.float32)
    latent = 1030 if score == "latent" else 4
    detector = small(anomaly_score=score, latent_dim=latent, max_iter=1).fit(X)
    X = np.vstack([X[:40] * 1.1, 100 * X[:5]])
    check_equal(detector, to_onnx(detector, X), X, {"X": X})


@pytest.fixture(scope="module")
def mixed():
    """A table of numbers with gaps and of two kinds of categories."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "amount": rng.gamma(2.0, size=400),
            "age": rng.integers(18, 80, size=400).astype(float),
            "country": rng.choice(["de", "fr", "Ø"], size=400),
            "shop": rng.choice(["web", "town"], size=400),
        }
    )
    frame.loc[::7, "age"] = np.nan
    return frame


def test_pipelines_of_data_frames(mixed, small):
    encode = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["amount", "age"]),
        (OneHotEncoder(handle_unknown="ignore"), ["country", "shop"]),
        sparse_threshold=0,
    )
    pipeline = make_pipeline(encode, small()).fit(mixed)
    model = to_onnx(pipeline, mixed)
    assert [i.name for i in model.graph.input] == list(mixed.columns)
    test = mixed.head(50).copy()
    test.loc[3, "country"] = "elsewhere"
    test.loc[4, "amount"] = 1e4
    inputs = {name: test[[name]].to_numpy() for name in test}
    check_equal(pipeline, model, test, inputs)


def test_columns_of_several_types_keep_their_digits(small):
    """skl2onnx alone would join them as float32, and rename some."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "second, of 2026": 1_767_225_600 + rng.integers(1000, size=300),
            "clip": rng.normal(size=300) + 1e5,
            "X": rng.normal(size=300),
            "c": rng.normal(size=300).astype(np.float32),
            "f_1": rng.integers(100, size=300).astype(np.int8),
            "f-1": rng.normal(size=300) > 0,
        }
    )
    pipeline = make_pipeline(StandardScaler(), small()).fit(frame)
    model = to_onnx(pipeline, frame)
    assert [i.name for i in model.graph.input] == list(frame)
    inputs = {name: frame[[name]].to_numpy() for name in frame}
    check_equal(pipeline, model, frame, inputs)


@pytest.mark.parametrize("dtype", [np.int64, np.int8])
def test_arrays_of_other_numbers(dtype, small):
    X = np.random.default_rng(0).integers(-100, 100, size=(200, 4)).astype(dtype)
    if dtype == np.int64:
        X += 1_767_225_600
    pipeline = make_pipeline(StandardScaler(), small()).fit(X)
    check_equal(pipeline, to_onnx(pipeline, X), X, {"X": X})


def test_columns_with_names_that_skl2onnx_changes(mixed, small):
    frame = mixed.dropna().rename(columns={"amount": "in €", "shop": "1. shop"})
    encode = make_column_transformer(
        (StandardScaler(), ["in €", "age"]), (OneHotEncoder(), ["country", "1. shop"])
    )
    pipeline = make_pipeline(encode, small()).fit(frame)
    model = to_onnx(pipeline, frame)
    inputs = {i.name: frame[[i.name]].to_numpy() for i in model.graph.input}
    check_equal(pipeline, model, frame, inputs)


def test_copies_of_remembered_rows_score_as_in_the_library(small):
    """Their distance is 0 here and rounding noise there, before a logarithm."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {name: rng.choice(list("pqrs"), size=600) for name in ("a", "b", "c")}
    )
    pipeline = make_pipeline(
        make_column_transformer((OneHotEncoder(), list(frame))), small()
    ).fit(frame)
    inputs = {name: frame[[name]].to_numpy() for name in frame}
    check_equal(pipeline, to_onnx(pipeline, frame), frame, inputs)


def test_wrong_columns_are_refused(blobs, small):
    frame = pd.DataFrame(blobs[0], columns=list("abcdef"))
    detector = small().fit(frame)
    for wrong in (
        frame[list("fedcba")],
        frame[["a"]],
        frame.rename(columns={"a": "z"}),
    ):
        with pytest.raises(ValueError, match="feature"):
            to_onnx(detector, wrong)
    with pytest.raises(ValueError, match=r"1 features, but .* is expecting 6"):
        to_onnx(small().fit(blobs[0]), blobs[0][:, :1])
    named = frame.rename(columns={"a": "label"})
    with pytest.raises(ValueError, match="name of the column 'label'"):
        to_onnx(small().fit(named), named)
    for wrong in (sparse.csr_array(blobs[0]), pl.from_pandas(frame)):
        with pytest.raises(TypeError, match="an array or a pandas data frame"):
            to_onnx(detector, wrong)


def test_empty_steps_are_left_out(blobs, small):
    rows, outliers = blobs
    pipeline = Pipeline([("a", "passthrough"), ("b", None), ("c", small())]).fit(rows)
    check_equal(pipeline, to_onnx(pipeline, rows), outliers, {"X": outliers})


@pytest.mark.slow
@settings(max_examples=4)
@given(
    n_features=st.integers(1, 6),
    latent_dim=st.integers(1, 5),
    n_hidden=st.integers(0, 2),
    score=st.sampled_from(sorted(SCORES)),
    seed=st.integers(0, 100),
)
def test_any_shape(small, n_features, latent_dim, n_hidden, score, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, n_features)) * 10.0 ** rng.integers(-1, 2)
    detector = small(
        hidden_layer_sizes=(5,) * n_hidden,
        latent_dim=latent_dim,
        anomaly_score=score,
        max_iter=2,
    ).fit(X)
    test = np.vstack([rng.normal(size=(30, n_features)) * X.std(), 100 * X])
    check_equal(detector, to_onnx(detector, X), test, {"X": test})


def test_thresholds_and_nan(blobs, small):
    rows, outliers = blobs
    detector = small().fit(rows).calibrate(rows, contamination=0.2)
    X = outliers.copy()
    X[0, 0] = np.nan
    label, scores = run(to_onnx(detector, rows), {"X": X})
    np.testing.assert_array_equal(label[1:], detector.predict(X[1:]))
    assert label[0] == -1
    assert np.isnan(scores[0])


@pytest.mark.parametrize("around", ["pipeline", "nested", "detector"])
def test_tuned_thresholds_are_exported(around, blobs, small):
    rows, outliers = blobs
    X = np.vstack([rows[:150], outliers])
    y = np.repeat([1, -1], [150, len(outliers)])
    pipeline = make_pipeline(StandardScaler(), small())
    tuned = {
        "pipeline": TunedThresholdDetector(pipeline, cv=2),
        "nested": TunedThresholdDetector(make_pipeline(MinMaxScaler(), pipeline), cv=2),
        "detector": make_pipeline(
            StandardScaler(), TunedThresholdDetector(small(), cv=2)
        ),
    }[around]
    tuned.fit(X, y)
    label, scores = run(to_onnx(tuned, X), {"X": X})
    np.testing.assert_array_equal(label, tuned.predict(X))
    np.testing.assert_allclose(scores, tuned.decision_function(X), atol=1e-4)
    inner = (tuned[-1] if around == "detector" else tuned).estimator_
    assert (inner.predict(X) != label).any()


def test_what_cannot_be_exported_is_named(blobs, small):
    rows, _ = blobs
    with pytest.raises(NotFittedError):
        to_onnx(small(), rows)
    with pytest.raises(TypeError, match="Got LogisticRegression"):
        to_onnx(LogisticRegression(), rows)
    with pytest.raises(NotFittedError):
        to_onnx(TunedThresholdDetector(small()), rows)
    with pytest.raises(TypeError, match="Got IsolationForest"):
        to_onnx(TunedThresholdDetector(IsolationForest(**SMALL_FOREST)).fit(rows), rows)
    middle = make_pipeline(small(), small()).fit(rows)
    with pytest.raises(ValueError, match="before the last step"):
        to_onnx(middle, rows)
    inside = make_union(small(), StandardScaler())
    with pytest.raises(ValueError, match="before the last step"):
        to_onnx(make_pipeline(inside, small()).fit(rows), rows)
    unknown = make_pipeline(FeatureAgglomeration(3), small()).fit(rows)
    with pytest.raises(ValueError, match="FeatureAgglomeration"):
        to_onnx(unknown, rows)
    function = make_pipeline(FunctionTransformer(np.tanh), small()).fit(rows)
    with pytest.raises(ValueError, match="A step cannot be exported"):
        to_onnx(function, rows)


def test_gaps_that_cannot_be_filled_are_named(small):
    X = np.random.default_rng(0).normal(size=(60, 3))
    X[::5, 1] = -1.0
    with_gaps = np.where(X == -1, np.nan, X)
    for imputer, given_X in (
        (SimpleImputer(missing_values=-1.0), X),
        (SimpleImputer(add_indicator=True), with_gaps),
    ):
        pipeline = make_pipeline(imputer, small()).fit(given_X)
        with pytest.raises(ValueError, match="SimpleImputer is exported for"):
            to_onnx(pipeline, given_X)


def test_categories_are_filled_too(mixed, small):
    frame = mixed[["shop", "amount", "age"]].dropna()
    frame.loc[::9, "shop"] = "?"
    fill = SimpleImputer(missing_values="?", strategy="most_frequent")
    encode = make_column_transformer(
        (make_pipeline(fill, OneHotEncoder()), ["shop"]),
        (StandardScaler(), ["amount", "age"]),
    )
    pipeline = make_pipeline(encode, small()).fit(frame)
    inputs = {name: frame[[name]].to_numpy() for name in frame}
    check_equal(pipeline, to_onnx(pipeline, frame), frame, inputs)


@pytest.mark.slow
def test_a_hundred_thousand_rows(small):
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(20, 20))
    X = rng.normal(size=(100_000, 20)) @ mixing
    detector = small(hidden_layer_sizes=(256,), latent_dim=128)
    pipeline = make_pipeline(StandardScaler(), detector).fit(X[:20_000])
    model = to_onnx(pipeline, X)
    for start in range(0, len(X), 10_000):
        part = X[start : start + 10_000]
        check_equal(pipeline, model, part, {"X": part})


@pytest.mark.parametrize("bottleneck", ["variational", "adversarial"])
def test_codes_with_a_prior(bottleneck, blobs, small):
    rows, outliers = (X.astype(np.float32) for X in blobs)
    detector = small(bottleneck=bottleneck, anomaly_score="joint").fit(rows)
    model = to_onnx(detector, rows)
    check_equal(detector, model, outliers, {"X": outliers})
