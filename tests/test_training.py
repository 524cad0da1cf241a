import signal
import warnings
from dataclasses import replace

import jax
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skae.core import fitting, networks, optimizers, training
from skae.core.bottlenecks import BOTTLENECKS
from skae.core.config import NetworkConfig
from skae.core.corruptions import CORRUPTIONS
from skae.core.losses import LOSSES
from skae.core.objective import objective as objective_of
from skae.core.optimizers import OPTIMIZERS, SCHEDULES
from skae.core.penalties import PENALTIES
from tests.helpers import NETWORK, configure, features, hyperparameters, plan, slow_but


@pytest.mark.parametrize("loss", slow_but(("squared_error",), LOSSES))
def test_weights_count_like_repeated_rows_in_float64(loss):
    """In place of scikit-learn's check, which mini-batches cannot pass."""
    rng = np.random.default_rng(0)
    # Inside (0, 1), where every loss and penalty is defined.
    network = NetworkConfig(4, (6,), 3, (6,), "sigmoid", "sigmoid")
    x = rng.uniform(0.1, 0.9, size=(9, 4))
    weight = rng.integers(1, 5, size=9)
    config = configure(loss=loss, penalties=tuple(PENALTIES))
    params = networks.init(rng, config=network)
    with jax.enable_x64(True):
        params = {name: value.astype(np.float64) for name, value in params.items()}
        hyper = hyperparameters(np.float64, **dict.fromkeys(PENALTIES, 0.1))

        def objective(params, x, weight):
            return objective_of(
                params,
                jax.random.key(0),
                x,
                weight,
                hyper,
                features(np.float64),
                network=network,
                training=config,
            )

        both = jax.jit(jax.value_and_grad(objective))
        weight_of_mean_one = weight / weight.mean()
        weighted, gradient = both(params, x, weight_of_mean_one)
        repeated, other = both(
            params, np.repeat(x, weight, axis=0), np.ones(weight.sum())
        )
        np.testing.assert_allclose(weighted, repeated, rtol=1e-12)
        for name, value in gradient.items():
            assert value.dtype == np.float64
            np.testing.assert_allclose(value, other[name], rtol=1e-10, atol=1e-14)

        direction = {k: rng.normal(size=v.shape) for k, v in params.items()}
        step = 1e-6
        ahead, behind = (
            objective(
                {k: v + sign * step * direction[k] for k, v in params.items()},
                x,
                weight_of_mean_one,
            )
            for sign in (1, -1)
        )
        slope = sum(np.sum(gradient[k] * direction[k]) for k in params)
        np.testing.assert_allclose((ahead - behind) / (2 * step), slope, rtol=1e-6)


@pytest.mark.parametrize("corruption", [None, *CORRUPTIONS])
def test_padding_rows_change_nothing(corruption):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 4)).astype(np.float32)
    weight = np.array([1, 1, 1, 1, 1, 0, 0, 0], np.float32)
    params = networks.init(rng, config=NETWORK)
    config = configure(penalties=tuple(PENALTIES), corruption=corruption)

    def objective(x):
        return objective_of(
            params,
            jax.random.key(0),
            x,
            weight,
            hyperparameters(**dict.fromkeys(PENALTIES, 1.0)),
            features(),
            network=NETWORK,
            training=config,
        )

    other = x.copy()
    other[5:] = 100
    assert objective(x) == objective(other)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("schedule", slow_but(["cosine"], ["constant", "cosine"]))
def test_every_optimizer_learns(blobs, small, optimizer, schedule):
    rows, _ = blobs
    detector = small(
        optimizer=optimizer,
        learning_rate_schedule=schedule,
        max_iter=40,
        corruption=None,
        learning_rate=0.01,
    ).fit(rows)
    assert detector.history_["loss"][-1] < 0.5 * detector.history_["loss"][0]


def test_cosine_schedule_ends_at_zero():
    schedule = SCHEDULES["cosine"]
    values = [float(schedule(np.float32(p))) for p in (0, 0.5, 1, 1.5)]
    np.testing.assert_allclose(values, [1, 0.5, 0, 0], atol=1e-6)


@pytest.mark.slow
def test_a_linear_network_comes_close_to_principal_components():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(
        size=(500, 8)
    )
    X -= X.mean(axis=0)
    from skae import AutoencoderOutlierDetector

    detector = AutoencoderOutlierDetector(
        hidden_layer_sizes=(),
        latent_dim=3,
        activation="identity",
        corruption=None,
        learning_rate=0.02,
        validation_fraction=0.0,
        max_iter=1500,
        anomaly_score="reconstruction",
        random_state=0,
    ).fit(X)
    left_over = np.linalg.svd(X, compute_uv=False)[3:]
    optimum = (left_over**2).sum() / X.size
    assert optimum < -detector.score_samples(X).mean() < 1.01 * optimum


