import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import false_discovery_control
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderOutlierDetector
from tests.helpers import FEW, slow_but


def auroc(detector, normal, outliers):
    scores = detector.score_samples(np.vstack([normal, outliers]))
    return roc_auc_score([1] * len(normal) + [0] * len(outliers), scores)


SCORES = [
    "cells",
    "columns",
    "combined",
    "joint",
    "latent",
    "learned",
    "mahalanobis",
    "nearest",
    "reconstruction",
    "subsets",
]


@pytest.mark.parametrize("score", SCORES)
def test_outliers_score_lower(score, breast_cancer):
    benign, malignant = breast_cancer
    # The threshold, for which five more networks would be trained, is not looked at.
    detector = AutoencoderOutlierDetector(
        anomaly_score=score, max_iter=20, validation_fraction=0.0, random_state=0
    )
    detector.fit(benign[::2])
    assert auroc(detector, benign[1::2], malignant) > (
        0.85 if score == "latent" else 0.9
    )


@pytest.mark.parametrize("contamination", [0.05, 0.1, 0.5])
def test_contamination_flags_exactly_that_share(contamination, blobs, small):
    rows, _ = blobs
    detector = small(contamination=contamination).fit(rows)
    assert (detector.predict(rows) == -1).sum() == round(contamination * len(rows))


def test_decision_is_score_minus_offset_and_predict_its_sign(blobs, small):
    rows, outliers = blobs
    detector = small().fit(rows)
    X = np.vstack([rows, outliers])
    decision = detector.decision_function(X)
    np.testing.assert_allclose(
        decision, detector.score_samples(X) - detector.offset_, rtol=0, atol=1e-12
    )
    np.testing.assert_array_equal(detector.predict(X), np.where(decision >= 0, 1, -1))
    assert decision.dtype == np.float64


def test_auto_threshold_flags_five_per_cent_of_new_rows(small):
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(4000, 4)), rng.normal(size=(4000, 4))
    flagged = (small().fit(X).predict(new) == -1).mean()
    # Three standard errors of a quantile of 400 held-out rows.
    assert abs(flagged - 0.05) < 3 * np.sqrt(0.05 * 0.95 * (1 / 400 + 1 / 4000))


def test_held_out_rows_never_touch_weights_or_statistics(blobs, small):
    rows, outliers = blobs
    once = small().fit(rows, X_val=outliers)
    twice = small().fit(rows, X_val=outliers * 0.9)
    for name, value in once.weights_.items():
        np.testing.assert_array_equal(value, twice.weights_[name])
    for name, value in once.statistics_.items():
        np.testing.assert_array_equal(value, twice.statistics_[name])
    assert once.offset_ != twice.offset_
    assert len(once.calibration_scores_) == len(outliers)
    np.testing.assert_array_equal(
        once.calibration_scores_, np.sort(once.score_samples(outliers))
    )


def test_default_held_out_rows_never_touch_weights_or_statistics(blobs, small):
    rows, _ = blobs
    once = small().fit(rows)
    held_out = np.random.default_rng(once._seeds[0]).permutation(300)[:30]
    np.testing.assert_array_equal(
        np.sort(once.score_samples(rows[held_out])), once.calibration_scores_
    )
    changed = rows.copy()
    changed[held_out] *= 3
    twice = small().fit(changed)
    for fitted in ("weights_", "statistics_"):
        for name, value in getattr(once, fitted).items():
            np.testing.assert_array_equal(value, getattr(twice, fitted)[name])
    assert once.offset_ != twice.offset_


def test_too_few_validation_rows_are_not_used(blobs, small):
    rows, outliers = blobs
    with pytest.warns(UserWarning, match="X_val has 3 rows, fewer than the 20") as seen:
        detector = small().fit(rows, X_val=outliers[:3])
    assert seen[0].filename == __file__
    assert len(detector.calibration_scores_) == 300


