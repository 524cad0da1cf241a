"""Columns far from zero, narrow or wide: what float32 cannot hold is shifted before."""

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.preprocessing import StandardScaler

from skae.core import batching, spread
from skae.core.batching import Rows
from skae.io import load, save, to_onnx

OFFSETS = np.array([1.7e9, 0.0, -3e8])


@pytest.fixture(scope="module")
def times():
    """300 rows of deviation 1, two columns of which are far from zero."""
    return np.random.default_rng(0).normal(size=(300, 3)) + OFFSETS


def near(X):
    return X - OFFSETS


@pytest.mark.parametrize("anomaly_score", ["reconstruction", "learned"])
def test_rows_far_from_zero_are_told_apart(anomaly_score, times, small):
    detector = small(anomaly_score=anomaly_score).fit(times)
    scores = detector.score_samples(times)
    assert len(np.unique(scores)) == 300
    alone = [detector.score_samples(times[[i]])[0] for i in range(9)]
    np.testing.assert_array_equal(alone, scores[:9])
    # Rounding of float64 moves the rows by some 1e-7.
    other = small(anomaly_score=anomaly_score).fit(near(times))
    assert abs(np.corrcoef(scores, other.score_samples(near(times)))[0, 1]) > 0.95
    odd = times[:5] + np.array([30, 0, 0])
    assert (detector.predict(odd) == -1).all()
    assert {names[0][0] for names in detector.explain(odd)} == {"x0"}


def test_what_the_network_makes_is_where_the_rows_are(times, small):
    detector = small(max_iter=50, bottleneck="variational").fit(times)
    for rows in (
        detector.reconstruct(times),
        detector.inverse_transform(detector.transform(times)),
        detector.sample(300, random_state=0),
    ):
        assert np.abs(rows - times.mean(axis=0)).max() < 10
    errors = detector.feature_errors(times, normalize=False)
    expected = np.square(times - detector.reconstruct(times))
    np.testing.assert_allclose(errors, expected, rtol=1e-2, atol=1e-4)
    assert detector.score(times) > -2


@pytest.mark.parametrize("kind", ["sparse", "memory map", "float32", "held out"])
def test_every_kind_of_table_is_shifted(kind, times, small, tmp_path):
    X, fit_params = times, {}
    if kind == "sparse":
        X = csr_array(times)
    if kind == "memory map":
        X = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", shape=times.shape)
        X[:] = times
    if kind == "float32":
        X = (near(times) + np.array([2e5, 0, -2e5])).astype(np.float32)
    if kind == "held out":
        fit_params = {"X_val": times[::3]}
    detector = small().fit(X, **fit_params)
    assert len(np.unique(detector.score_samples(X))) == 300


def test_the_shift_stays_while_the_network_learns_on(times, small, tmp_path):
    detector = small()
    for start in range(0, 300, 100):
        detector.partial_fit(times[start : start + 100] + start)
    first = detector.statistics_["shift"]
    detector.set_params(warm_start=True).fit(times)
    np.testing.assert_array_equal(detector.statistics_["shift"], first)
    save(detector, tmp_path / "a.skae")
    for copy in (load(tmp_path / "a.skae"), pickle.loads(pickle.dumps(detector))):
        np.testing.assert_array_equal(
            copy.score_samples(times), detector.score_samples(times)
        )


def test_onnx_shifts_in_float64_and_warns_of_float32(times, small):
    runtime = pytest.importorskip("onnxruntime")
    detector = small().fit(times)
    session = runtime.InferenceSession(to_onnx(detector, times).SerializeToString())
    _, found = session.run(None, {"X": times})
    expected = detector.decision_function(times)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4, atol=1e-5)
    with pytest.warns(UserWarning, match=r"Column 0 lies near 1\.7e\+09.*float64"):
        to_onnx(detector, times.astype(np.float32))


