"""Missing cells, ``missing="mask"``: what is observed counts, and nothing else."""

import itertools
import pickle
from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import nan_euclidean_distances
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skae import AutoencoderOutlierDetector
from skae.core import gaussian, memory, networks
from skae.core.corruptions import CORRUPTIONS
from skae.core.losses import LOSSES
from skae.core.objective import objective as objective_of
from skae.core.penalties import PENALTIES
from skae.core.scores import SCORES
from skae.io import load, save, to_onnx
from skae.testing import count_compilations
from tests.helpers import (
    FEW,
    NETWORK,
    bottleneck_for,
    configure,
    features,
    hyperparameters,
    slow_but,
    slow_rows_but,
)

pytestmark = [pytest.mark.filterwarnings("ignore:Column")]


def lose(X, share, seed=0):
    """Lose a share of the cells, but none in the first column."""
    lost = np.random.default_rng(seed).random(X.shape) < share
    lost[:, 0] = False
    return np.where(lost, np.nan, X)


@pytest.fixture(scope="module")
def rows():
    """400 correlated rows, and 100 outliers of the same spread."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 8))
    X = StandardScaler().fit_transform(X + 0.1 * rng.normal(size=(400, 8)))
    return X, rng.permuted(X, axis=0)[:100]


def covariance_of(fitted):
    """Covariance with its ridge, of a Gaussian in full."""
    components = fitted["components"].astype(float)
    return components.T / fitted["precision_root"].astype(float) ** 2 @ components


def marginal_energy(row, covariance):
    """Squared Mahalanobis distance of the observed features over their number."""
    seen = ~np.isnan(row)
    inverse = np.linalg.inv(covariance[np.ix_(seen, seen)])
    return row[seen] @ inverse @ row[seen] / seen.sum()


@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e20])
def test_distance_is_that_of_the_marginal_gaussian(scale):
    rng = np.random.default_rng(0)
    v = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6))
    fitted = gaussian.fit(v, np.ones(300))
    rows = lose(v[:50], 0.4) * scale
    expected = [marginal_energy(row / scale, covariance_of(fitted)) for row in rows]
    distance = gaussian.distance(
        np.nan_to_num(rows).astype(np.float32), fitted, ~np.isnan(rows)
    )
    found = np.square(np.asarray(distance, float) / scale)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    if scale == 1:
        centred = rows + fitted["mean"]
        np.testing.assert_allclose(
            gaussian.energies(centred, fitted), expected, rtol=1e-4
        )


def test_distance_in_a_low_rank_gaussian(monkeypatch):
    rng = np.random.default_rng(0)
    v = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 40)) * 2
    v += 0.5 * rng.normal(size=v.shape)
    monkeypatch.setattr(gaussian, "FULL_COVARIANCE_WIDTH", 30)
    monkeypatch.setattr(gaussian, "LOW_RANK", 5)
    fitted = gaussian.fit(v, np.ones(500))
    components = fitted["components"].astype(float)
    rest = np.eye(40) - components.T @ components
    covariance = covariance_of(fitted) + rest / float(fitted["rest_root"]) ** 2
    rows = lose(v[:30], 0.4)
    expected = [marginal_energy(row, covariance) for row in rows]
    found = gaussian.distance(
        np.nan_to_num(rows).astype(np.float32), fitted, ~np.isnan(rows)
    )
    np.testing.assert_allclose(np.square(found), expected, rtol=1e-3)
    energies = gaussian.energies(rows + fitted["mean"], fitted)
    np.testing.assert_allclose(energies, expected, rtol=1e-3)


def test_covariances_are_those_of_the_rows_where_both_are_observed():
    rng = np.random.default_rng(0)
    v = lose(rng.normal(size=(2000, 4)) @ rng.normal(size=(4, 4)), 0.2)
    weight = rng.integers(1, 4, size=2000).astype(float)
    fitted = gaussian.fit(v, weight)
    mean = [np.average(c[~np.isnan(c)], weights=weight[~np.isnan(c)]) for c in v.T]
    np.testing.assert_allclose(fitted["mean"], mean, rtol=1e-5)
    expected = np.empty((4, 4))
    for i in range(4):
        for j in range(4):
            both = ~np.isnan(v[:, i] + v[:, j])
            products = (v[both, i] - mean[i]) * (v[both, j] - mean[j])
            expected[i, j] = np.average(products, weights=weight[both])
    expected += gaussian.RIDGE * np.trace(expected) / 4 * np.eye(4)
    # The trace before the ridge is that of the deviations.
    np.testing.assert_allclose(covariance_of(fitted), expected, rtol=1e-3, atol=1e-3)


def test_completed_cells_are_the_conditional_mean():
    rng = np.random.default_rng(0)
    v = rng.normal(size=(500, 5)) @ rng.normal(size=(5, 5))
    fitted = gaussian.fit(v, np.ones(500))
    covariance, row = covariance_of(fitted), v[:1] - v.mean(axis=0)
    seen = np.array([True, False, True, True, False])
    expected = row.copy()
    block = covariance[np.ix_(seen, seen)]
    expected[0, ~seen] = (
        covariance[np.ix_(~seen, seen)] @ np.linalg.inv(block) @ row[0, seen]
    )
    on_host = gaussian.complete_on_host(
        np.where(seen, row, np.nan),
        {name: value.astype(float) for name, value in fitted.items()},
    )
    on_device = gaussian.complete(
        np.where(seen, row, 0).astype(np.float32), seen[None], fitted
    )
    np.testing.assert_allclose(on_host, expected, rtol=1e-5)
    np.testing.assert_allclose(on_device, expected, rtol=1e-3)


@pytest.mark.parametrize("n_rows", [5, 500])
def test_the_nearest_row_is_sought_among_the_observed_features(n_rows):
    rng = np.random.default_rng(0)
    remembered = rng.normal(size=(n_rows, 6)).astype(np.float32)
    queries = lose(rng.normal(size=(40, 6)), 0.4).astype(np.float32)
    # scikit-learn counts a missing cell like the mean of the others.
    expected = nan_euclidean_distances(queries, remembered).min(axis=1) / np.sqrt(6)
    found = memory.distance(
        np.nan_to_num(queries), memory.in_chunks(remembered), ~np.isnan(queries)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    observed = rng.random(remembered.shape) < 0.7
    observed[:, 0] = True
    distances = nan_euclidean_distances(
        np.where(observed, remembered, np.nan).astype(float), remembered.astype(float)
    )
    np.fill_diagonal(distances, np.inf)
    found = memory.leave_one_out(remembered, observed)
    np.testing.assert_allclose(
        found, distances.min(axis=1) ** 2 / 6, rtol=1e-4, atol=1e-10
    )


@pytest.mark.parametrize("corruption", slow_but([None], [None, *CORRUPTIONS]))
@pytest.mark.parametrize("loss", LOSSES)
def test_training_on_complete_rows_is_the_same(loss, corruption):
    rng = np.random.default_rng(0)
    config = configure(loss=loss, corruption=corruption, penalties=tuple(PENALTIES))
    network = replace(NETWORK, activation="sigmoid", output_activation="sigmoid")
    x = rng.uniform(0.1, 0.9, size=(8, 4)).astype(np.float32)
    params = networks.init(rng, config=network)
    values = [
        objective(params, x, network, replace(config, is_masked=is_masked))
        for is_masked in (False, True)
    ]
    np.testing.assert_allclose(*values, rtol=1e-6)


def objective(params, x, network, config):
    return objective_of(
        params,
        jax.random.key(0),
        x,
        np.ones(len(x), np.float32),
        hyperparameters(**dict.fromkeys(PENALTIES, 0.1)),
        features(),
        network=network,
        training=config,
    )


def test_the_loss_is_the_mean_over_the_observed_cells_of_each_row():
    rng = np.random.default_rng(0)
    params = networks.init(rng, config=NETWORK)
    x = lose(rng.normal(size=(9, 4)), 0.5).astype(np.float32)
    config = configure(is_masked=True)
    found = objective(params, x, NETWORK, config)
    # The mean of every feature is 0 here.
    hidden = np.nan_to_num(x)
    for layer in ("encoder.0", "encoder.1", "decoder.0", "decoder.1"):
        hidden = hidden @ params[f"{layer}.kernel"] + params[f"{layer}.bias"]
        hidden = hidden if layer == "decoder.1" else np.tanh(hidden)
    expected = np.nanmean(np.square(x - hidden), axis=1).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("score", slow_but(("learned",), SCORES))
def test_complete_rows_score_as_without_masks_in_any_company(score, rows, small):
    X, outliers = rows
    plain = small(anomaly_score=score).fit(X)
    masked = small(anomaly_score=score, missing="mask").fit(X)
    expected = plain.score_samples(outliers)
    np.testing.assert_array_equal(masked.score_samples(outliers), expected)
    # What a fitted detector takes is a matter of the parameter alone.
    plain.set_params(missing="mask")
    mixed = outliers.copy()
    mixed[::2] = lose(mixed[::2], 0.3)
    complete = ~np.isnan(mixed).any(axis=1)
    for detector in (plain, masked):
        scores = detector.score_samples(mixed)
        assert np.isfinite(scores).all()
        np.testing.assert_array_equal(scores[complete], expected[complete])
        order = np.random.default_rng(0).permutation(len(mixed))
        np.testing.assert_array_equal(
            detector.score_samples(mixed[order]), scores[order]
        )
        alone = [detector.score_samples(row[None])[0] for row in mixed[:6]]
        np.testing.assert_array_equal(alone, scores[:6])


# All but the one that looks at each column alone, where these outliers are as usual.
@pytest.mark.parametrize(
    "score", slow_but(("combined",), sorted(SCORES.keys() - {"columns"}))
)
def test_outliers_are_found_in_and_after_training_on_incomplete_rows(score, rows):
    X, outliers = rows
    detector = AutoencoderOutlierDetector(
        missing="mask",
        anomaly_score=score,
        bottleneck=bottleneck_for(score),
        random_state=0,
    ).fit(lose(X[:300], 0.2))
    test = np.vstack([X[300:], outliers])
    y = np.repeat([0, 1], 100)
    complete = roc_auc_score(y, -detector.score_samples(test))
    incomplete = roc_auc_score(y, -detector.score_samples(lose(test, 0.2, seed=1)))
    filled = roc_auc_score(
        y, -detector.score_samples(np.nan_to_num(lose(test, 0.2, seed=1)))
    )
    # The code alone says little of outliers that keep every column's spread.
    few = {"latent": 0.6, "elbo": 0.75}.get(score, 0.85)
    assert complete > few
    assert incomplete > filled - 0.02
    assert incomplete > few - 0.1


@pytest.mark.slow
def test_the_threshold_holds_for_new_incomplete_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 3)) @ rng.normal(size=(3, 8))
    X = lose(X + 0.1 * rng.normal(size=X.shape), 0.3)
    detector = AutoencoderOutlierDetector(missing="mask", random_state=0)
    detector.fit(X[:2000])
    assert 0.025 < (detector.predict(X[2000:]) == -1).mean() < 0.09
    assert detector.p_values(X[2000:]).mean() == pytest.approx(0.5, abs=0.07)


@pytest.mark.slow
def test_gaps_are_filled_better_than_by_the_mean(rows):
    X, _ = rows
    gaps = lose(X, 0.2)
    detector = AutoencoderOutlierDetector(missing="mask", random_state=0).fit(gaps)
    filled = np.where(np.isnan(gaps), detector.reconstruct(gaps), gaps)
    missing = np.isnan(gaps)
    assert np.mean((filled - X)[missing] ** 2) < 0.7 * np.mean(X[missing] ** 2)
    assert np.isfinite(detector.transform(gaps)).all()
    assert detector.score(gaps) < 0


def test_errors_of_missing_cells_are_missing_and_never_named(rows, small):
    X, outliers = rows
    frame = pd.DataFrame(lose(outliers, 0.4), columns=list("abcdefgh"))
    detector = small(missing="mask", anomaly_score="reconstruction").fit(
        pd.DataFrame(X, columns=list("abcdefgh"))
    )
    errors = detector.feature_errors(frame)
    np.testing.assert_array_equal(errors.isna(), frame.isna())
    raw = detector.feature_errors(frame, normalize=False)
    np.testing.assert_allclose(
        -detector.score_samples(frame), raw.mean(axis=1), rtol=1e-5
    )
    for row, named in zip(frame.itertuples(), detector.explain(frame, 8), strict=True):
        assert all(not np.isnan(getattr(row, name)) for name, _ in named)
        assert len(named) == np.isfinite(row[1:]).sum()
        values = [value for _, value in named]
        assert values == sorted(values, reverse=True)


def test_missing_cells_are_refused_by_default(rows, small):
    X, _ = rows
    with pytest.raises(ValueError, match="NaN"):
        small().fit(lose(X, 0.1))
    detector = small().fit(X)
    with pytest.raises(ValueError, match="NaN"):
        detector.score_samples(lose(X, 0.1))
    assert not get_tags(detector).input_tags.allow_nan
    assert get_tags(small(missing="mask")).input_tags.allow_nan


@pytest.mark.parametrize("kind", [np.asarray, csr_array])
def test_rows_without_an_observed_cell_are_refused_by_number(kind, rows, small):
    X, _ = rows
    X = np.vstack([lose(X, 0.1)] * 11)
    X[4321] = np.nan
    detector = small(missing="mask")
    with pytest.raises(ValueError, match="Row 4321 has NaN"):
        detector.fit(kind(X))
    detector.fit(kind(X[:400]))
    for method in (detector.score_samples, detector.partial_fit, detector.transform):
        with pytest.raises(ValueError, match="Row 4321 has NaN"):
            method(kind(X))
    with pytest.raises(ValueError, match="infinity"):
        detector.score_samples(kind([[np.inf, *[np.nan] * 7]]))


def test_sparse_and_single_precision_tables_score_alike(rows, small):
    X, outliers = rows
    detector = small(missing="mask").fit(X)
    gaps = lose(outliers, 0.3).astype(np.float32)
    expected = detector.score_samples(gaps)
    for table in (csr_array(gaps), gaps.astype(float)):
        np.testing.assert_array_equal(detector.score_samples(table), expected)


def test_huge_values_beside_missing_ones_are_outliers(rows, small):
    X, _ = rows
    detector = small(missing="mask").fit(lose(X, 0.2))
    gaps = lose(X[:20], 0.3)
    huge = gaps.copy()
    huge[:, 0] = [1e300, -1e300] * 10
    assert (detector.score_samples(huge) < detector.score_samples(gaps)).all()


# The quick one holds all views but those of the network's density.
@pytest.mark.parametrize("score", slow_but(["learned"], SCORES))
def test_columns_that_are_never_observed(score, rows, small):
    X, _ = rows
    gaps = X.copy()
    gaps[:, 3] = np.nan
    detector = small(
        missing="mask", anomaly_score=score, corruption="salt_and_pepper"
    ).fit(gaps)
    assert np.isfinite(detector.score_samples(gaps)).all()
    assert np.isfinite(detector.score_samples(X)).all()
    assert np.isfinite(detector.reconstruct(gaps)).all()


def test_a_pipeline_with_a_scaler_keeps_gaps(rows, small):
    X, outliers = rows
    pipeline = make_pipeline(StandardScaler(), small(missing="mask")).fit(lose(X, 0.2))
    assert np.isfinite(pipeline.score_samples(lose(outliers, 0.2))).all()


def test_trim_and_weights_with_missing_cells(rows, small):
    X, _ = rows
    X = np.vstack([X, np.full((40, 8), 9.0) + np.arange(8)])
    gaps = lose(X, 0.3)
    weight = np.r_[np.ones(400), np.full(40, 2.0)]
    trimmed = small(missing="mask", trim=0.2, anomaly_score="mahalanobis")
    trimmed.fit(gaps, sample_weight=weight)
    scores = trimmed.score_samples(gaps)
    assert scores[400:].max() < np.quantile(scores[:400], 0.05)


def test_streams_files_and_copies_keep_missing_cells(rows, small, tmp_path):
    X, outliers = rows
    gaps = lose(outliers, 0.3)
    detector = small(missing="mask", n_estimators=2)
    for batch in np.array_split(lose(X, 0.3), 4):
        detector.partial_fit(batch)
    save(detector, tmp_path / "a")
    for other in (load(tmp_path / "a"), pickle.loads(pickle.dumps(detector))):
        np.testing.assert_array_equal(
            other.score_samples(gaps), detector.score_samples(gaps)
        )
        np.testing.assert_array_equal(
            other.partial_fit(lose(X, 0.2)).score_samples(gaps),
            pickle.loads(pickle.dumps(detector))
            .partial_fit(lose(X, 0.2))
            .score_samples(gaps),
        )


def test_export_names_the_reason_and_the_way_out(rows, small):
    X, outliers = rows
    detector = small(missing="mask").fit(lose(X, 0.2))
    with pytest.raises(ValueError, match="missing='mask' cannot be exported"):
        to_onnx(detector, X)
    assert to_onnx(detector.set_params(missing="error"), outliers).graph.output


def test_which_cells_are_missing_compiles_nothing(rows):
    X, outliers = rows
    detector = AutoencoderOutlierDetector(
        missing="mask", hidden_layer_sizes=(7,), latent_dim=3, max_iter=2
    )
    with count_compilations() as counts:
        detector.fit(X).score_samples(lose(outliers, 0.1))
    assert counts["train_chunk"] == 1
    detector.fit(lose(X, 0.1)).score_samples(outliers)
    with count_compilations() as counts:
        for share in (0.0, 0.3, 0.6):
            detector.fit(lose(X[:333], share, seed=1))
            detector.score_samples(lose(outliers, share))
    assert not counts


@pytest.mark.filterwarnings("ignore:The posterior has collapsed")
@FEW
@given(
    n_rows=st.integers(2, 40),
    share=st.floats(0, 1),
    exponent=st.integers(-6, 6),
    score=st.sampled_from(sorted(SCORES)),
    seed=st.integers(0, 99),
)
def test_any_gaps_give_finite_scores(n_rows, share, exponent, score, seed):
    rng = np.random.default_rng(seed)
    X = lose(rng.normal(size=(n_rows, 3)) * 10.0**exponent, share, seed)
    detector = AutoencoderOutlierDetector(
        missing="mask",
        hidden_layer_sizes=(4,),
        latent_dim=2,
        max_iter=1,
        anomaly_score=score,
        bottleneck=bottleneck_for(score),
        validation_fraction=0.0,
        random_state=seed,
    ).fit(X)
    scores = detector.score_samples(X)
    assert np.isfinite(scores).all()
    assert np.isfinite(detector.reconstruct(X)).all()
    np.testing.assert_array_equal(
        detector.predict(X), np.where(scores >= detector.offset_, 1, -1)
    )


def test_nan_brings_the_advice_to_mask_it(small):
    with pytest.raises(ValueError, match=r"contains NaN. With missing='mask'"):
        small().fit([[1.0, np.nan], [2.0, 3.0]])


@pytest.mark.parametrize(
    ("anomaly_score", "share"),
    slow_rows_but(
        [("learned", 0.0), ("mahalanobis", 0.05)],
        itertools.product(("learned", "mahalanobis", "combined"), (0.0, 0.05)),
    ),
)
def test_mostly_equal_rows_have_scores(anomaly_score, share, small):
    """Seven of ten rows are zeros: what is most alike among all has no spread."""
    X = np.random.default_rng(0).normal(size=(400, 6))
    X[:280] = 0
    X = lose(X, share)
    detector = small(anomaly_score=anomaly_score, missing="mask", max_iter=2).fit(X)
    zeros = np.zeros((2, 6))
    zeros[0, 3] = np.nan
    assert np.isfinite(detector.score_samples(X)).all()
    np.testing.assert_array_equal(detector.predict(zeros), 1)


def test_sparse_tables_may_hold_nothing(small):
    X = csr_array((30, 2))
    detector = small(missing="mask", max_iter=1).fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