def test_dropout_changes_training_and_not_scoring(blobs, small):
    rows, _ = blobs
    detector = small(dropout=0.3).fit(rows)
    assert (detector.score_samples(rows) == detector.score_samples(rows)).all()
    assert detector.history_["loss"] != small().fit(rows).history_["loss"]


def test_early_stopping_restores_the_best_weights(blobs, small):
    rows, _ = blobs
    parameters = {
        "max_iter": 400,
        "learning_rate": 0.05,
        "learning_rate_schedule": "constant",
        "corruption": None,
    }
    detector = small(early_stopping=True, n_iter_no_change=5, **parameters).fit(rows)
    losses = detector.history_["validation_loss"]
    assert detector.n_iter_ == len(losses) < 400
    # The monitor waits for a fall by tol: the best may be some epochs before the end.
    best = int(np.argmin(losses))
    assert losses[best] < losses[-1]
    again = small(**parameters | {"max_iter": best + 1}).fit(rows)
    for name, value in again.weights_.items():
        np.testing.assert_array_equal(detector.weights_[name], value)


def test_early_stopping_without_held_out_rows_watches_the_training_loss(small):
    X = np.random.default_rng(0).normal(size=(50, 3))
    detector = small(early_stopping=True, max_iter=500, tol=0.1).fit(X)
    assert detector.n_iter_ < 500
    assert detector.history_["validation_loss"] == []


def test_diverged_training_keeps_finite_weights_and_warns(blobs, small):
    rows, outliers = blobs
    detector = small(optimizer="sgd", learning_rate=1e30, max_iter=50)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        detector.fit(rows)
    assert detector.n_iter_ < 50
    assert np.isfinite(detector.score_samples(outliers)).all()
    assert all(np.isfinite(value).all() for value in detector.weights_.values())


@pytest.mark.parametrize("score", ["combined", "reconstruction", "latent"])
@pytest.mark.parametrize("rate", [1e30, 1e4])
@pytest.mark.parametrize("max_iter", [1, 2, 20])
def test_diverged_training_without_held_out_rows(score, rate, max_iter, small):
    X = np.random.default_rng(0).normal(size=(50, 3))
    detector = small(
        optimizer="sgd", learning_rate=rate, max_iter=max_iter, anomaly_score=score
    )
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        detector.fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
    assert np.isfinite(detector.offset_)
    if rate == 1e30:
        assert any(w.category is ConvergenceWarning for w in seen)


def test_weights_count_in_batches_of_one_row(small):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    weight = np.where(X[:, 0] > 0, 20.0, 0.05)
    # The corruption keeps a code of more units than columns from learning all rows.
    parameters = {"batch_size": 1, "max_iter": 20, "optimizer": "sgd"}
    parameters |= {"corruption": "gaussian"}
    weighted = small(learning_rate=1e-3, **parameters).fit(X, sample_weight=weight)
    plain = small(learning_rate=1e-3, **parameters).fit(X)

    def error(detector):
        return detector.feature_errors(X[X[:, 0] > 0], normalize=False).mean()

    assert error(weighted) < error(plain)


@pytest.mark.parametrize("scale", [1e-300, 1e-50, 3.0, 1e39, 1e300])
def test_only_the_ratio_of_weights_matters(scale, blobs, small):
    rows, _ = blobs
    weight = np.random.default_rng(0).integers(1, 3, size=len(rows)).astype(float)
    expected = small().fit(rows, sample_weight=weight).score_samples(rows)
    scaled = small().fit(rows, sample_weight=scale * weight).score_samples(rows)
    np.testing.assert_allclose(scaled, expected, rtol=1e-4, atol=1e-4)


def test_large_batches_are_not_padded_far_beyond_the_rows():
    from skae.core.batching import batch_height

    assert batch_height(20, 128) == batch_height(5000, 128) == 128
    assert batch_height(20, 64) == 64
    assert batch_height(569, 100_000) == batch_height(1024, 100_000) == 1024
    assert batch_height(1025, 1500) == 1500
    assert batch_height(20, 100_000) == 128


