"""What sparse, contractive and denoising autoencoders are for, on digits."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skae import AutoencoderOutlierDetector


@pytest.fixture(scope="module")
def digits():
    """Pixels in [0, 1]: rows to train on, others, and these with noise."""
    X = load_digits().data / 16
    # As large as the pixels vary: rows far outside of the data are pulled back to it.
    noise = np.random.default_rng(1).normal(size=X[1200:].shape) * X[:1200].std(axis=0)
    return X[:1200], X[1200:], X[1200:] + noise


def trained(X, **parameters):
    defaults = {
        "hidden_layer_sizes": (64,),
        "latent_dim": 32,
        "corruption": None,
        "max_iter": 100,
        "validation_fraction": 0,
        "anomaly_score": "reconstruction",
        "random_state": 0,
    }
    # Pixels at the edge hardly vary.
    with pytest.warns(UserWarning, match="standard deviation"):
        return AutoencoderOutlierDetector(**defaults | parameters).fit(X)


def loss(detector, given, wanted):
    return np.square(detector.reconstruct(given) - wanted).mean()


@pytest.mark.slow
def test_l1_makes_codes_sparse(digits):
    train, test, _ = digits
    plain, sparse = (
        trained(train, activation="relu", l1_activity=l1) for l1 in (0, 1e-4)
    )
    assert loss(sparse, test, test) < 1.1 * loss(plain, test, test)
    inactive, before = (d.transform(test) < 0.05 for d in (sparse, plain))
    assert inactive.mean() > max(0.5, before.mean())


@pytest.mark.slow
def test_kl_makes_codes_sparse(digits):
    train, test, noisy = digits
    wide = {
        "hidden_layer_sizes": (),
        "latent_dim": 512,
        "activation": "sigmoid",
        "corruption": "gaussian",
        "corruption_scale": 1.0,
        "learning_rate": 5e-3,
    }
    plain, sparse = (trained(train, sparsity=kl, **wide) for kl in (0, 3e-4))
    assert loss(sparse, noisy, test) < 1.1 * loss(plain, noisy, test)
    assert (plain.transform(test) < 0.1).mean() < 0.1
    assert (sparse.transform(test) < 0.1).mean() > 0.5


@pytest.mark.slow
def test_contraction_makes_the_jacobian_smaller(digits):
    train, test, _ = digits
    step = 1e-2 * np.random.default_rng(0).normal(size=(5, *test.shape))

    def jacobian(detector):
        code = detector.transform(test)
        return np.mean([((detector.transform(test + s) - code) ** 2) for s in step])

    plain, contractive = (
        trained(train, activation="sigmoid", contraction=c) for c in (0, 1e-3)
    )
    assert loss(contractive, test, test) < 1.1 * loss(plain, test, test)
    assert jacobian(contractive) < 0.7 * jacobian(plain)


@pytest.mark.slow
@pytest.mark.parametrize("corruption", ["gaussian", "masking", "swap"])
def test_denoising_restores_noisy_rows(corruption, digits):
    train, test, noisy = digits
    plain, denoising = (
        trained(train, corruption=c, corruption_scale=s)
        for c, s in ((None, 0.5), (corruption, (0.1, 1.0)))
    )
    assert loss(denoising, noisy, test) < 0.9 * loss(plain, noisy, test)
