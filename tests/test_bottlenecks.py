"""Variational and adversarial bottlenecks: formulas, games, samples."""

import pickle
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import NearestNeighbors

from skae import AutoencoderOutlierDetector
from skae.core import networks
from skae.core.bottlenecks import BOTTLENECKS, adversarial, variational
from skae.core.bottlenecks.bottleneck import key_of_draws
from skae.core.config import NetworkConfig
from skae.core.objective import objective, row_losses
from skae.io import load, save
from skae.testing import count_compilations
from tests.helpers import (
    configure,
    features,
    hyperparameters,
    slow_but,
)

VARIATIONAL = NetworkConfig(4, (6,), 3, (6,), "tanh", "identity", "variational")
ADVERSARIAL = NetworkConfig(4, (6,), 3, (6,), "tanh", "identity", "adversarial")


def random_parameters(network, seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: np.asarray(value + 0.1 * rng.normal(size=value.shape), np.float32)
        for name, value in networks.init(rng, config=network).items()
    }


def dense(params, name, x):
    kernel = params[f"{name}.kernel"].astype(float)
    return x @ kernel + params[f"{name}.bias"]


def divergence(mean, logit):
    variance = special.expit(logit)
    return (mean**2 + variance - np.log(variance) - 1) / 2


@given(st.floats(-5, 5), st.floats(-6, 12))
def test_divergence_is_the_integral_that_defines_it(mean, logit):
    encoded = np.array([[mean, logit]], np.float32)
    code, prior = stats.norm(mean, np.sqrt(special.expit(logit))), stats.norm()

    def density(z):
        return code.pdf(z) * (code.logpdf(z) - prior.logpdf(z))

    around = code.mean() + code.std() * np.array([-10, 10])
    expected, _ = integrate.quad(density, *around)
    got = float(variational.divergences(encoded)[0, 0])
    assert got == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(st.floats(-1e6, 1e6), st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_divergences_are_finite_and_hardly_negative(mean, logit):
    got = float(variational.divergences(np.array([[mean, logit]], "f4"))[0, 0])
    assert np.isfinite(got)
    assert got > -1e-6


def test_draws_have_mean_and_variance_of_the_distribution():
    encoded = np.tile(np.float32([2, -1, 3, special.logit(0.25)]), (100_000, 1))
    draws = np.asarray(variational.draw(jax.random.key(0), encoded))
    np.testing.assert_allclose(draws.mean(axis=0), [2, -1], atol=0.03)
    expected = [np.sqrt(special.expit(3)), 0.5]
    np.testing.assert_allclose(draws.std(axis=0), expected, rtol=0.01)


@pytest.mark.parametrize("is_masked", [False, True])
def test_variational_loss_is_the_formula_at_the_drawn_codes(is_masked):
    params = random_parameters(VARIATIONAL)
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    x[3, 1] = np.nan if is_masked else x[3, 1]
    hyper = hyperparameters()._replace(beta=np.float32(0.7))
    key = jax.random.key(3)
    losses, codes = jax.jit(
        lambda *a: row_losses(
            *a,
            network=VARIATIONAL,
            training=configure(is_masked=is_masked),
            evaluate=False,
        )
    )(params, key, x, jnp.ones(5), hyper, features())
    observed, filled = ~np.isnan(x), np.nan_to_num(x).astype(float)
    hidden = np.tanh(dense(params, "encoder.0", filled))
    mean, logit = np.split(dense(params, "encoder.1", hidden), 2, axis=1)
    np.testing.assert_allclose(codes, mean, rtol=1e-4, atol=1e-5)
    noise = jax.random.normal(key_of_draws(key), mean.shape)
    drawn = mean + np.sqrt(special.expit(logit)) * np.asarray(noise, float)
    hidden = np.tanh(dense(params, "decoder.0", drawn))
    squared = (filled - dense(params, "decoder.1", hidden)) ** 2
    log_noise = params["noise.log_variance"]
    likelihood = (squared * np.exp(-log_noise) + log_noise) / 2
    bound = np.where(observed, likelihood, 0).sum(axis=1)
    bound += 0.7 * divergence(mean, logit).sum(axis=1)
    expected = bound / observed.sum(axis=1)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def logits(params, z):
    for i in range(3):
        z = dense(params, f"discriminator.{i}", z)
        z = np.where(z > 0, z, 0.2 * z) if i < 2 else z
    return z[:, 0]


def test_game_equals_its_formulas():
    params = random_parameters(ADVERSARIAL)
    rng = np.random.default_rng(1)
    code = rng.normal(size=(7, 3)).astype(np.float32)
    weight = np.float32([1, 2, 0.5, 0, 1, 3, 0])
    key = jax.random.key(5)
    prior = np.asarray(jax.random.normal(key, code.shape), float)

    def mean(values):
        return (values * weight).sum() / 5

    def slope(z):
        moves = 1e-6 * np.eye(3)
        parts = [logits(params, z + m) - logits(params, z - m) for m in moves]
        return np.square(np.array(parts) / 2e-6).sum(axis=0)

    sure = logits(params, code)
    expected = mean(np.logaddexp(0, -sure))
    got = adversarial.deception(params, code, weight)
    assert float(got) == pytest.approx(expected, rel=1e-5)
    losses = np.logaddexp(0, sure) + np.logaddexp(0, -logits(params, prior))
    penalty = adversarial.SLOPE_PENALTY * (slope(code.astype(float)) + slope(prior)) / 2
    got = adversarial._detection(params, key, code, weight)
    assert float(got) == pytest.approx(mean(losses + penalty), rel=1e-5)


def test_each_player_moves_its_own_weights():
    params = random_parameters(ADVERSARIAL)
    others, discriminator = BOTTLENECKS["adversarial"].split(params)
    rng = np.random.default_rng(0)
    code = rng.normal(3, 1, size=(64, 3)).astype(np.float32)
    weight = np.ones(64, np.float32)
    optimizer_state = adversarial.init(discriminator, 0.01)
    before = adversarial.deception(params, code, weight)
    discriminate = jax.jit(adversarial.discriminate)
    for step in range(20):
        discriminator, optimizer_state = discriminate(
            discriminator,
            optimizer_state,
            jax.random.key(step),
            code,
            weight,
            np.float32(0.01),
        )
    assert set(discriminator) == {n for n in params if n.startswith("discriminator")}
    # It has learnt that these codes are no draws of the prior.
    assert adversarial.deception(others | discriminator, code, weight) > before + 1
    gradient = jax.grad(objective)(
        params,
        jax.random.key(0),
        rng.normal(size=(64, 4)).astype(np.float32),
        weight,
        hyperparameters()._replace(beta=np.float32(0)),
        features(),
        network=ADVERSARIAL,
        training=configure(),
    )
    assert not any(np.any(gradient[name]) for name in discriminator)


@pytest.fixture(scope="module")
def gaussian():
    """Rows of one Gaussian whose smallest variance is far below the others."""
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    rows = rng.normal(size=(4000, 5)) * np.sqrt([4, 2, 1, 0.5, 0.05])
    return rows @ axes.T + [1, -2, 0, 0.5, 3]


@pytest.mark.slow
def test_linear_variational_network_recovers_a_gaussian(gaussian):
    detector = AutoencoderOutlierDetector(
        bottleneck="variational",
        hidden_layer_sizes=(),
        latent_dim=4,
        corruption=None,
        anomaly_score="elbo",
        learning_rate=0.02,
        max_iter=1500,
        validation_fraction=0.0,
        random_state=0,
    ).fit(gaussian)
    n_rows = len(gaussian)
    samples = detector.sample(n_rows, random_state=0)
    mean, covariance = gaussian.mean(axis=0), np.cov(gaussian.T)
    variance = np.diag(covariance)
    # Both are samples, hence the 2.
    mean_error = np.sqrt(2 * variance / n_rows)
    error = np.sqrt(2 * (np.outer(variance, variance) + covariance**2) / n_rows)
    assert (np.abs(samples.mean(axis=0) - mean) < 4 * mean_error).all()
    assert (np.abs(np.cov(samples.T) - covariance) < 4 * error).all()
    log_variance = float(detector.weights_["noise.log_variance"][0])
    assert np.exp(log_variance) == pytest.approx(0.05, rel=0.1)


def test_elbo_is_the_formula_and_does_not_vary(blobs, small):
    rows, outliers = blobs
    detector = small(bottleneck="variational", anomaly_score="elbo", max_iter=60)
    detector.fit(rows)
    # The bias of the second layer is wide enough for mean and log variance.
    assert detector.weights_["encoder.1.bias"].shape == (1, 8)
    params = {name: value[0] for name, value in detector.weights_.items()}
    hidden = dense(params, "encoder.0", rows)
    hidden *= (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3))) / 2
    mean, logit = np.split(dense(params, "encoder.1", hidden), 2, axis=1)
    np.testing.assert_allclose(detector.transform(rows), mean, rtol=1e-3, atol=1e-4)
    residual = np.square(rows - detector.reconstruct(rows)).sum(axis=1)
    noise = np.exp(params["noise.log_variance"])
    bound = residual / (2 * noise) + divergence(mean, logit).sum(axis=1)
    scores = detector.score_samples(rows)
    np.testing.assert_allclose(scores, -bound / 6, rtol=1e-3)
    np.testing.assert_array_equal(detector.score_samples(rows), scores)
    # Far away, where the formula is not used, scores keep falling.
    direction = outliers[0] / np.linalg.norm(outliers[0])
    far = detector.score_samples(np.outer([10, 100, 1e4, 1e9], direction))
    assert (np.diff(far) < 0).all()