@pytest.fixture
def interrupt_at(monkeypatch):
    """Interrupt the n-th call of the training, as Ctrl-C does."""
    original = training.train_chunk
    # Workers of pytest-xdist ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def set_up(call):
        calls = iter(range(10_000))

        def train_chunk(*args, **kwargs):
            if next(calls) == call:
                # Python raises it in the main thread, wherever the training is.
                signal.raise_signal(signal.SIGINT)
            return original(*args, **kwargs)

        monkeypatch.setattr(training, "train_chunk", train_chunk)

    yield set_up
    signal.signal(signal.SIGINT, before)


def test_interrupt_keeps_the_best_weights_with_a_warning(blobs, small, interrupt_at):
    rows, outliers = blobs
    interrupt_at(7)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        detector = small(max_iter=100).fit(rows)
    assert 0 < detector.n_iter_ < 100
    assert np.isfinite(detector.score_samples(outliers)).all()


def test_interrupt_of_an_ensemble_keeps_the_networks_so_far(blobs, small, interrupt_at):
    rows, _ = blobs
    # Five epochs each: the third network is interrupted and left out.
    interrupt_at(12)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        detector = small(n_estimators=5).fit(rows)
    n_members = {len(value) for value in detector.weights_.values()}
    assert n_members == {2}
    assert np.isfinite(detector.score_samples(rows)).all()


def test_interrupt_while_calibrating_keeps_the_network(small, interrupt_at):
    X = np.random.default_rng(0).normal(size=(50, 3))
    expected = small().fit(X).weights_
    interrupt_at(3)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        detector = small().fit(X)
    for name, value in expected.items():
        np.testing.assert_array_equal(detector.weights_[name], value)
    np.testing.assert_array_equal(
        detector.calibration_scores_, np.sort(detector.score_samples(X))
    )


