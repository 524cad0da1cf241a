import numpy as np
import pytest
from scipy.spatial.distance import cdist

from skae.core import memory


@pytest.mark.parametrize("n_features", [6, 150_000])
@pytest.mark.parametrize("n_rows", [1, 5, 27])
def test_distance_is_that_to_the_nearest_row(n_rows, n_features):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n_rows, n_features)).astype(np.float32)
    queries = rng.normal(size=(5, n_features)).astype(np.float32)
    queries[:1] = rows[:1]
    found = memory.distance(queries, memory.in_chunks(rows))
    expected = cdist(queries, rows).min(axis=1) / np.sqrt(n_features)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert found[0] == 0


@pytest.mark.parametrize("n_rows", [512, 513, 1800, memory.MAX_ROWS])
def test_of_many_rows_the_nearest_is_found(n_rows):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n_rows, 6)).astype(np.float32)
    queries = rng.normal(size=(300, 6)).astype(np.float32)
    found = memory.distance(queries, memory.in_chunks(rows))
    expected = cdist(queries, rows).min(axis=1) / np.sqrt(6)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_small_distances_keep_their_digits_far_from_the_origin():
    rows = np.array([[1000.0, 1000.0], [-1000.0, 0.0]], np.float32)
    found = memory.distance(rows + np.float32(0.01), memory.in_chunks(rows))
    np.testing.assert_allclose(found, 0.01, rtol=1e-2)


def test_leaving_one_out_measures_the_distance_to_the_others():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1100, 3)).astype(np.float32)
    rows[7] = rows[900]
    squares = cdist(rows, rows, "sqeuclidean") / 3
    np.fill_diagonal(squares, np.inf)
    found = memory.leave_one_out(rows)
    np.testing.assert_allclose(found, squares.min(axis=1), rtol=1e-4, atol=1e-12)
    assert found[7] == 0


def test_of_incomplete_rows_the_observed_cells_are_near():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 4)).astype(np.float32)
    observed = rng.random(rows.shape) < 0.6
    observed[:, 0] = True
    queries = rng.normal(size=rows.shape).astype(np.float32)

    def squares(x, others):
        differences = np.where(observed[:, None], x[:, None] - others, np.nan)
        squared = np.square(differences, dtype=float)
        return np.nansum(squared, axis=2), np.nanmean(squared, axis=2)

    total, mean = squares(queries, rows)
    expected = np.sqrt(mean[np.arange(60), total.argmin(axis=1)])
    found = memory.distance(queries, memory.in_chunks(rows), observed)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    total, mean = squares(rows, rows)
    np.fill_diagonal(total, np.inf)
    expected = mean[np.arange(60), total.argmin(axis=1)]
    np.testing.assert_allclose(
        memory.leave_one_out(rows, observed), expected, rtol=1e-4
    )


def test_differences_to_the_nearest_other_row_are_told_cell_by_cell():
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    distances = cdist(rows, rows)
    np.fill_diagonal(distances, np.inf)
    expected = np.square(rows - rows[distances.argmin(axis=1)], dtype=float)
    found = memory.squares_left_out(rows, slice(0, 20))
    np.testing.assert_allclose(found, expected[:20], rtol=1e-6)


@pytest.mark.parametrize("n_features", [1, 30, 2000, 10**7])
def test_the_shape_does_not_follow_the_number_of_rows(n_features):
    capacity = memory.capacity(n_features)
    assert 2 <= capacity <= memory.MAX_ROWS
    assert capacity * n_features <= max(memory.MAX_FLOATS, 2 * n_features)
    if n_features <= 2000:
        for n_rows in (2, capacity):
            kept = memory.in_chunks(np.ones((n_rows, n_features), np.float32))
            n_chunks, height = kept["norms"].shape
            assert kept["memory"].shape == (n_chunks, height, n_features)
            assert capacity <= n_chunks * height < capacity + height
            assert kept["n_chunks"] == -(-n_rows // height)
