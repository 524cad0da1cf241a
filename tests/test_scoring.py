import copy
import gc
import itertools
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from skae import AutoencoderOutlierDetector
from skae.core import ball, blocks, gaussian, kept, members, model, networks
from skae.core.config import NetworkConfig
from skae.core.scores import SCORES
from skae.core.views import CODES, REPRESENTATION
from tests.helpers import FEW, bottleneck_for, slow_but


def fitted_parts(detector):
    """Weights and statistics of the first network, in float64."""
    weights = {k: v[0].astype(float) for k, v in detector.weights_.items()}
    statistics = {k: v[0].astype(float) for k, v in detector.statistics_.items()}
    return weights, statistics


def project_by_hand(X, statistics):
    offset = X - statistics["center"]
    distance = np.sqrt(((offset / statistics["scale"]) ** 2).mean(axis=1))
    shrink = np.minimum(1, statistics["radius"] / np.maximum(distance, 1e-30))
    return statistics["center"] + offset * shrink[:, None]


def relu_network_by_hand(X, weights):
    def layer(x, name):
        return x @ weights[f"{name}.kernel"] + weights[f"{name}.bias"]

    code = np.maximum(layer(np.maximum(layer(X, "encoder.0"), 0), "encoder.1"), 0)
    hidden = np.maximum(layer(code, "decoder.0"), 0)
    return code, layer(hidden, "decoder.1")


def energies_by_hand(detector, X, X_train):
    """Energies from the weights and the training rows alone."""
    weights, statistics = fitted_parts(detector)

    def parts(X):
        inside = project_by_hand(X, statistics)
        code, output = relu_network_by_hand(inside, weights)
        return inside - output, code, X - inside

    residual, code, away = parts(X)
    train_residual, train_code, _ = parts(X_train)

    def mahalanobis(v, train):
        covariance = np.atleast_2d(np.cov(train.T, bias=True))
        width = len(covariance)
        ridge = gaussian.RIDGE * np.trace(covariance) / width
        precision = np.linalg.inv(covariance + ridge * np.eye(width))
        return np.einsum("ij,jk,ik->i", v, precision, v) / width

    train_both = np.hstack([train_residual, train_code])
    both = np.hstack([residual, code]) - train_both.mean(axis=0)
    away_both = np.hstack([away, np.zeros_like(code)])

    def standardised(X):
        return (X - statistics["center"]) / statistics["scale"]

    u, u_away = standardised(X - away), away / statistics["scale"]
    trusted = u_train = standardised(X_train)
    for _ in range(11):
        from_mean = mahalanobis(u_train - trusted.mean(axis=0), trusted)
        previous, trusted = (
            trusted,
            u_train[np.argsort(from_mean)[: round(0.55 * len(u_train))]],
        )
    trusted = previous
    squares = ((u[:, None] - u_train) ** 2).mean(axis=2)
    if X is X_train:
        np.fill_diagonal(squares, np.inf)
    return {
        "nearest": squares.min(axis=1) + (u_away**2).mean(axis=1),
        "mahalanobis": mahalanobis(u - trusted.mean(axis=0), trusted)
        + mahalanobis(u_away, trusted),
        "reconstruction": (residual**2 + away**2).mean(axis=1),
        "joint": mahalanobis(both, train_both) + mahalanobis(away_both, train_both),
        "latent": mahalanobis(code - train_code.mean(axis=0), train_code)
        + ((away / statistics["scale"]) ** 2).mean(axis=1),
    }


# That of "elbo" is in test_bottlenecks.
# Those of columns, subsets and what is learned are in test_views.
@pytest.mark.parametrize(
    "score", sorted(set(SCORES) - {"elbo", "cells", "columns", "subsets", "learned"})
)
def test_scores_equal_their_formulas(score, blobs, small):
    rows, outliers = blobs
    detector = small(
        anomaly_score=score, activation="relu", validation_fraction=0.0, max_iter=30
    ).fit(rows)
    X = np.vstack([rows[:20], outliers, 50 * outliers[:5]])
    energies = energies_by_hand(detector, X, rows)
    if score == "combined":
        usual = energies_by_hand(detector, rows, rows)
        reconstruction, nearest, overall = (
            (
                np.log(np.maximum(energies[name], 1e-6 * usual[name].mean()))
                - np.log(usual[name]).mean()
            )
            / np.log(usual[name]).std()
            for name in ("reconstruction", "nearest", "mahalanobis")
        )
        local = (reconstruction + nearest) / 2
        expected = -np.log(np.exp(4 * local) + 0.4 * np.exp(4 * overall)) / 4
    else:
        expected = -energies[score]
    np.testing.assert_allclose(
        detector.score_samples(X), expected, rtol=2e-3, atol=1e-4
    )


