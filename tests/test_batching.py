import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from skae.core import batching
from skae.core.batching import LARGEST, Rows


@given(n_rows=st.integers(1, 2000), batch_size=st.integers(1, 300))
def test_every_row_is_dealt_once_into_batches_of_nearly_equal_size(n_rows, batch_size):
    starts = batching.batch_starts(n_rows, batch_size)
    assert starts[0] == 0 and starts[-1] == n_rows
    sizes = np.diff(starts)
    assert len(sizes) == -(-n_rows // batch_size)
    assert (
        sizes.max() - sizes.min() <= 1
        and 1 <= sizes.min()
        and sizes.max() <= batch_size
    )


@given(
    n_rows=st.integers(1, 500),
    n_features=st.integers(1, 60),
    batch_size=st.integers(1, 64),
)
def test_chunks_have_one_shape_and_hold_every_row_with_its_weight(
    n_rows, n_features, batch_size
):
    X = np.arange(n_rows * n_features, dtype=np.float32).reshape(n_rows, n_features)
    weight = np.arange(1, n_rows + 1, dtype=np.float32)
    order = np.random.default_rng(1).permutation(n_rows)
    seen = []
    steps = batching.chunk_steps(batch_size, n_features)
    for x, chunk_weight, n_used in batching.chunks(Rows(X, weight), order, batch_size):
        assert x.shape == (steps, batch_size, n_features)
        assert x.dtype == chunk_weight.dtype == np.float32
        assert not chunk_weight[n_used:].any()
        used = chunk_weight > 0
        np.testing.assert_array_equal(
            x[used][:, 0] // n_features + 1, chunk_weight[used]
        )
        seen.extend(chunk_weight[used])
    np.testing.assert_array_equal(seen, order + 1)


@pytest.mark.parametrize("n_rows", [3, 128, 300])
def test_epochs_that_share_chunks_have_the_batches_of_their_own(n_rows):
    X = np.arange(2.0 * n_rows).reshape(n_rows, 2)
    rows = Rows(X, np.ones(n_rows))
    orders = [np.random.default_rng(i).permutation(n_rows) for i in range(5)]

    def steps(parts):
        parts = [(x[:used], weight[:used]) for x, weight, used in parts]
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    together = steps(batching.chunks(rows, np.concatenate(orders), 128, n_epochs=5))
    alone = [steps(batching.chunks(rows, order, 128)) for order in orders]
    for found, expected in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(found, np.concatenate(expected))


def test_sparse_rows_make_the_chunks_of_dense_ones():
    X = np.random.default_rng(0).poisson(0.3, size=(90, 7)).astype(np.float32)
    weight = np.ones(90, np.float32)
    order = np.arange(90)[::-1]
    dense = batching.chunks(Rows(X, weight), order, 16)
    from_sparse = batching.chunks(Rows(sparse.csr_array(X), weight), order, 16)
    for (x, *_), (x_sparse, *_) in zip(dense, from_sparse, strict=True):
        np.testing.assert_array_equal(x, x_sparse)


@pytest.mark.parametrize("value", [1e30, -1e300, np.finfo(np.float64).max])
def test_huge_values_are_cut_off(value):
    result = batching.as_float32(np.array([[value, 1.0]]))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[np.sign(value) * LARGEST, 1.0]], rtol=1e-6)
    as_sparse = batching.take(sparse.csr_array([[value, 0.0]]), slice(None))
    np.testing.assert_array_equal(as_sparse[0, 0], result[0, 0])


def test_conversion_leaves_the_input_alone():
    X = sparse.csr_array(np.array([[1e30, 0.0], [0.0, 2.0]]))
    before = X.copy()
    batching.take(X, slice(None))
    np.testing.assert_array_equal(X.toarray(), before.toarray())


def tables(X):
    return {
        "float32": X,
        "float64": X.astype(np.float64),
        "fortran": np.asfortranarray(X),
        "sparse": sparse.csr_array(X),
        "view": batching.View(np.vstack([X[::-1], X]), np.arange(len(X)) + len(X)),
    }


@pytest.mark.parametrize("kind", tables(np.zeros((2, 2), np.float32)))
def test_every_table_gives_the_same_float32_rows(kind):
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    table = tables(X)[kind]
    chosen = np.array([7, 3, 3, 49])
    taken = batching.take(table, chosen)
    assert taken.dtype == np.float32 and taken.flags.c_contiguous
    np.testing.assert_array_equal(taken, X[chosen])
    np.testing.assert_array_equal(np.vstack(list(batching.blocks(table, 8))), X)


def test_selections_of_selections_are_rows_of_the_table():
    X = np.arange(20.0).reshape(10, 2)
    constant = Rows(X, np.broadcast_to(1.0, 10))
    for rows in (constant, Rows(X, np.arange(10.0))):
        few = rows.select(np.array([9, 4, 2])).select(np.array([2, 0]))
        assert few.X.shape == (2, 2) and few.X.X is X
        np.testing.assert_array_equal(batching.take(few.X, slice(None)), X[[2, 9]])
        np.testing.assert_array_equal(few.weight, rows.weight[[2, 9]])
    assert constant.select(np.array([1, 2])).weight.strides == (0,)


def test_small_tables_are_shuffled_as_a_whole():
    order = batching.shuffled(1000, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(order, np.random.default_rng(0).permutation(1000))


@given(n_rows=st.integers(1, 3000), seed=st.integers(0, 5))
def test_huge_tables_are_read_in_runs_that_windows_mix(n_rows, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "MAX_SHUFFLED_FLOATS", 0)
        patch.setattr(batching, "RUN_ROWS", 16)
        patch.setattr(batching, "WINDOW_ROWS", 256)
        order = batching.shuffled(n_rows, 3, np.random.default_rng(seed))
    np.testing.assert_array_equal(np.sort(order), np.arange(n_rows))
    for start in range(0, n_rows, 256):
        window = np.sort(order[start : start + 256])
        n_runs = 1 + (np.diff(window) > 1).sum()
        assert n_runs <= 256 // 15 + 2
    if n_rows > 1000:
        assert (np.diff(order[:256]) == 1).mean() < 0.1
