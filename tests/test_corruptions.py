"""Corruptions do what their names say, to real rows alone, at the scale asked for."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skae.core import corruptions
from tests.helpers import features, hyperparameters

KEY = jax.random.key(0)
CELLS = ["masking", "salt_and_pepper", "swap"]


def corrupted(name, x, n_rows=None, low=0.3, high=0.3, extremes=(), **changes):
    hyper = hyperparameters()._replace(
        corruption_low=np.float32(low), corruption_high=np.float32(high)
    )
    n_rows = len(x) if n_rows is None else n_rows
    known = features(**changes, **dict(zip(("low", "high"), extremes, strict=False)))
    return np.asarray(
        corruptions.corrupt(KEY, x, n_rows, hyper, known, corruption=name)
    )


def mean_of_log_uniform(low, high, power=1):
    if low == high:
        return low**power
    return (high**power - low**power) / (power * np.log(high / low))


def test_gaussian_noise_has_the_given_scales():
    scale = np.array([1.0, 10.0, 0.0], np.float32)
    x = np.full((20_000, 3), 7, np.float32)
    for low, high in ((0.05, 0.8), (0.05, 0.05)):
        noise = corrupted("gaussian", x, low=low, high=high, scale=scale) - x
        assert not noise[:, 2].any()
        np.testing.assert_allclose(noise[:, 1].std() / noise[:, 0].std(), 10, rtol=0.02)
        expected = mean_of_log_uniform(low, high, power=2)
        np.testing.assert_allclose(noise[:, 0].var(), expected, rtol=0.05)
        assert abs(noise[:, 0].mean()) < 0.01


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("low, high", [(0.3, 0.3), (0.05, 1.0), (1.0, 1.0)])
def test_the_given_share_of_the_cells_is_replaced(name, low, high):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(4000, 4)).astype(np.float32)
    changed = (corrupted(name, x, low=low, high=high) != x).mean(axis=0)
    expected = mean_of_log_uniform(low, high)
    np.testing.assert_allclose(changed, expected, atol=0.03)


def test_masked_cells_hold_the_mean_of_their_feature():
    x = np.full((500, 4), 9, np.float32)
    center = np.array([0, 1, 2, 3], np.float32)
    result = corrupted("masking", x, center=center)
    for values, mean in zip(result.T, center, strict=True):
        assert set(values) == {9, mean}


def test_salt_and_pepper_are_the_extremes_and_as_frequent():
    x = np.zeros((20_000, 4), np.float32)
    low, high = np.array([-1, -2, -3, -4]), np.array([1, 2, 3, 4])
    result = corrupted(
        "salt_and_pepper",
        x,
        extremes=(low.astype(np.float32), high.astype(np.float32)),
    )
    np.testing.assert_allclose((result == low).mean(axis=0), 0.15, atol=0.01)
    np.testing.assert_allclose((result == high).mean(axis=0), 0.15, atol=0.01)


@given(n_rows=st.integers(1, 40), seed=st.integers(0, 9))
def test_swapped_cells_come_from_real_rows_of_the_same_feature(n_rows, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40, 4)).astype(np.float32)
    x[n_rows:] = np.nan
    result = corrupted("swap", x, n_rows, low=1.0, high=1.0)[:n_rows]
    for values, feature in zip(result.T, x[:n_rows].T, strict=True):
        assert set(values) <= set(feature)


def test_swapping_takes_all_rows_alike():
    x = np.repeat(np.arange(4, dtype=np.float32), 2000)[:, None] * np.ones(4, "f4")
    result = corrupted("swap", x, low=1.0, high=1.0)
    _, counts = np.unique(result, return_counts=True)
    np.testing.assert_allclose(counts / counts.sum(), 0.25, atol=0.02)


@pytest.mark.parametrize("name", corruptions.CORRUPTIONS)
def test_keys_decide(name):
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    np.testing.assert_array_equal(corrupted(name, x), corrupted(name, x))
    hyper = hyperparameters()
    key, known = jax.random.key(1), features()
    other = corruptions.corrupt(key, x, 50, hyper, known, corruption=name)
    assert (np.asarray(other) != corrupted(name, x)).any()


def test_no_corruption_leaves_rows_clean():
    x = np.ones((3, 4), np.float32)
    np.testing.assert_array_equal(corrupted(None, x), x)
