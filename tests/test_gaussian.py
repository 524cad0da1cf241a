import numpy as np
import pytest

from skae.core import batching, gaussian


@pytest.mark.parametrize("weighted", [False, True])
def test_energies_are_squared_mahalanobis_distances(weighted):
    rng = np.random.default_rng(0)
    v = rng.normal(size=(100, 5)) @ rng.normal(size=(5, 5)) + 3
    weight = rng.integers(1, 4, size=100) if weighted else np.ones(100, int)
    repeated = np.repeat(v, weight, axis=0)
    covariance = np.cov(repeated.T, bias=True)
    ridge = 1e-2 * np.trace(covariance) / 5 * np.eye(5)
    centred = v - repeated.mean(axis=0)
    precision = np.linalg.inv(covariance + ridge)
    expected = np.einsum("ij,jk,ik->i", centred, precision, centred) / 5
    fitted = gaussian.fit(v, weight.astype(float))
    np.testing.assert_allclose(gaussian.energies(v, fitted), expected, rtol=1e-4)
    distance = gaussian.distance(centred.astype(np.float32), fitted)
    np.testing.assert_allclose(np.square(distance), expected, rtol=1e-4)


def test_wide_rows_get_a_low_rank_covariance(monkeypatch):
    """The leading directions and one variance for the rest, as in probabilistic PCA."""
    rng = np.random.default_rng(0)
    loading = rng.normal(size=(3, 40)) * 3
    v = rng.normal(size=(2000, 3)) @ loading + 0.5 * rng.normal(size=(2000, 40))
    full = gaussian.fit(v, np.ones(2000))
    monkeypatch.setattr(gaussian, "FULL_COVARIANCE_WIDTH", 30)
    monkeypatch.setattr(gaussian, "LOW_RANK", 20)
    low = gaussian.fit(v, np.ones(2000))
    assert full["components"].shape == (40, 40)
    assert low["components"].shape == (20, 40)
    test = rng.normal(size=(300, 3)) @ loading + rng.normal(size=(300, 40))
    centred = (test - v.mean(axis=0)).astype(np.float32)
    exact = np.asarray(gaussian.distance(centred, full))
    close = np.asarray(gaussian.distance(centred, low))
    np.testing.assert_allclose(close, exact, rtol=0.05)
    np.testing.assert_allclose(gaussian.energies(test, low), close**2, rtol=1e-4)
    np.testing.assert_allclose(gaussian.energies(test, full), exact**2, rtol=1e-4)


@pytest.mark.parametrize("kind", ["few rows", "exact rank", "equal rows"])
def test_low_rank_covariance_has_orthogonal_directions(kind):
    rng = np.random.default_rng(0)
    v = {
        "few rows": rng.normal(size=(100, 2000)),
        "exact rank": rng.normal(size=(300, 3)) @ rng.normal(size=(3, 2000)),
        "equal rows": np.repeat(rng.normal(size=(4, 2000)), 50, axis=0),
    }[kind]
    statistics = gaussian.fit(v, np.ones(len(v)))
    components = statistics["components"].astype(float)
    overlap = components @ components.T
    used = np.diag(overlap) > 0.5
    np.testing.assert_allclose(overlap, np.diag(used.astype(float)), atol=1e-4)
    centred = (v - v.mean(axis=0)).astype(np.float32)
    # The mean energy of the training rows is their share of explained dimensions.
    energy = np.asarray(gaussian.distance(centred, statistics)) ** 2
    assert energy.mean() <= 1.01


def test_root_mean_square_neither_overflows_nor_loses_small_numbers():
    x = np.array([[3e25, 4e25], [3e-20, 4e-20], [0, 0]], np.float32)
    expected = np.array([5e25, 5e-20, 0]) / np.sqrt(2)
    np.testing.assert_allclose(gaussian.root_mean_square(x), expected, rtol=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.3, -1e5, 1e-40])
def test_rows_that_differ_by_rounding_have_no_spread(level):
    v = np.full((50, 4), level) * (1 + 1e-16 * np.arange(50)[:, None])
    fitted = gaussian.fit(v, np.ones(50))
    np.testing.assert_allclose(fitted["precision_root"], 1.0)


@pytest.mark.parametrize("scale", [1e-11, 1.0, 1e10, 1e21])
def test_missing_cells_are_filled_at_any_scale(scale):
    rng = np.random.default_rng(0)
    v = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4))
    rows = v[:5].copy()
    rows[:, 1] = np.nan
    expected = gaussian.complete_on_host(rows, gaussian.fit(v, np.ones(200)))
    fitted = gaussian.fit(v * scale, np.ones(200))
    on_host = gaussian.complete_on_host(rows * scale, fitted) / scale
    np.testing.assert_allclose(on_host, expected, rtol=1e-3)
    filled = np.nan_to_num(rows * scale).astype(np.float32)
    on_device = np.asarray(gaussian.complete(filled, ~np.isnan(rows), fitted), float)
    np.testing.assert_allclose(on_device / scale, expected, rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-10, 1e-12, 1e-13, 1e-20])
def test_the_farthest_rows_have_finite_distances_at_any_scale(scale):
    """They are as many deviations away as float32 has numbers for."""
    v = scale * np.random.default_rng(0).normal(size=(50, 3))
    v[:, 2] = v[:, 0]
    found = gaussian.fit(v, np.ones(50))
    far = batching.LARGEST * np.array([[1, 1, 1], [1, 1, -1]], np.float32)
    assert np.isfinite(gaussian.distance(far.astype(np.float32), found)).all()