def test_elbo_of_incomplete_rows_is_that_of_observed_cells(blobs, small):
    rows, _ = blobs
    kwargs = {"bottleneck": "variational", "anomaly_score": "elbo", "missing": "mask"}
    holes = rows[:50].copy()
    holes[:, 2] = np.nan
    detector = small(**kwargs).fit(rows)
    filled = np.where(np.isnan(holes), detector.statistics_["center"][0], holes)
    params = {name: value[0] for name, value in detector.weights_.items()}
    config = NetworkConfig(**detector.architecture_)
    encoded = networks.bind(params, config=config).encoded(filled.astype(np.float32))
    information = np.asarray(variational.divergences(encoded)).sum(axis=1)
    residual = np.nansum(np.square(holes - detector.reconstruct(holes)), axis=1)
    noise = np.exp(params["noise.log_variance"])
    expected = -(residual / (2 * noise) + information) / 5
    np.testing.assert_allclose(detector.score_samples(holes), expected, rtol=1e-3)


def test_collapsed_posterior_is_reported(blobs, small):
    rows, _ = blobs
    with pytest.warns(ConvergenceWarning, match="posterior has collapsed.* than 100 "):
        small(
            bottleneck="variational", beta=100.0, learning_rate=0.01, max_iter=100
        ).fit(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(bottleneck="variational", max_iter=100).fit(rows)


def test_prior_gains_weight_in_the_first_quarter(blobs, small):
    rows, _ = blobs
    first = {
        beta: small(bottleneck="variational", beta=beta, max_iter=40).fit(rows)
        for beta in (1e-3, 100.0)
    }
    weak, strong = (first[beta].history_["loss"] for beta in first)
    # 80 steps of which 20 warm up; a step later the whole divergence counts.
    assert strong[0] - weak[0] < (strong[10] - weak[10]) / 2


@pytest.fixture(scope="module")
def digits():
    return load_digits().data / 16


PRIORS = ("variational", "adversarial")
DIGITS = {"latent_dim": 8, "corruption": None, "max_iter": 200, "random_state": 0}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Column")
def test_adversarial_codes_match_their_prior_at_little_cost(digits):
    errors = {}
    for bottleneck in ("plain", "adversarial"):
        detector = AutoencoderOutlierDetector(
            bottleneck=bottleneck, **DIGITS | {"max_iter": 400}
        ).fit(digits)
        residual = digits - detector.reconstruct(digits)
        errors[bottleneck] = np.square(residual).mean()
    # 1.07 to 1.20 with seeds 0 to 3.
    assert errors["adversarial"] < 1.25 * errors["plain"]
    codes = detector.transform(digits)
    prior = np.random.default_rng(0).normal(size=codes.shape)
    accuracy = cross_val_score(
        HistGradientBoostingClassifier(random_state=0),
        np.r_[codes, prior],
        np.repeat([0, 1], len(codes)),
    ).mean()
    assert accuracy < 0.6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Column")
@pytest.mark.parametrize(
    ("bottleneck", "beta"), [("variational", 4.0), ("adversarial", 1.0)]
)
def test_samples_are_new_digits(digits, bottleneck, beta):
    detector = AutoencoderOutlierDetector(
        bottleneck=bottleneck, beta=beta, output_activation="sigmoid", **DIGITS
    ).fit(digits)
    samples = detector.sample(500, random_state=1)
    assert samples.shape == (500, 64)
    assert samples.dtype == np.float64
    if bottleneck == "variational":
        # The noise aside, which would be the whole difference.
        codes = np.random.RandomState(1).standard_normal((500, 8))
        noise = samples - detector.inverse_transform(codes)
        log_variance = float(detector.weights_["noise.log_variance"][0])
        assert noise.std() == pytest.approx(np.exp(log_variance / 2), rel=0.05)
        samples = samples - noise
    nearest = NearestNeighbors(n_neighbors=2).fit(digits)
    to_rows = nearest.kneighbors(samples)[0][:, 0]
    between_rows = nearest.kneighbors(digits)[0][:, 1]
    assert np.median(to_rows) > 0.5 * np.median(between_rows)
    # Yet nearer than rows of independent pixels are.
    rng = np.random.default_rng(0)
    shuffled = rng.permuted(digits, axis=0)
    assert np.median(to_rows) < np.median(nearest.kneighbors(shuffled)[0][:, 0]) / 1.3


@pytest.mark.parametrize("bottleneck", slow_but(("variational",), PRIORS))
def test_samples_follow_the_seed_and_leave_global_state_alone(
    bottleneck, blobs, small, tmp_path
):
    rows, _ = blobs
    detector = small(bottleneck=bottleneck, n_estimators=2).fit(rows)
    state = np.random.get_state()[1].copy()
    samples = detector.sample(7, random_state=3)
    save(detector, tmp_path / "a")
    for other in (
        detector,
        pickle.loads(pickle.dumps(detector)),
        load(tmp_path / "a"),
        small(bottleneck=bottleneck).fit(rows),
    ):
        np.testing.assert_array_equal(other.sample(7, random_state=3), samples)
    assert np.any(detector.sample(7) != detector.sample(7))
    assert detector.sample().shape == (1, 6)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    for bad in (0, -1, 1.5, "3", None, True):
        with pytest.raises(ValueError, match="'n_samples' parameter"):
            detector.sample(bad)


def test_only_generative_detectors_sample(blobs, small):
    rows, _ = blobs
    plain = small()
    assert not hasattr(plain, "sample")
    assert hasattr(small(bottleneck="adversarial"), "sample")
    plain.fit(rows).set_params(bottleneck="variational")
    assert not hasattr(plain, "sample")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"anomaly_score": "elbo", "bottleneck": "plain"},
            "'bottleneck'.*'elbo'. Got 'plain'",
        ),
        (
            {"anomaly_score": "elbo", "bottleneck": "adversarial"},
            "'bottleneck'.*'elbo'. Got 'adversarial'",
        ),
        (
            {"bottleneck": "variational", "loss": "huber"},
            "'loss'.*'variational'. Got 'huber'",
        ),
        (
            {"bottleneck": "variational", "sparsity": 0.1, "activation": "sigmoid"},
            "'bottleneck'.*sparsity > 0. Got 'variational'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(values, message, blobs, small):
    with pytest.raises(ValueError, match=message):
        small(**values).fit(blobs[0])


@pytest.mark.parametrize("bottleneck", slow_but(("adversarial",), PRIORS))
def test_strength_of_the_prior_compiles_nothing(bottleneck, blobs, small):
    rows, _ = blobs
    small(bottleneck=bottleneck, latent_dim=3).fit(rows)
    with count_compilations() as counts:
        small(bottleneck=bottleneck, latent_dim=3, beta=0.3).fit(rows[:250])
    assert not counts


@pytest.mark.parametrize("bottleneck", slow_but(("variational",), PRIORS))
def test_training_goes_on_where_it_ended(bottleneck, blobs, small):
    rows, _ = blobs
    detector = small(bottleneck=bottleneck, warm_start=True, max_iter=100).fit(rows)
    before = detector.history_["loss"][-1]
    detector.set_params(max_iter=3).fit(rows)
    # A prior that gains its weight once more would show as a sudden fall.
    assert detector.history_["loss"][-1] == pytest.approx(before, abs=0.1)
    with pytest.raises(ValueError, match="must stay"):
        detector.set_params(bottleneck="plain").fit(rows)
    stream = small(bottleneck=bottleneck)
    for _ in range(3):
        stream.partial_fit(rows)
    assert np.isfinite(stream.score_samples(rows)).all()
    assert stream.sample(3).shape == (3, 6)


@pytest.mark.filterwarnings("ignore:Column")
@pytest.mark.parametrize("bottleneck", ["variational", "adversarial"])
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_columns_of_any_scale_give_finite_results(bottleneck, scale, blobs, small):
    rows = blobs[0] * scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        detector = small(bottleneck=bottleneck).fit(rows)
        if bottleneck == "variational":
            detector.set_params(anomaly_score="elbo").fit(rows)
    assert np.isfinite(detector.score_samples(rows)).all()
    assert np.isfinite(detector.sample(100, random_state=0)).all()


def test_summary_lists_what_the_bottleneck_adds(blobs, small):
    for bottleneck, names in (
        ("variational", ["code", "noise"]),
        ("adversarial", ["discriminator.0", "discriminator.2"]),
    ):
        detector = small(bottleneck=bottleneck).fit(blobs[0])
        text = detector.summary()
        assert all(name in text for name in names)
        counts = [
            int(line.split()[-1].replace(",", ""))
            for line in text.split("\n")
            if "(None" in line
        ]
        assert sum(counts) == detector.n_parameters_


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bottleneck", "rate"),
    [("variational", 0.01), ("variational", 0.1), ("adversarial", 0.03)],
)
def test_optimizers_that_do_not_scale_gradients_train_too(bottleneck, rate):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 6))
    rows = rows / rows.std(axis=0) + 0.1 * rng.normal(size=(600, 6))
    detector = AutoencoderOutlierDetector(
        bottleneck=bottleneck,
        hidden_layer_sizes=(32,),
        latent_dim=2,
        optimizer="sgd",
        learning_rate=rate,
        anomaly_score="reconstruction",
        max_iter=40,
        random_state=0,
    ).fit(rows)
    assert detector.n_iter_ == 40
    spread = detector.sample(500, random_state=0).std(axis=0)
    assert (spread < 3).all()


@pytest.mark.parametrize("bottleneck", ["variational", "adversarial"])
def test_early_stopping_waits_for_the_prior(bottleneck, blobs, small):
    rows, _ = blobs
    detector = small(
        bottleneck=bottleneck,
        beta=4.0,
        early_stopping=True,
        validation_fraction=0.0,
        n_iter_no_change=2,
        max_iter=100,
    ).fit(rows)
    assert detector.n_iter_ > 25


def test_plain_detectors_say_why_they_do_not_sample(small):
    with pytest.raises(AttributeError) as caught:
        small().sample(3)
    assert "Got 'plain'" in str(caught.value)