@pytest.mark.parametrize("rate", [1e-3, 3.0])
def test_epochs_that_share_a_call_are_those_that_are_looked_at(rate, small, capsys):
    X = np.random.default_rng(0).normal(size=(90, 3))
    found = []
    # Printing looks at each epoch. Where a training diverges, the last finite weights
    # stay, of whatever epoch they are.
    for verbose in (0, 2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            detector = small(
                max_iter=40,
                optimizer=plain_descent,
                learning_rate=rate,
                verbose=verbose,
            ).fit(X)
        found.append(detector)
    silent, watched = found
    assert capsys.readouterr().out.count("epoch ") == len(watched.history_["loss"])
    assert (len(watched.history_["loss"]) < 40) == (rate > 1)
    for name in ("loss", "validation_loss"):
        assert silent.history_[name] == watched.history_[name]
    assert len(silent.history_["epoch_seconds"]) == len(silent.history_["loss"])
    for name, value in watched.weights_.items():
        np.testing.assert_array_equal(silent.weights_[name], value)
    np.testing.assert_array_equal(
        silent.calibration_scores_, watched.calibration_scores_
    )


def plain_descent(learning_rate):
    from optax import sgd

    return sgd(learning_rate)


def test_interrupt_ends_a_search(blobs, small, interrupt_at):
    from sklearn.model_selection import cross_val_score

    rows, _ = blobs
    interrupt_at(3)
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(small(), rows)


def test_a_factory_makes_the_optimizer(blobs, small):
    from optax import adam

    rows, _ = blobs
    factory = small(optimizer=adam).fit(rows)
    named = small(optimizer="adam").fit(rows)
    np.testing.assert_allclose(
        factory.score_samples(rows), named.score_samples(rows), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("bottleneck", BOTTLENECKS)
def test_our_optimizers_begin_with_zeros(optimizer, bottleneck):
    network = replace(NETWORK, bottleneck=bottleneck)
    params = networks.init(np.random.default_rng(0), config=network)
    numbers = params, hyperparameters()
    static = {"bottleneck": bottleneck, "training": configure(optimizer=optimizer)}
    known = optimizers.init_optimizer(*numbers, **static)
    compiled = optimizers._init(*numbers, **static)
    assert jax.tree.structure(known) == jax.tree.structure(compiled)
    for ours, theirs in zip(*map(jax.tree.leaves, (known, compiled)), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def not_an_optimizer(learning_rate):
    return 3


def test_a_factory_of_something_else_is_refused(blobs, small):
    rows, _ = blobs
    with pytest.raises(TypeError, match=r"'optimizer' .* returned <class 'int'>"):
        small(optimizer=not_an_optimizer).fit(rows)


def test_user_settings_of_jax_do_not_matter(blobs, small):
    rows, _ = blobs
    usual = small(dropout=0.1).fit(rows)
    with jax.enable_x64(True), jax.default_matmul_precision("bfloat16"):
        other = small(dropout=0.1).fit(rows)
        np.testing.assert_allclose(
            other.score_samples(rows), usual.score_samples(rows), rtol=1e-3, atol=1e-3
        )
    assert all(value.dtype == np.float32 for value in other.weights_.values())


@pytest.mark.parametrize(
    ("n_rows", "epochs"),
    [(200, 100), (1000, 100), (5000, 30), (17_000, 30), (60_000, 9), (10**6, 1)],
)
def test_automatic_training_takes_thirty_epochs_within_bounds(n_rows, epochs):
    told = plan(max_epochs=7, batch_size=128)
    assert fitting.n_epochs(plan(max_epochs=None, batch_size=128), n_rows) == epochs
    assert fitting.n_epochs(told, 20) == 7


def test_unknown_device_is_refused_by_name(blobs, small):
    rows, _ = blobs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=r"'device' parameter .* Got 'abacus'"):
            small(device="abacus").fit(rows)
    np.testing.assert_array_equal(
        small(device="cpu").fit(rows).score_samples(rows),
        small().fit(rows).score_samples(rows),
    )


@pytest.mark.slow
def test_training_with_gross_outliers():
    """Trimming and correntropy keep a fifth of gross outliers from being learnt."""
    from sklearn.metrics import roc_auc_score

    from skae import AutoencoderOutlierDetector

    def areas(seed):
        rng = np.random.default_rng(seed)
        mixing, other = rng.normal(size=(10, 20)), rng.normal(size=(5, 20))
        rows = rng.normal(size=(2000, 10)) @ mixing + 0.3 * rng.normal(size=(2000, 20))
        outliers = 4 * rng.normal(size=(700, 5)) @ other
        X = np.vstack([rows[:800], outliers[:200]])
        test = np.vstack([rows[800:], outliers[200:]])
        is_outlier = np.repeat([0, 1], [1200, 500])
        center, scale = X.mean(axis=0), X.std(axis=0)
        for robust in ({}, {"trim": 0.25}, {"loss": "correntropy"}):
            detector = AutoencoderOutlierDetector(
                hidden_layer_sizes=(64,),
                latent_dim=10,
                corruption=None,
                max_iter=60,
                anomaly_score="reconstruction",
                random_state=seed,
                **robust,
            ).fit((X - center) / scale)
            scores = detector.score_samples((test - center) / scale)
            yield roc_auc_score(is_outlier, -scores)

    plain, trimmed, correntropy = np.median([list(areas(s)) for s in range(3)], axis=0)
    assert trimmed > plain + 0.2
    assert correntropy > plain + 0.05


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("jax_disable_jit", True),
        ("jax_enable_x64", True),
        ("jax_debug_nans", True),
        ("jax_numpy_rank_promotion", "raise"),
        ("jax_numpy_dtype_promotion", "strict"),
        ("jax_threefry_partitionable", False),
        ("jax_transfer_guard", "disallow"),
        ("jax_transfer_guard_host_to_device", "disallow"),
    ],
)
def test_settings_of_jax_do_not_change_a_bit(setting, value, blobs, small):
    rows, _ = blobs
    # More rows than one call takes, which threads compute.
    many, usual = np.tile(rows, (40, 1)), small(dropout=0.1, max_iter=2).fit(rows)
    before = getattr(jax.config, setting)
    try:
        jax.config.update(setting, value)
        other = small(dropout=0.1, max_iter=2).fit(rows)
        scores, codes = other.score_samples(many), other.transform(rows)
    finally:
        jax.config.update(setting, before)
    np.testing.assert_array_equal(scores, usual.score_samples(many))
    np.testing.assert_array_equal(codes, usual.transform(rows))


@pytest.mark.parametrize(
    "bottleneck", slow_but(["adversarial"], ["plain", "variational", "adversarial"])
)
def test_gradient_descent_takes_a_large_rate(bottleneck, blobs, small):
    rows, _ = blobs
    detector = small(
        optimizer="sgd", learning_rate=0.1, bottleneck=bottleneck, max_iter=20
    ).fit(rows)
    assert len(detector.history_["loss"]) == 20
    assert detector.history_["loss"][-1] < detector.history_["loss"][0]


def test_a_network_that_is_lost_is_reported(blobs, small):
    """Losses that are finite, but rows that nobody would know again."""
    rows, _ = blobs
    with pytest.warns(ConvergenceWarning, match="far worse than zeros"):
        small(learning_rate=1e4, max_iter=3).fit(rows)