@given(
    st.floats(-1e9, 1e9),
    st.floats(-12, 12).map(lambda exponent: 10**exponent),
    st.sampled_from([np.float32, np.float64]),
    st.floats(0, 0.5),
)
def test_shifted_columns_are_near_zero_and_others_as_they_are(
    center, scale, dtype, share
):
    rng = np.random.default_rng(0)
    X = (center + scale * rng.normal(size=(50, 2))).astype(dtype)
    X[1:][rng.random((49, 2)) < share] = np.nan
    found = spread.measure(Rows(X, np.ones(50)))
    shift = spread.shift_of(found)
    rows = batching.take(spread.shifted(X, shift), slice(None))
    unit = np.where(found.scale > 0, found.scale, 1.0)
    assert (np.abs(np.nanmean(rows, axis=0)) <= 2 * spread.FAR * unit).all()
    if not shift:
        np.testing.assert_array_equal(rows, batching.as_float32(X))
    np.testing.assert_allclose(
        spread.back(rows, shift), X, rtol=1e-6, atol=1e-6 * np.nanmax(np.abs(rows))
    )


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("width", [3, 700])
def test_columns_are_measured_part_by_part(width, share):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, width)) * np.geomspace(0.1, 10, width) + 5
    X[:, 1] = 2.0
    X[rng.random(X.shape) < share] = np.nan
    weight = rng.exponential(size=900)
    cells = np.where(np.isnan(X), 0.0, weight[:, None])
    center, scale = np.empty(width), np.empty(width)
    for column in range(width):
        seen = cells[:, column] > 0
        values, share_of = X[seen, column], cells[seen, column]
        center[column] = np.average(values, weights=share_of)
        squared = np.square(values - center[column])
        scale[column] = np.sqrt(np.average(squared, weights=share_of))
    found = spread.measure(Rows(X, weight))
    np.testing.assert_allclose(found.center, center, rtol=1e-12)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-12, atol=1e-12)
    assert found.scale[1] == 0 and found.center[1] == 2
    of_csr = spread.measure(Rows(csr_array(np.nan_to_num(X)), weight))
    of_dense = spread.measure(Rows(np.nan_to_num(X), weight))
    np.testing.assert_array_equal(of_csr.scale, of_dense.scale)


def test_few_columns_need_a_shift():
    rng = np.random.default_rng(0)
    for X in (
        rng.normal(size=(50, 2)),
        np.full((50, 2), 5.0),
        2020 + rng.integers(0, 5, size=(50, 2)),
        1e-30 * rng.normal(size=(50, 2)),
        np.array([[0.0, -1e300], [1.0, 1e300]]),
        np.array([[0.0, -1e308], [1.0, 1.2e308]]),
    ):
        found = spread.measure(Rows(np.asarray(X, float), np.ones(len(X))))
        assert spread.shift_of(found) == {}


def test_a_loss_for_some_values_gets_them_as_they_are(small):
    X = 1 - 1e-6 * np.random.default_rng(0).random((60, 2))
    with pytest.warns(UserWarning, match="standard deviation"):
        detector = small(loss="binary_cross_entropy", output_activation="sigmoid").fit(
            X
        )
    assert "shift" not in detector.statistics_


def test_a_huge_constant_column_changes_nothing(small):
    X = np.random.default_rng(0).normal(size=(60, 3))
    huge, none = X.copy(), X.copy()
    huge[:, 2], none[:, 2] = 1e300, 0.0
    scores = [small().fit(rows).score_samples(rows) for rows in (huge, none)]
    np.testing.assert_array_equal(*scores)


def test_columns_that_vary_too_little_or_too_much_are_named(small):
    X = np.random.default_rng(0).normal(size=(60, 3))
    X[:, 2] = 7.0
    for column, scale in ((0, 1e-40), (1, 1e-10), (1, 1e21)):
        rows = X.copy()
        rows[:, column] *= scale
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            scores = small(anomaly_score="learned").fit(rows).score_samples(rows)
        message = f"Column {column} has standard deviation"
        assert any(str(w.message).startswith(message) for w in caught)
        assert np.isfinite(scores).all()


def test_a_gross_value_behind_a_scaler_is_no_matter_of_scale(small):
    X = np.random.default_rng(0).normal(size=(200, 3))
    X[7, 1] = 1e6
    detector = small().fit(StandardScaler().fit_transform(X))
    assert np.isfinite(detector.offset_)