@pytest.mark.slow
@pytest.mark.parametrize(("n_rows", "n_features"), [(30, 4), (100, 30), (180, 8)])
def test_few_rows_calibrate_by_networks_that_have_not_seen_them(n_rows, n_features):
    """Training scores would call every new row an outlier."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(n_features, n_features))
    scaler = StandardScaler()
    X = scaler.fit_transform(rng.normal(size=(n_rows, n_features)) @ mixing)
    new = scaler.transform(rng.normal(size=(500, n_features)) @ mixing)
    detector = AutoencoderOutlierDetector(random_state=0).fit(X)
    assert (detector.predict(new) == -1).mean() < 0.15
    assert (detector.predict(new * 10) == -1).mean() > 0.8
    assert (detector.p_values(new) <= 0.2).mean() < 0.35
    trained_on = AutoencoderOutlierDetector(random_state=0, validation_fraction=0.0)
    trained_on.fit(X)
    np.testing.assert_array_equal(
        trained_on.calibration_scores_, np.sort(trained_on.score_samples(X))
    )


def test_few_rows_hold_nothing_out(small):
    X = np.random.default_rng(0).normal(size=(199, 3))
    detector = small().fit(X)
    assert len(detector.calibration_scores_) == 199
    assert detector.history_["validation_loss"] == []
    more = small().fit(np.vstack([X, X[:1]]))
    assert len(more.calibration_scores_) == 20
    assert len(more.history_["validation_loss"]) == more.n_iter_


def test_history_has_one_entry_for_each_epoch(blobs, small):
    rows, _ = blobs
    detector = small(max_iter=7).fit(rows)
    assert detector.n_iter_ == 7
    assert {len(values) for values in detector.history_.values()} == {7}
    assert all(
        type(v) is float for values in detector.history_.values() for v in values
    )


def test_same_seed_gives_the_same_bits_and_another_seed_others(blobs, small):
    rows, _ = blobs
    one, two, other = (small(random_state=s).fit(rows) for s in (3, 3, 4))
    for name, value in one.weights_.items():
        np.testing.assert_array_equal(value, two.weights_[name])
    np.testing.assert_array_equal(one.score_samples(rows), two.score_samples(rows))
    assert (one.score_samples(rows) != other.score_samples(rows)).any()
    generator = small(random_state=np.random.RandomState(3)).fit(rows)
    np.testing.assert_array_equal(
        one.score_samples(rows), generator.score_samples(rows)
    )


def test_ensemble_averages_different_networks(blobs, small):
    rows, outliers = blobs
    detector = small(n_estimators=3, anomaly_score="learned").fit(rows)
    assert {len(value) for value in detector.weights_.values()} == {3}
    single = small(anomaly_score="learned").fit(rows)
    assert detector.n_parameters_ == 3 * single.n_parameters_
    for name, value in single.weights_.items():
        np.testing.assert_array_equal(detector.weights_[name][0], value[0])
        if name.endswith("kernel"):
            assert (value[0] != detector.weights_[name][1]).any()
    np.testing.assert_array_equal(detector.transform(rows), single.transform(rows))
    assert (detector.reconstruct(rows) != single.reconstruct(rows)).any()
    # What needs no network is there once.
    lengths = {name: len(value) for name, value in detector.statistics_.items()}
    assert lengths["memory"] == lengths["robust_mean"] == lengths["center"] == 1
    assert lengths["columns_edges"] == lengths["subsets_rows"] == 1
    assert lengths["feature_error"] == lengths["view_middle"] == 3
    assert detector.history_.keys() == single.history_.keys()
    assert auroc(detector, rows, outliers) > 0.8


def test_sample_weight_moves_the_model_and_zero_removes_rows(blobs, small):
    rows, outliers = blobs
    both = np.vstack([rows, outliers])
    weight = np.r_[np.ones(len(rows)), np.zeros(len(outliers))]
    without = small().fit(both, sample_weight=weight)
    np.testing.assert_array_equal(
        without.score_samples(both), small().fit(rows).score_samples(both)
    )
    weight[len(rows) :] = 100
    parameters = {"max_iter": 60, "anomaly_score": "reconstruction"}
    heavy = small(**parameters).fit(both, sample_weight=weight)
    light = small(**parameters).fit(both)
    assert heavy.score_samples(outliers).mean() > light.score_samples(outliers).mean()
    assert heavy.score_samples(rows).mean() < light.score_samples(rows).mean()


def test_warm_start_continues(blobs, small):
    rows, _ = blobs
    detector = small(warm_start=True, n_estimators=2).fit(rows)
    first = {k: v.copy() for k, v in detector.weights_.items()}
    held_out = detector.calibration_scores_
    losses = list(detector.history_["loss"])
    detector.fit(rows)
    assert detector.n_iter_ == 10
    assert detector.history_["loss"][:5] == losses
    assert min(detector.history_["loss"][5:]) < min(losses)
    assert all((first[k] != v).any() for k, v in detector.weights_.items())
    # The same rows stay held out, however often training continues.
    assert len(detector.calibration_scores_) == len(held_out)

    with pytest.raises(ValueError, match=r"'latent_dim' must stay 4\. Got 5"):
        detector.set_params(latent_dim=5).fit(rows)
    detector.set_params(latent_dim=4)
    with pytest.raises(ValueError, match=r"'hidden_layer_sizes' must stay \(16,\)"):
        detector.set_params(hidden_layer_sizes=(8,)).fit(rows)
    with pytest.raises(ValueError, match=r"'n_estimators' must stay 2. Got 3"):
        detector.set_params(hidden_layer_sizes=(16,), n_estimators=3).fit(rows)
    cold = small().fit(rows)
    assert cold._optimizer_leaves is None
    assert cold.fit(rows).n_iter_ == 5


def test_warm_start_continues_any_fit(blobs, small):
    rows, _ = blobs
    detector = small().fit(rows)
    assert detector.set_params(warm_start=True).fit(rows).n_iter_ == 10
    # Another optimiser starts with a state of its own.
    assert detector.set_params(optimizer="sgd").fit(rows).n_iter_ == 15
    detector.set_params(warm_start=False, latent_dim=6).fit(rows)
    assert detector.set_params(warm_start=True).fit(rows).n_iter_ == 10
    assert np.isfinite(detector.score_samples(rows)).all()


def test_calibrate_moves_the_threshold_only(blobs, small):
    rows, _ = blobs
    detector = small().fit(rows)
    scores = detector.score_samples(rows)
    assert detector.calibrate(rows, contamination=0.2) is detector
    assert (detector.predict(rows) == -1).mean() == pytest.approx(0.2)
    np.testing.assert_array_equal(detector.calibration_scores_, np.sort(scores))
    detector.calibrate(threshold=-1.25)
    assert detector.offset_ == -1.25
    detector.calibrate(rows, false_positive_rate=0.1)
    assert (scores < detector.offset_).mean() <= 0.1
    np.testing.assert_array_equal(detector.score_samples(rows), scores)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "exactly one of .* Got none"),
        ({"contamination": 0.1, "threshold": 0.0}, "Got contamination, threshold"),
        ({"contamination": 0.6}, "'contamination' parameter .* Got 0.6"),
        ({"false_positive_rate": 0.0}, "'false_positive_rate' parameter .* Got 0.0"),
        ({"false_positive_rate": 1e-3}, "at least 999 calibration rows"),
        ({"threshold": np.nan}, "'threshold' parameter .* Got nan"),
        ({"threshold": "low"}, "'threshold' parameter .* Got 'low'"),
    ],
)
def test_calibrate_refuses_nonsense(keywords, message, blobs, small):
    rows, _ = blobs
    with pytest.raises(ValueError, match=message):
        small().fit(rows).calibrate(**keywords)


def test_p_values_are_valid_for_new_rows_and_small_for_outliers(small):
    rng = np.random.default_rng(0)
    detector = small(max_iter=30).fit(rng.normal(size=(4000, 3)))
    p_values = detector.p_values(rng.normal(size=(4000, 3)))
    for level in (0.05, 0.2, 0.5):
        spread = 3 * np.sqrt(level * (1 - level) * (1 / 400 + 1 / 4000))
        assert (p_values <= level).mean() < level + spread
    outliers = detector.p_values(rng.normal(size=(20, 3)) + 20)
    assert (outliers == 1 / 401).all()
    both = np.concatenate([p_values[:100], outliers])
    assert (false_discovery_control(both)[100:] < 0.1).all()


def test_codes_and_reconstructions_fit_together(blobs, small):
    rows, _ = blobs
    detector = small().fit(rows)
    codes = detector.transform(rows)
    assert codes.shape == (300, 4)
    assert codes.dtype == np.float64
    single = rows.astype(np.float32)
    assert detector.transform(single).dtype == np.float32
    assert detector.transform(single.tolist()).dtype == np.float64
    np.testing.assert_allclose(
        detector.inverse_transform(codes),
        detector.reconstruct(rows),
        rtol=1e-4,
        atol=1e-5,
    )
    with pytest.raises(ValueError, match=r"Z must have 4 columns.* Got 6"):
        detector.inverse_transform(rows)
    names = detector.get_feature_names_out()
    assert list(names) == [f"autoencoderoutlierdetector{i}" for i in range(4)]
    frame = small().set_output(transform="pandas").fit(rows).transform(rows)
    assert list(frame.columns) == list(names)


def test_tampered_features_lead_the_explanation(blobs):
    rows, _ = blobs
    frame = pd.DataFrame(rows, columns=list("abcdef"))
    detector = AutoencoderOutlierDetector(random_state=0).fit(frame)
    rng = np.random.default_rng(0)
    columns = rng.integers(0, 6, size=100)
    tampered = frame.iloc[:100].copy()
    tampered.values[:]
    values = tampered.to_numpy(copy=True)
    values[np.arange(100), columns] += 8
    tampered = pd.DataFrame(values, columns=frame.columns)
    explained = detector.explain(tampered, n_features=2)
    first = [row[0][0] for row in explained]
    assert (
        np.mean([name == "abcdef"[j] for name, j in zip(first, columns, strict=True)])
        > 0.9
    )
    assert all(len(row) == 2 and row[0][1] >= row[1][1] for row in explained)
    assert len(detector.explain(tampered.iloc[:1], n_features=50)[0]) == 6
    with pytest.raises(ValueError, match=r"'n_features' parameter .* Got 0"):
        detector.explain(tampered, n_features=0)


def test_explanations_of_arrays_name_columns_by_number(blobs, small):
    rows, _ = blobs
    names = [name for name, _ in small().fit(rows).explain(rows[:1], 6)[0]]
    assert sorted(names) == [f"x{i}" for i in range(6)]


def test_feature_errors_are_one_on_average_and_keep_the_frame(blobs, small):
    rows, _ = blobs
    # All rows train where the score needs no others.
    parameters = {"validation_fraction": 0.0, "anomaly_score": "reconstruction"}
    plain = small(**parameters).fit(rows).feature_errors(rows)
    np.testing.assert_allclose(plain.mean(axis=0), 1, rtol=1e-3)
    frame = pd.DataFrame(rows, columns=list("abcdef"), index=np.arange(300) * 2)
    errors = small().fit(frame).feature_errors(frame)
    assert list(errors.columns) == list("abcdef")
    pd.testing.assert_index_equal(errors.index, frame.index)
    polars = pl.DataFrame(rows, schema=list("abcdef"))
    other = small().fit(polars).feature_errors(polars)
    assert isinstance(other, pl.DataFrame)
    np.testing.assert_allclose(other.to_numpy(), errors.to_numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    "columns",
    [None, [0.5, 1.5, 2, 3, 4, 5], [("a", i) for i in range(6)]],
)
def test_feature_errors_keep_any_names_of_pandas(columns, blobs, small):
    frame = pd.DataFrame(blobs[0])
    if columns is not None:
        frame.columns = columns
    errors = small().fit(frame).feature_errors(frame)
    pd.testing.assert_index_equal(errors.columns, frame.columns)


@pytest.mark.slow
def test_score_prefers_the_better_denoiser_and_not_the_identity(breast_cancer):
    benign, malignant = breast_cancer
    train, test = benign[::2], benign[1::2]
    trained = AutoencoderOutlierDetector(random_state=0).fit(train)
    short = AutoencoderOutlierDetector(random_state=0, max_iter=2).fit(train)
    identity = AutoencoderOutlierDetector(
        hidden_layer_sizes=(),
        latent_dim=30,
        activation="identity",
        corruption=None,
        random_state=0,
        learning_rate=0.01,
    ).fit(train)
    assert trained.score(test) > short.score(test)
    assert trained.score(test) > identity.score(test)
    assert trained.score(test, y=np.ones(len(test))) == trained.score(test) <= 0
    some = np.vstack([test, malignant[:20]])
    assert abs(trained.score(some) / trained.score(test) - 1) < 0.3


def test_summary_counts_layers(small):
    X = np.random.default_rng(0).normal(size=(30, 29))
    detector = small(hidden_layer_sizes=(500,), latent_dim=16, max_iter=1).fit(X)
    text = detector.summary()
    for number in ("15,000", "8,016", "8,500", "14,529", "46,045"):
        assert number in text
    assert detector.n_parameters_ == 46_045


def test_verbose_prints_progress_and_silence_is_the_default(blobs, small, capsys):
    rows, _ = blobs
    small(max_iter=40).fit(rows)
    assert capsys.readouterr().out == ""
    small(max_iter=40, verbose=1).fit(rows)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert "epoch 40/40, loss" in lines[-1] and "validation loss" in lines[-1]
    small(max_iter=40, verbose=2).fit(rows)
    assert len(capsys.readouterr().out.splitlines()) == 40


CONTAINERS = {
    "float32": lambda X: X.astype(np.float32),
    "fortran": np.asfortranarray,
    "list": lambda X: X.tolist(),
    "pandas": lambda X: pd.DataFrame(X, columns=list("abcdef")),
    "polars": lambda X: pl.DataFrame(X, schema=list("abcdef")),
    "csr": sparse.csr_array,
    "csr_matrix": sparse.csr_matrix,
    "csc": sparse.csc_array,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_give_the_scores_of_a_float_array(name, blobs, small):
    rows, _ = blobs
    rows = rows.astype(np.float32).astype(np.float64)
    X = CONTAINERS[name](rows)
    expected = small().fit(rows)
    detector = small().fit(X)
    np.testing.assert_array_equal(
        detector.score_samples(X), expected.score_samples(rows)
    )
    assert detector.score(X) == expected.score(rows)


def test_read_only_memory_map(blobs, small, tmp_path):
    rows, _ = blobs
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    expected = small().fit(rows).score_samples(rows)
    np.testing.assert_array_equal(small().fit(mapped).score_samples(mapped), expected)


def test_jax_arrays_in_numpy_out(blobs, small):
    import jax.numpy as jnp

    rows, _ = blobs
    detector = small().fit(jnp.asarray(rows))
    scores = detector.score_samples(jnp.asarray(rows))
    assert type(scores) is np.ndarray and scores.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.int64, np.int8, bool, np.float16])
def test_integers_and_booleans(dtype, small):
    X = np.random.default_rng(0).integers(0, 2, size=(60, 4)).astype(dtype)
    expected = small().fit(X.astype(float)).score_samples(X.astype(float))
    np.testing.assert_array_equal(small().fit(X).score_samples(X), expected)


def ugly(name):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    return {
        "two rows": X[:2],
        "two equal rows": np.ones((2, 3)),
        "one column": X[:, :1],
        "fewer rows than a batch": X[:9],
        "constant column": np.column_stack([X, np.full(80, 3.0)]),
        "all constant": np.full((80, 3), 7.0),
        "duplicated columns": np.column_stack([X, X, X]),
        "duplicated rows": np.repeat(X[:2], 40, axis=0),
        "more columns than rows": rng.normal(size=(5, 60)),
    }[name]


# The quick ones hold all views.
@pytest.mark.parametrize("score", slow_but(("learned", "combined", "elbo"), SCORES))
@pytest.mark.parametrize(
    "name",
    [
        "two rows",
        "two equal rows",
        "one column",
        "fewer rows than a batch",
        "constant column",
        "all constant",
        "duplicated columns",
        "duplicated rows",
        "more columns than rows",
    ],
)
def test_ugly_tables_give_finite_scores(name, score, small):
    X = ugly(name)
    detector = small(anomaly_score=score).fit(X)
    for rows in (X, X + 1, -1e6 * X):
        assert np.isfinite(detector.score_samples(rows)).all()
        assert np.isfinite(detector.feature_errors(rows)).all()
    assert np.isfinite(detector.offset_)


@pytest.mark.filterwarnings("ignore:Column")
@pytest.mark.parametrize(
    "scale", slow_but([(1e-12, 1e12)], [1e-12, 1e12, (1e-12, 1e12)])
)
def test_columns_of_extreme_scale_give_finite_scores(scale, small):
    X = np.random.default_rng(0).normal(size=(80, 2)) * scale
    for score in SCORES:
        detector = small(anomaly_score=score).fit(X)
        far = detector.score_samples(1e6 * X)
        assert np.isfinite(far).all()
        assert np.isfinite(detector.score_samples(X)).all()
        if score == "learned":
            assert far.max() < detector.score_samples(X).min()


def test_a_column_of_odd_scale_warns_once(small):
    X = np.random.default_rng(0).normal(size=(80, 3)) * [1, 1e3, 1e-3]
    with pytest.warns(
        UserWarning, match=r"Column 1 \(and 1 more\).*StandardScaler"
    ) as seen:
        small().fit(X)
    frame = pd.DataFrame(X, columns=["a", "metres", "b"])
    with pytest.warns(UserWarning, match="Column metres"):
        make_pipeline(small()).fit(frame)
    assert len(seen) == 1
    assert seen[0].filename == __file__


@FEW
@given(
    n_rows=st.integers(2, 40),
    exponent=st.floats(-3, 3),
    seed=st.integers(0, 100),
)
def test_any_small_table_gives_finite_consistent_results(n_rows, exponent, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_t(1.5, size=(n_rows, 3)) * 10**exponent
    X = np.round(X, 1)
    detector = AutoencoderOutlierDetector(
        hidden_layer_sizes=(8,), latent_dim=2, max_iter=2, random_state=0
    )
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Column")
        detector.fit(X)
    scores = detector.score_samples(X)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(
        detector.predict(X), np.where(scores - detector.offset_ >= 0, 1, -1)
    )
    p_values = detector.p_values(X)
    assert ((p_values > 0) & (p_values <= 1)).all()


HOSTILE = {
    "NaN": ([[1.0, np.nan], [1.0, 2.0]], ValueError, "NaN"),
    "infinity": ([[1.0, np.inf], [1.0, 2.0]], ValueError, "infinity"),
    "no rows": (np.empty((0, 2)), ValueError, "0 sample"),
    "no columns": (np.empty((3, 0)), ValueError, "0 feature"),
    "one row": ([[1.0, 2.0]], ValueError, "1 sample"),
    "one dimension": ([1.0, 2.0], ValueError, "Expected 2D array"),
    "three dimensions": (np.ones((2, 2, 2)), ValueError, "dim 3"),
    "complex": (np.array([[1j, 2.0], [1.0, 2.0]]), ValueError, "Complex data"),
    "list of complex": ([[1j, 2.0], [1.0, 2.0]], TypeError, "complex"),
    "strings": ([["a", "b"], ["c", "d"]], ValueError, "Column 0 .*text"),
    "dictionaries": ([[{}, 1], [{}, 2]], (TypeError, ValueError), "dict"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_rows_are_refused(name, small):
    X, error, message = HOSTILE[name]
    with pytest.raises(error, match=message):
        small().fit(X)


def test_wrong_width_and_unfitted_use_are_refused(blobs, small):
    rows, _ = blobs
    with pytest.raises(NotFittedError):
        small().score_samples(rows)
    with pytest.raises(NotFittedError):
        small().calibrate(threshold=0)
    with pytest.raises(NotFittedError):
        small().summary()
    detector = small().fit(rows)
    with pytest.raises(ValueError, match=r"X has 5 features, but .* expecting 6"):
        detector.score_samples(rows[:, :5])
    with pytest.raises(ValueError, match="X has 5 features"):
        small().fit(rows, X_val=rows[:, :5])


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(300), "non-zero"),
        (-np.ones(300), "Negative values in sample_weight"),
        (np.ones(299), "sample_weight .* the 300 rows. Got 299"),
        (np.ones((300, 1)), "1D array"),
        (2.0, r"must be 1D array\. Got 2\.0"),
        (np.full(300, np.nan), "NaN"),
        (np.eye(300)[7], "at least 2 rows of positive weight. Got 1"),
    ],
)
def test_bad_sample_weights_are_refused(weight, message, blobs, small):
    rows, _ = blobs
    with pytest.raises(ValueError, match=message):
        small().fit(rows, sample_weight=weight)


BAD = {
    "network": ["lstm", None, 3],
    "input_shape": [(0, 1), 5, (2.5, 1), "28x28"],
    "hidden_layer_sizes": [(0,), (1.5,), 5, "64", None, (True,), [[4]]],
    "latent_dim": [0, -1, 2.5, "2", None, True, np.inf],
    "decoder_layer_sizes": [(0,), 5],
    "activation": ["swish", None, 3],
    "output_activation": ["linear", None],
    "dropout": [-0.1, 1.0, "0", None, np.nan],
    "bottleneck": ["narrow", None, 1],
    "beta": [0, -1, np.inf, None, "1"],
    "corruption": ["noise", 0.1],
    "corruption_scale": [0, -1, (1.0, 0.5), (0.1,), (0, 1), "a", None, (0.1, np.inf)],
    "loss": ["mse", None],
    "alpha": [-1, np.nan, None],
    "l1_weights": [-1, None],
    "l1_activity": [-1e-9, "x"],
    "l2_activity": [-1, np.inf],
    "sparsity": [-0.1, None, True],
    "sparsity_target": [0, 1, -0.5, "low", None],
    "contraction": [-1, np.nan],
    "missing": ["drop", None, np.nan],
    "optimizer": ["adagrad", None],
    "weight_decay": [-1, None],
    "learning_rate": [0, -1, np.inf, None],
    "learning_rate_schedule": ["linear", None],
    "batch_size": [0, 1.5, "auto", None],
    "max_iter": [0, 2.5, "many", None],
    "early_stopping": ["yes", 1, None],
    "validation_fraction": [1.0, -0.1, None],
    "n_iter_no_change": [0, None],
    "tol": [-1, None],
    "warm_start": [None, "no"],
    "n_estimators": [0, 1.5, None],
    "anomaly_score": ["mse", None],
    "trim": [-0.1, 0.5, "all", None, np.nan],
    "contamination": [0, 0.51, "none", None, -0.1, np.nan],
    "verbose": [-1, "loud", None],
    "device": [3],
}


def test_every_parameter_has_a_bad_value_here():
    checked = set(AutoencoderOutlierDetector().get_params()) - {"random_state"}
    assert set(BAD) == checked


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD.items() for value in values],
)
def test_bad_parameters_are_refused_by_name_value_and_range(name, value, small):
    X = np.ones((5, 2))
    with pytest.raises(ValueError) as caught:
        small(**{name: value}).fit(X)
    message = str(caught.value)
    assert f"The {name!r} parameter of AutoencoderOutlierDetector must be" in message
    assert f"Got {value!r} instead." in message


def test_numpy_parameters_work(blobs, small):
    rows, _ = blobs
    plain = small(hidden_layer_sizes=(8,), learning_rate=0.01).fit(rows)
    numpy = small(
        hidden_layer_sizes=np.array([8]),
        latent_dim=np.int64(4),
        learning_rate=np.float64(0.01),
        batch_size=np.int32(128),
        warm_start=np.bool_(False),
    ).fit(rows)
    np.testing.assert_array_equal(plain.score_samples(rows), numpy.score_samples(rows))
    assert clone(numpy).get_params()["latent_dim"] == 4


def test_a_pipeline_scores_raw_rows(blobs, small):
    rows, outliers = blobs
    pipeline = make_pipeline(StandardScaler(), small(max_iter=50)).fit(rows * 1e3)
    assert auroc(pipeline, rows * 1e3, outliers * 1e3) > 0.8
    assert set(np.unique(pipeline.predict(outliers * 1e3))) <= {-1, 1}


@pytest.fixture
def contaminated(breast_cancer):
    """Benign rows with malignant ones among them, and where these are."""
    benign, malignant = breast_cancer
    rows = np.r_[benign, malignant[:60]]
    order = np.random.default_rng(0).permutation(len(rows))
    return rows[order], (np.arange(len(rows)) >= len(benign))[order]


def test_trimming_finds_outliers_among_the_training_rows(contaminated):
    rows, is_outlier = contaminated
    found = {}
    for trim in (0.0, 0.25):
        detector = AutoencoderOutlierDetector(trim=trim, max_iter=30, random_state=0)
        scores = -detector.fit(rows).score_samples(rows)
        found[trim] = average_precision_score(is_outlier, scores)
    assert found[0.25] > found[0.0] + 0.05


@pytest.mark.parametrize("trim", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_contamination_counts_trimmed_rows_too(trim, is_sparse, contaminated, small):
    rows, _ = contaminated
    rows = sparse.csr_matrix(rows) if is_sparse else rows
    detector = small(
        trim=trim,
        contamination=0.2,
        validation_fraction=0.0,
        anomaly_score="learned",
    ).fit(rows)
    assert (detector.predict(rows) == -1).mean() == pytest.approx(0.2, abs=0.005)
    n_trusted = round((1 - trim) * rows.shape[0])
    assert detector.statistics_["memory"].shape[1] == n_trusted


def test_trimming_leaves_far_rows_out_of_everything_that_is_learnt(blobs, small):
    rows, _ = blobs
    outliers = 30 * np.random.default_rng(0).normal(size=(20, 6))
    both = np.r_[rows, outliers]
    trim = 20 / len(both)
    first, second = (
        small(trim=trim, validation_fraction=0.0).fit(np.r_[rows, factor * outliers])
        for factor in (1, 10)
    )
    np.testing.assert_array_equal(first.score_samples(rows), second.score_samples(rows))
    np.testing.assert_allclose(
        first.statistics_["center"][0], rows.mean(axis=0), atol=1e-5
    )


def test_trimming_works_with_few_rows_and_equal_rows(small):
    rng = np.random.default_rng(0)
    for rows in (rng.normal(size=(4, 3)), np.ones((30, 3)), rng.normal(size=(60, 2))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = small(trim=0.49).fit(rows).score_samples(rows)
        assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"sparsity": 0.1}, "'activation' .* 'sigmoid' with sparsity > 0. Got 'gelu'"),
        (
            {"loss": "binary_cross_entropy"},
            "'output_activation' .* 'sigmoid' with loss='binary_cross_entropy'",
        ),
        (
            {"corruption": "masking", "corruption_scale": 1.5},
            "a share of the cells, at most 1, with corruption='masking'. Got 1.5",
        ),
        (
            {"corruption": "swap", "corruption_scale": (0.5, 1.1)},
            r"corruption='swap'. Got \(0.5, 1.1\)",
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused(parameters, message, blobs, small):
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(blobs[0])


def test_cross_entropy_wants_probabilities_to_train_on_and_scores_anything(
    blobs, small
):
    rows, outliers = blobs
    rows = (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)
    detector = small(
        loss="binary_cross_entropy",
        output_activation="sigmoid",
        anomaly_score="reconstruction",
        max_iter=60,
    )
    with pytest.raises(ValueError, match=r"X has values from 0 to 2: put a MinMaxSc"):
        detector.fit(2 * rows)
    with pytest.raises(ValueError, match="X_val has values from -1 to"):
        detector.fit(rows, X_val=rows - 1)
    detector.fit(rows)
    assert detector.history_["loss"][-1] < detector.history_["loss"][0]
    assert (detector.score_samples(rows + 2) < detector.score_samples(rows)).all()
    assert np.isfinite(detector.score_samples(1e6 * outliers)).all()


TEXTS = {
    "objects": (np.array([["a", 1.0], ["b", 2.0]], dtype=object), "Column 0 .*'a'"),
    "frame": (
        pd.DataFrame({"n": [1.0, 2.0], "colour": ["red", "blue"]}),
        "Column 'colour' .*'red'.*OneHotEncoder",
    ),
    "polars": (pl.DataFrame({"n": [1.0], "m": ["x"]}), "Column 'm' .*'x'"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_refused_with_its_column(name, small):
    table, message = TEXTS[name]
    with pytest.raises(ValueError, match=message):
        small().fit(table)


@pytest.mark.parametrize(
    ("X_val", "message"),
    [
        (np.full((30, 6), np.nan), "X_val is refused.* NaN"),
        (np.zeros((30, 2)), "X_val is refused.* 2 features"),
        (np.full((30, 6), np.inf), "X_val is refused.* infinity"),
    ],
)
def test_bad_rows_held_out_are_named(X_val, message, blobs, small):
    rows, _ = blobs
    with pytest.raises(ValueError, match=message):
        small().fit(rows, X_val=X_val)


def test_unscaled_rows_held_out_are_reported(blobs, small):
    rows, _ = blobs
    with pytest.warns(UserWarning, match="300 of 300 rows of X_val .*transform_input"):
        small().fit(rows, X_val=100 + 20 * rows)
    raw = 100 + 20 * rows
    with config_context(enable_metadata_routing=True):
        detector = small().set_fit_request(X_val=True)
        pipeline = make_pipeline(
            StandardScaler(), detector, transform_input=["X_val"]
        ).fit(raw[:200], X_val=raw[200:])
    flagged = pipeline.predict(raw + 15 * raw.std(axis=0)) == -1
    assert flagged.mean() > 0.9


@pytest.mark.parametrize("n_rows", [20, 100, 199, 300])
@pytest.mark.parametrize("value", [0.0, 5.0, -1e300])
def test_rows_that_are_all_the_same_are_all_normal(n_rows, value, small):
    X = np.full((n_rows, 3), value)
    detector = small(anomaly_score="learned", max_iter=2).fit(X)
    assert (detector.predict(X) == 1).all()
    assert detector.p_values(X).min() > 0.1


def test_methods_that_are_not_there_say_why(blobs, small):
    rows, _ = blobs
    with pytest.raises(AttributeError, match="sample needs codes with a prior"):
        small().fit(rows).sample()
    with pytest.raises(AttributeError, match=r"'trim' must be 'auto' or 0\. Got 0\.1"):
        small(trim=0.1).partial_fit(rows)
    assert not hasattr(small(trim=0.1), "partial_fit")
    assert "one pass" in AutoencoderOutlierDetector.partial_fit.__doc__


def test_a_search_warns_of_labels_the_wrong_way_round(blobs, small):
    rows, outliers = blobs
    X = np.r_[rows[:60], outliers[:6]]
    y = np.r_[np.zeros(60, int), np.ones(6, int)]
    order = np.random.default_rng(0).permutation(66)
    search = GridSearchCV(small(), {"latent_dim": [2]}, scoring="roc_auc", cv=2)
    with pytest.warns(UserWarning, match="y holds 0 and 1"):
        search.fit(X[order], y[order])
    small().fit(X, y)
    search.fit(X[order], np.where(y[order] == 1, -1, 1))


def test_what_must_stay_is_named_by_who_wants_it(blobs, small):
    rows, _ = blobs
    detector = small(warm_start=True).fit(rows)
    detector.set_params(latent_dim=7)
    with pytest.raises(
        ValueError, match=r"warm_start=True .* 'latent_dim' must stay 4"
    ):
        detector.fit(rows)
    with pytest.raises(ValueError, match=r"partial_fit .* 'latent_dim' must stay 4"):
        detector.partial_fit(rows)


def test_unlike_weights_leave_finite_scores(blobs, small):
    rows, _ = blobs
    for weight in (1e30, 1e300):
        of_rows = np.ones(100)
        of_rows[3] = weight
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            detector = small(anomaly_score="learned").fit(rows[:100], None, of_rows)
        assert np.isfinite(detector.score_samples(rows)).all()
        assert np.isfinite(detector.offset_)
