"""Tables that are not to be copied: read-only memory maps of both float types."""

import tracemalloc

import numpy as np
import pytest


def memory_map(path, X):
    np.save(path, X)
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "parameters", [{}, {"trim": 0.2}, {"contamination": 0.1, "validation_fraction": 0}]
)
def test_memory_maps_give_what_arrays_give(dtype, parameters, blobs, small, tmp_path):
    X = np.tile(blobs[0], (3, 1)).astype(dtype)
    mapped = memory_map(tmp_path / "X.npy", X)
    first, second = (small(**parameters).fit(rows) for rows in (X, mapped))
    assert first.offset_ == second.offset_
    np.testing.assert_array_equal(first.score_samples(mapped), second.score_samples(X))


def peak_memory(work, *args):
    tracemalloc.start()
    work(*args)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_does_not_grow_with_the_table(dtype, small, tmp_path):
    # JAX queues up to 32 chunks of half a megabyte if the device is slower.
    X = np.random.default_rng(0).standard_normal((240_000, 100), np.float32)
    mapped = memory_map(tmp_path / "X.npy", X.astype(dtype))
    few = mapped[:30_000]
    detector = small(anomaly_score="reconstruction", max_iter=1, batch_size=256)
    # The first calls compile.
    detector.fit(few).score_samples(few)
    for work in (detector.fit, detector.score_samples):
        more = peak_memory(work, mapped) - peak_memory(work, few)
        assert more < (X.nbytes - X[:30_000].nbytes) / 4