def test_reconstruction_score_is_the_mean_squared_residual(blobs, small):
    rows, _ = blobs
    detector = small(anomaly_score="reconstruction", validation_fraction=0.0).fit(rows)
    expected = -((rows - detector.reconstruct(rows)) ** 2).mean(axis=1)
    np.testing.assert_allclose(detector.score_samples(rows), expected, rtol=1e-5)
    errors = detector.feature_errors(rows, normalize=False)
    np.testing.assert_allclose(-errors.mean(axis=1), expected, rtol=1e-5)


@pytest.mark.parametrize("n_features", slow_but([33], [1, 7, 33]))
@FEW
@given(n_rows=st.integers(1, 1200), data=st.data())
def test_scores_are_bit_equal_alone_in_any_batch_and_order(n_features, n_rows, data):
    detector = bit_detector(n_features)
    X = np.random.default_rng(n_rows).normal(size=(n_rows, n_features)) * 3
    scores = detector.score_samples(X)
    order = np.random.default_rng(0).permutation(n_rows)
    np.testing.assert_array_equal(detector.score_samples(X[order]), scores[order])
    start = data.draw(st.integers(0, n_rows - 1))
    stop = data.draw(st.integers(start + 1, n_rows))
    np.testing.assert_array_equal(
        detector.score_samples(X[start:stop]), scores[start:stop]
    )
    np.testing.assert_array_equal(
        detector.score_samples(X[start : start + 1]), scores[start : start + 1]
    )


@pytest.mark.parametrize(
    "case",
    slow_but([("learned", 6)], [("learned", 6), ("learned", 8), ("combined", 30)]),
)
def test_gaps_and_explanations_are_bit_equal_in_any_batch(case, small):
    score, n_features = case
    rng = np.random.default_rng(n_features)
    detector = small(anomaly_score=score, missing="mask", max_iter=1)
    fitted = detector.fit(rng.normal(size=(200, n_features)))._model()
    X = 3 * rng.normal(size=(1500, n_features)).astype(np.float32)
    X[:, 1:][rng.random((1500, n_features - 1)) < 0.2] = np.nan
    for function in (model.score_rows, model.explained):
        by_part = [function(fitted, X[i : i + 100]) for i in range(0, 1500, 100)]
        np.testing.assert_array_equal(function(fitted, X), np.concatenate(by_part))


BIT_DETECTORS = {}


def bit_detector(n_features):
    if n_features not in BIT_DETECTORS:
        X = np.random.default_rng(0).normal(size=(50, n_features))
        BIT_DETECTORS[n_features] = AutoencoderOutlierDetector(
            hidden_layer_sizes=(24,), latent_dim=7, max_iter=2, random_state=0
        ).fit(X)
    return BIT_DETECTORS[n_features]


@pytest.mark.parametrize("score", slow_but(("learned",), SCORES))
def test_scores_do_not_rise_again_far_from_the_data(score, breast_cancer):
    benign, _ = breast_cancer
    detector = AutoencoderOutlierDetector(
        anomaly_score=score,
        bottleneck=bottleneck_for(score),
        random_state=0,
    )
    detector.fit(benign)
    rng = np.random.default_rng(0)
    reach = np.linalg.norm(benign, axis=1).max()
    # Nearer than this the divergence of the projected row may fall faster than the
    # displacement grows.
    gap = 1000 if score == "elbo" else 10
    distances = np.concatenate(
        [reach + np.geomspace(gap, 1e2 * gap, 30), np.geomspace(2e2 * gap, 1e6, 30)]
    )
    rays = []
    for direction in rng.normal(size=(100, benign.shape[1])):
        direction /= np.linalg.norm(direction)
        for start in (np.zeros(benign.shape[1]), benign[rng.integers(len(benign))]):
            rays.append(start + np.outer(distances, direction))
    scores = detector.score_samples(np.vstack(rays)).reshape(200, 60)
    assert np.isfinite(scores).all()
    assert (np.diff(scores, axis=1) <= 0).all()


def test_default_score_falls_along_single_features(blobs):
    rows, _ = blobs
    detector = AutoencoderOutlierDetector(random_state=0, max_iter=30).fit(rows)
    lowest = detector.score_samples(rows).min()
    for axis, sign in itertools.product(range(6), (-1, 1)):
        ray = np.zeros((60, 6))
        ray[:, axis] = sign * np.geomspace(10, 1e6, 60)
        scores = detector.score_samples(ray)
        assert (np.diff(scores) < 0).all()
        assert scores[0] < lowest


