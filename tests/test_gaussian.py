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
    # Few rows tell next to nothing about the smaller of the variances.
    assert len(components) == len(v) // 4
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


@pytest.fixture(params=["full", "low rank"])
def fitted(request, monkeypatch):
    """Rows, a Gaussian of them, and its covariance."""
    rng = np.random.default_rng(0)
    v = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 6))
    v += rng.normal(scale=0.3, size=v.shape) + 2
    if request.param == "low rank":
        monkeypatch.setattr(gaussian, "FULL_COVARIANCE_WIDTH", 4)
        monkeypatch.setattr(gaussian, "LOW_RANK", 3)
    found = gaussian.fit(v, np.ones(200))
    components = found["components"].astype(float)
    precision = components.T * found["precision_root"].astype(float) ** 2 @ components
    rest = np.eye(6) - components.T @ components
    precision += rest * found["rest_root"].astype(float) ** 2
    return v[:40], found, np.linalg.inv(precision)


def test_incomplete_rows_have_the_distance_of_the_marginal_gaussian(fitted):
    v, found, covariance = fitted
    observed = np.random.default_rng(1).random(v.shape) < 0.6
    observed[:, 2] = True
    centred = v - found["mean"]
    expected = [
        row[few] @ np.linalg.solve(covariance[np.ix_(few, few)], row[few]) / few.sum()
        for row, few in zip(centred, observed, strict=True)
    ]
    incomplete = np.where(observed, v, np.nan)
    np.testing.assert_allclose(
        gaussian.energies(incomplete, found), expected, rtol=1e-3
    )
    # What stands in the missing cells does not matter.
    distance = gaussian.distance(centred.astype(np.float32), found, observed)
    np.testing.assert_allclose(np.square(distance), expected, rtol=1e-3)


def test_cells_are_judged_by_the_others_of_their_row(fitted):
    v, found, covariance = fitted
    centred = v - found["mean"]
    expected = np.empty_like(centred)
    for j in range(6):
        others = np.delete(np.arange(6), j)
        weights = np.linalg.solve(
            covariance[np.ix_(others, others)], covariance[others, j]
        )
        variance = covariance[j, j] - covariance[j, others] @ weights
        expected[:, j] = (centred[:, j] - centred[:, others] @ weights) ** 2 / variance
    found = {name: value.astype(float) for name, value in found.items()}
    np.testing.assert_allclose(
        gaussian.conditional(centred, found), expected, rtol=1e-3, atol=1e-6
    )


def test_covariances_are_those_of_the_rows_that_have_both_cells():
    rng = np.random.default_rng(0)
    v = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4)) + 1
    v[rng.random(v.shape) < 0.2] = np.nan
    weight = rng.uniform(0.5, 3, size=300)
    each = np.where(np.isnan(v), 0.0, weight[:, None])
    mean = np.nansum(each * v, axis=0) / each.sum(axis=0)
    expected = np.empty((4, 4))
    for j, k in np.ndindex(4, 4):
        both = ~np.isnan(v[:, j] + v[:, k])
        product = (v[both, j] - mean[j]) * (v[both, k] - mean[k])
        expected[j, k] = np.average(product, weights=weight[both])
    found = {k: s.astype(float) for k, s in gaussian.fit(v, weight).items()}
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-5)
    components = found["components"]
    covariance = components.T / found["precision_root"] ** 2 @ components
    ridge = 1e-2 * np.trace(expected) / 4 * np.eye(4)
    np.testing.assert_allclose(covariance, expected + ridge, rtol=1e-4, atol=1e-5)


def test_of_incomplete_rows_the_observed_cells_have_the_root_mean_square():
    x = np.array([[3.0, np.nan, 4.0], [np.nan, 2.0, np.nan]], np.float32)
    found = gaussian.root_mean_square(x, ~np.isnan(x))
    np.testing.assert_allclose(found, [5 / np.sqrt(2), 2], rtol=1e-6)


def test_missing_cells_are_filled_by_what_depends_on_them():
    rng = np.random.default_rng(0)
    v = rng.normal(5, 2, size=(300, 2))
    v = np.c_[v, 3 - 2 * v[:, 0]]
    incomplete = v.copy()
    incomplete[::7, 2] = np.nan
    found = gaussian.completed(incomplete, np.ones(300))
    # The ridge pulls them to the mean, which is up to 13 away, a little.
    np.testing.assert_allclose(found, v, atol=1)
    np.testing.assert_allclose(found[1::7], v[1::7], rtol=1e-6)
