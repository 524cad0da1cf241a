"""Penalties equal their formulas and do their work."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skae.core import networks, penalties
from skae.core.config import NetworkConfig
from tests.helpers import hyperparameters


def terms(width=4, latent=3, n_rows=7, activation="sigmoid", seed=0):
    """A batch and what a random network makes of it."""
    rng = np.random.default_rng(seed)
    config = NetworkConfig(width, (6,), latent, (6,), activation, "identity")
    params = networks.init(rng, config=config)
    module = networks.bind(params, config=config)
    x = jnp.asarray(rng.normal(size=(n_rows, width)), jnp.float32)
    weight = jnp.asarray(rng.uniform(0.1, 2, size=n_rows), jnp.float32)
    key = jax.random.key(seed)
    code = module.encode(x)
    return penalties.Terms(
        params, key, x, code, weight, hyperparameters(), module.encode
    )


def relative_entropy(target, mean):
    return target * np.log(target / mean) + (1 - target) * np.log(
        (1 - target) / (1 - mean)
    )


def squared_jacobian(given):
    """Squared norm of the Jacobian of each row, by finite differences of float64."""
    params = {k: np.asarray(v, float) for k, v in given.params.items()}

    def encode(x):
        for i in range(2):
            z = x @ params[f"encoder.{i}.kernel"] + params[f"encoder.{i}.bias"]
            x = 1 / (1 + np.exp(-z))
        return x

    x, step = np.asarray(given.x, float), 1e-5
    moves = step * np.eye(x.shape[1])
    columns = [(encode(x + move) - encode(x - move)) / (2 * step) for move in moves]
    return np.square(columns).sum(axis=(0, 2))


def test_penalties_equal_their_formulas():
    given = terms()
    code, weight = np.asarray(given.code, float), np.asarray(given.weight, float)
    kernels = [
        np.asarray(v, float) for k, v in given.params.items() if k.endswith("kernel")
    ]
    mean = (code * weight[:, None]).sum(axis=0) / weight.sum()
    expected = {
        "alpha": sum((k**2).sum() for k in kernels),
        "l1_weights": sum(np.abs(k).sum() for k in kernels),
        "l1_activity": (np.abs(code).sum(axis=1) * weight).sum() / 7,
        "l2_activity": ((code**2).sum(axis=1) * weight).sum() / 7,
        "sparsity": relative_entropy(0.05, mean).sum(),
        "contraction": (squared_jacobian(given) * weight).sum() / 7,
    }
    assert set(expected) == set(penalties.PENALTIES)
    for name, (function, _) in penalties.PENALTIES.items():

        def penalty(params, x, code, weight, function=function):
            changed = {"params": params, "x": x, "code": code, "weight": weight}
            return function(given._replace(**changed))

        for run in (penalty, jax.jit(penalty)):
            found = run(given.params, given.x, given.code, given.weight)
            np.testing.assert_allclose(found, expected[name], rtol=1e-5)


def test_sparsity_is_zero_at_the_target_and_finite_at_the_ends():
    given = terms()
    for mean, lowest, highest in ((0.05, -1e-6, 1e-6), (0, 0.1, 5), (1, 5, 100)):
        code = jnp.full_like(given.code, mean)
        assert lowest <= penalties.sparsity(given._replace(code=code)) <= highest


@pytest.mark.parametrize("width, latent", [(4, 20), (20, 4), (8, 9)])
def test_narrow_jacobians_are_exact(width, latent):
    given = terms(width, latent)
    expected = (squared_jacobian(given) * np.asarray(given.weight)).sum() / 7
    np.testing.assert_allclose(penalties.contraction(given), expected, rtol=1e-4)


def test_projections_estimate_wide_jacobians():
    given = terms(12, 10)
    exact = (squared_jacobian(given) * np.asarray(given.weight)).sum() / 7
    keys = jax.random.split(jax.random.key(1), 4000)
    estimate = jax.vmap(lambda key: penalties.contraction(given._replace(key=key)))
    found = np.asarray(estimate(keys))
    assert found.std() > 0.01 * exact
    np.testing.assert_allclose(found.mean(), exact, rtol=0.02)


WORK = {
    "alpha": (0.01, {}),
    "l1_weights": (0.02, {}),
    "l1_activity": (0.3, {}),
    "l2_activity": (0.3, {}),
    "sparsity": (0.1, {"activation": "sigmoid"}),
    "contraction": (0.1, {}),
}


def sizes(detector, rows):
    """What each penalty makes small."""
    codes = detector.transform(rows)
    kernels = [w for k, w in detector.weights_.items() if "kernel" in k]
    step = 1e-2 * np.random.default_rng(0).normal(size=rows.shape)
    return {
        "alpha": sum((w**2).sum() for w in kernels),
        "l1_weights": sum(np.abs(w).sum() for w in kernels),
        "l1_activity": np.abs(codes).mean(),
        "l2_activity": (codes**2).mean(),
        "sparsity": np.abs(codes.mean(axis=0) - 0.05).mean(),
        "contraction": ((detector.transform(rows + step) - codes) ** 2).mean(),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", penalties.PENALTIES)
def test_penalties_do_their_work(name, blobs, small):
    rows, _ = blobs
    strength, others = WORK[name]
    plain = small(max_iter=90, **others).fit(rows)
    penalised = small(max_iter=90, **others, **{name: strength}).fit(rows)
    assert sizes(penalised, rows)[name] < 0.8 * sizes(plain, rows)[name]