@given(st.integers(0, 2**32 - 1), st.floats(0, 1e20), st.floats(0, 0.9))
def test_what_lies_beyond_the_ball_is_as_long_as_its_displacement(seed, far, lost):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 5)) * [1, 10, 0.1, 1, 1] + 5
    around = ball.fit(X, np.ones(30))
    others = (X + far * rng.normal(size=X.shape)).astype(np.float32)
    observed = rng.random(X.shape) >= lost
    observed[:, 0] = True
    filled = np.where(observed, others, around["center"])
    for x, seen in ((others, None), (filled, observed)):
        rows = blocks.Block(jax.numpy.asarray(x), seen, around, None)
        length = gaussian.root_mean_square(rows.units_away, seen)
        # Numbers far from the centre, in units of a narrow column, are rounded.
        np.testing.assert_allclose(rows.beyond, length, rtol=1e-4, atol=1e-4)


def test_projection_leaves_the_ball_alone_and_ends_on_its_surface():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) * [1, 10, 0.1] + 5
    statistics = ball.fit(X, np.ones(200))
    inside = X.astype(np.float32)

    def project(x):
        return np.asarray(ball.project(x, ball.distance(x, statistics), statistics))

    np.testing.assert_array_equal(project(inside)[:199], inside[:199])
    outside = (X + 1e4 * rng.normal(size=X.shape)).astype(np.float32)
    surface = project(outside).astype(float)
    distance = np.sqrt(
        (((surface - statistics["center"]) / statistics["scale"]) ** 2).mean(axis=1)
    )
    np.testing.assert_allclose(distance, statistics["radius"], rtol=1e-4)


def test_constant_columns_count_in_units_of_one():
    X = np.column_stack([np.full(50, 0.1), np.full(50, 1e9), np.arange(50.0)])
    statistics = ball.fit(X.astype(np.float32), np.ones(50))
    np.testing.assert_array_equal(statistics["scale"][:2], 1)


@pytest.mark.slow
@pytest.mark.parametrize("width", [500, 3000])
def test_very_wide_rows_fit_and_score(width):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)) @ rng.normal(size=(3, width))
    detector = AutoencoderOutlierDetector(
        hidden_layer_sizes=(8,), latent_dim=4, max_iter=3, random_state=0
    ).fit(X)
    scores = detector.score_samples(X)
    np.testing.assert_array_equal(detector.score_samples(X[7:8]), scores[7:8])
    assert detector.score_samples(rng.normal(size=(5, width)) * 5).max() < scores.min()


def test_blocks_of_a_wide_network_are_lower():
    shape = NetworkConfig(20_000, (2,), 2, (2,), "relu", "identity")
    params = networks.init(np.random.default_rng(0), config=shape)
    X = np.random.default_rng(0).normal(size=(70, 20_000)).astype(np.float32)
    member = members.Member(shape, params, ball.fit(X, np.ones(70)))
    result = members.apply(CODES, X, member)
    one = members.apply(CODES, X[69:], member)
    assert result.shape == (70, 2)
    np.testing.assert_array_equal(result[69:], one)


@pytest.mark.parametrize("n_rows", [3, 20_000])
def test_every_thread_computes_on_the_device_asked_for(n_rows, small, monkeypatch):
    X = np.random.default_rng(0).standard_normal((n_rows, 4))
    detector = small(anomaly_score="reconstruction").fit(X[:3])
    seen = []
    compiled = blocks.COMPILED[True]

    def map_blocks(*args, **options):
        seen.append((jax.config.jax_default_device, threading.get_ident()))
        return compiled(*args, **options)

    monkeypatch.setitem(blocks.COMPILED, True, map_blocks)
    detector.set_params(device="cpu").score_samples(X)
    assert {device for device, _ in seen} == {jax.devices("cpu")[0]}
    assert (threading.get_ident() in {ident for _, ident in seen}) == (n_rows == 3)


def test_what_scoring_has_on_the_device_is_put_there_once(blobs, small):
    rows, outliers = blobs
    detector = small(anomaly_score="learned", n_estimators=2).fit(rows)
    scores = detector.score_samples(outliers)
    fitted = detector._model()
    programs = [dict(member._programs) for member in fitted.members]
    assert all(programs)
    np.testing.assert_array_equal(detector.score_samples(outliers), scores)
    assert detector._model() is fitted
    assert [member._programs for member in fitted.members] == programs
    # Nothing of it is copied, pickled or saved.
    for other in (clone(detector), copy.deepcopy(detector), pickled(detector)):
        assert other not in kept._models
        assert not any("jax" in type(v).__module__ for v in vars(other).values())
    np.testing.assert_array_equal(pickled(detector).score_samples(outliers), scores)
    assert pickle.dumps(fitted) == pickle.dumps(pickled(fitted))
    # It goes when the detector goes.
    gone = weakref.ref(fitted.members[0])
    del detector, fitted, programs
    gc.collect()
    assert gone() is None


def pickled(thing):
    return pickle.loads(pickle.dumps(thing))


def test_scores_follow_parts_that_are_replaced(blobs, small):
    rows, outliers = blobs
    detector = small().fit(rows)
    before = detector.score_samples(outliers)
    with pytest.raises(ValueError, match="read-only"):
        detector.weights_["decoder.1.bias"][:] = 1.0
    moved = detector.weights_["decoder.1.bias"] + 1
    detector.weights_["decoder.1.bias"] = moved
    after = detector.score_samples(outliers)
    assert (after != before).all()
    detector.weights_ = detector.weights_ | {"decoder.1.bias": moved - 1}
    np.testing.assert_allclose(detector.score_samples(outliers), before, rtol=1e-6)
    detector.fitted_score_ = "nearest"
    with pytest.raises(KeyError):
        detector.score_samples(outliers)
    other = small(random_state=1).fit(rows)
    detector.fit(outliers)
    detector.set_params(random_state=1).fit(rows)
    np.testing.assert_array_equal(
        detector.score_samples(outliers), other.score_samples(outliers)
    )


def test_threads_that_score_first_get_the_same_scores(blobs, small):
    rows, outliers = blobs
    detector = small(anomaly_score="learned").fit(rows)
    expected = pickled(detector).score_samples(outliers)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(detector.score_samples, [outliers] * 16))
    for scores in found:
        np.testing.assert_array_equal(scores, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X[:, :2], "features"),
        (lambda X: X[0], "1D array"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: np.where(np.arange(len(X))[:, None] == 3, np.nan, X), "NaN"),
        (lambda X: np.where(np.arange(len(X))[:, None] == 3, np.inf, X), "infinity"),
    ],
)
def test_arrays_that_need_no_change_are_checked_all_the_same(
    blobs, small, change, message
):
    rows, outliers = blobs
    detector = small(max_iter=1).fit(rows)
    with pytest.raises(ValueError, match=message):
        detector.score_samples(change(outliers))
    huge = np.full((2, rows.shape[1]), np.finfo(np.float64).max / 2)
    assert np.isfinite(detector.score_samples(huge)).all()


def test_arrays_without_the_names_of_fit_are_warned_of(blobs, small):
    pd = pytest.importorskip("pandas")
    rows, outliers = blobs
    detector = small(max_iter=1).fit(pd.DataFrame(rows).add_prefix("c"))
    with pytest.warns(UserWarning, match="feature names"):
        detector.score_samples(outliers)


def random_network(rng):
    """Any architecture of ours: sizes, shape of rows, activation."""
    network = str(rng.choice(["dense", "conv", "recurrent"]))
    shape = None
    n_features = int(rng.integers(1, 60))
    if network != "dense":
        n_steps, n_channels = map(int, rng.integers((3, 1), (24, 4)))
        shape, n_features = (n_steps, n_channels), n_steps * n_channels
    sizes = tuple(map(int, rng.integers(1, 40, size=rng.integers(1, 3))))
    latent_dim, activation = int(rng.integers(1, 20)), str(rng.choice(["relu", "tanh"]))
    return NetworkConfig(
        n_features,
        sizes,
        latent_dim,
        sizes[::-1],
        activation,
        "identity",
        network=network,
        input_shape=shape,
    )


@pytest.mark.parametrize("part", slow_but([0], range(100)))
def test_random_networks_give_the_same_bits_at_any_place(part):
    """Two untrained architectures each; rows alone, and starting anywhere."""
    rng = np.random.default_rng(part)
    found = 0
    while found < 2:
        network = random_network(rng)
        if networks.refusal(network):
            continue
        found += 1
        params = networks.init(rng, config=network)
        X = rng.normal(size=(1500, network.n_features)).astype(np.float32)
        member = members.Member(network, params, ball.fit(X[:50], np.ones(50)))

        def of(rows, member=member):
            return members.apply(REPRESENTATION, rows, member)

        whole = of(X)
        start, length = int(rng.integers(1, 600)), int(rng.integers(2, 900))
        np.testing.assert_array_equal(
            of(X[start : start + length]), whole[start : start + length]
        )
        for row in rng.integers(0, 1500, size=20):
            np.testing.assert_array_equal(of(X[row : row + 1])[0], whole[row])
