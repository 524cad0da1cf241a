"""Training from batch to batch."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import roc_auc_score

from skae import AutoencoderOutlierDetector
from skae.core import course, reservoir
from skae.core.batching import Rows
from skae.io import load, save
from skae.testing import count_compilations
from tests.helpers import parts, refused, resealed


@pytest.fixture(scope="module")
def stream():
    """Correlated rows, 40 batches of them, and outliers."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 6)) / np.sqrt(6)
    rows = rng.normal(size=(6000, 6)) @ mixing
    rows /= rows.std(axis=0)
    return rows[4000:], np.split(rows[:4000], 40), 2 * rng.normal(size=(500, 6))


def assert_equal(one, other, X):
    np.testing.assert_array_equal(one.score_samples(X), other.score_samples(X))
    assert one.offset_ == other.offset_


@pytest.mark.slow
def test_a_stream_detects_as_well_as_a_fit(stream):
    new, batches, outliers = stream
    streamed = AutoencoderOutlierDetector(random_state=0)
    for batch in batches:
        assert streamed.partial_fit(batch) is streamed
    fitted = AutoencoderOutlierDetector(random_state=0).fit(np.vstack(batches))
    X = np.vstack([new, outliers])
    is_outlier = np.repeat([0, 1], [len(new), len(outliers)])
    areas = [roc_auc_score(is_outlier, -d.score_samples(X)) for d in (streamed, fitted)]
    assert areas[0] > areas[1] - 0.02
    assert 0.02 < (streamed.predict(new) == -1).mean() < 0.09
    assert streamed.n_iter_ == len(streamed.history_["loss"]) == 40
    assert np.mean(streamed.history_["loss"][-5:]) < streamed.history_["loss"][0]


def test_held_out_rows_are_a_share_and_never_the_first(stream, small):
    _, batches, _ = stream
    detector = small().partial_fit(batches[0][:20])
    assert detector._stream["n_seen"].tolist() == [20, 0]
    for batch in batches:
        detector.partial_fit(batch)
    n_trained, n_held_out = detector._stream["n_seen"]
    assert n_trained + n_held_out == 4020
    assert 300 < n_held_out < 500
    assert len(detector.calibration_scores_) == n_held_out
    everything = small(validation_fraction=0)
    for batch in batches[:3]:
        everything.partial_fit(batch)
    assert everything._stream["n_seen"].tolist() == [300, 0]
    assert len(everything.calibration_scores_) == 300


def test_contamination_flags_its_share_of_the_sample(stream, small):
    _, batches, _ = stream
    detector = small(contamination=0.2, validation_fraction=0)
    for batch in batches[:5]:
        detector.partial_fit(batch)
    assert (detector.predict(detector._stream["sample"]) == -1).mean() == 0.2


def test_batches_of_any_size_compile_once(stream, small):
    _, batches, _ = stream
    detector = small(latent_dim=3).partial_fit(batches[0])
    for batch in batches[1:6]:
        detector.partial_fit(batch)
    with count_compilations() as counts:
        for n_rows in (1, 7, 99):
            detector.partial_fit(batches[6][:n_rows])
    assert not counts


@pytest.mark.parametrize("parameters", [{}, {"n_estimators": 2, "dropout": 0.1}])
def test_copies_go_on_as_the_original_would(parameters, stream, small, tmp_path):
    new, batches, _ = stream
    detector = small(**parameters)
    for batch in batches[:3]:
        detector.partial_fit(batch)
    save(detector, tmp_path / "a")
    copies = [pickle.loads(pickle.dumps(detector)), load(tmp_path / "a")]
    again = small(**parameters)
    for batch in batches[:3]:
        again.partial_fit(batch)
    for other in (*copies, again):
        assert_equal(other, detector, new)
    detector.partial_fit(batches[3])
    for other in (*copies, again):
        assert_equal(other.partial_fit(batches[3]), detector, new)


def test_damaged_streams_are_refused(stream, small, tmp_path):
    from safetensors.numpy import load as parse
    from safetensors.numpy import save as serialise

    detector = small().partial_fit(stream[1][0])
    save(detector, tmp_path / "a")
    data = (tmp_path / "a").read_bytes()
    metadata = parts(data)[0]["__metadata__"]
    for name, value, message in (
        ("sample", np.ones((3, 6), np.float32), "shapes"),
        ("sample", np.full((91, 6), np.inf, np.float32), "values|shapes"),
        ("sample", np.full((91, 6), np.nan, np.float32), "values|shapes"),
        ("n_seen", np.array([5, 5]), "values"),
        ("held_out_weight", np.zeros(9), "values|shapes"),
        ("other", np.ones(3), "unknown"),
        ("n_seen", np.ones(3), "shape"),
    ):
        tensors = parse(data) | {f"stream/{name}": value}
        refused(resealed(serialise(tensors, metadata)), tmp_path / "b", message)


def test_fit_and_partial_fit_follow_each_other(stream, small):
    new, batches, _ = stream
    detector = small().fit(batches[0])
    weights = detector.weights_
    with pytest.raises(ValueError, match=r"at least 20 rows. Got 19"):
        detector.partial_fit(batches[1][:19])
    detector.partial_fit(batches[1][:20])
    assert detector.n_iter_ == 6
    for name, value in detector.weights_.items():
        assert (value != weights[name]).any()
        np.testing.assert_allclose(value, weights[name], atol=0.05)
    # A fit begins anew.
    assert_equal(detector.fit(batches[0]), small().fit(batches[0]), new)
    assert detector._stream is None


def test_what_cannot_go_on_is_refused(stream, small):
    _, batches, _ = stream
    with pytest.raises(ValueError, match=r"first batch needs at least 2 rows. Got 1"):
        small().partial_fit(batches[0][:1])
    with pytest.raises(AttributeError) as caught:
        small(trim=0.1).partial_fit(batches[0])
    assert "'trim' must be 'auto' or 0. Got 0.1" in str(caught.value)
    probabilities = small(loss="binary_cross_entropy", output_activation="sigmoid")
    with pytest.raises(ValueError, match=r"needs values in \[0, 1\]. X has values"):
        probabilities.partial_fit(batches[0])
    detector = small().partial_fit(batches[0])
    with pytest.raises(ValueError, match=r"5 features, but .* is expecting 6"):
        detector.partial_fit(batches[0][:, :5])
    with pytest.raises(ValueError, match=r"'n_estimators' must stay 1. Got 2"):
        detector.set_params(n_estimators=2).partial_fit(batches[0])
    with pytest.raises(ValueError, match="'latent_dim' must stay 4"):
        detector.set_params(n_estimators=1, latent_dim=9).partial_fit(batches[0])


def test_rows_without_weight_are_not_seen(stream, small):
    new, batches, _ = stream
    batch = batches[0].copy()
    weight = np.ones(100)
    weight[50:] = 0
    batch[50:] = 1e3
    weighted = small().partial_fit(batch, sample_weight=weight)
    assert_equal(weighted, small().partial_fit(batch[:50]), new)


def test_sparse_and_single_precision_batches(stream, small):
    new, batches, _ = stream
    plain, other = small(), small()
    for batch in batches[:2]:
        plain.partial_fit(batch)
        other.partial_fit(sparse.csr_array(batch))
    assert_equal(plain, other, new)
    small().partial_fit(batches[0].astype(np.float32)).predict(new)


@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=6),
    capacity=st.integers(1, 40),
    seed=st.integers(0, 5),
)
def test_samples_hold_rows_that_came_with_their_weights(sizes, capacity, seed):
    generator = np.random.default_rng(seed)
    sample = reservoir.empty_reservoir(2)
    total = sum(sizes)
    numbers = np.split(np.arange(1.0, total + 1), np.cumsum(sizes)[:-1])
    for part in numbers:
        rows = Rows(np.column_stack([part, -part]).astype(np.float32), part)
        sample = reservoir.add(sample, rows, capacity, generator)
    assert sample.n_seen == total
    assert len(sample.X) == min(total, capacity)
    np.testing.assert_array_equal(sample.X[:, 0], sample.weight)
    np.testing.assert_array_equal(sample.X[:, 1], -sample.weight)
    assert len(set(sample.weight)) == len(sample.weight)
    if total <= capacity:
        np.testing.assert_array_equal(sample.weight, np.arange(1, total + 1))


def test_every_row_is_as_likely_to_be_kept():
    counts = np.zeros(60)
    for seed in range(2000):
        generator = np.random.default_rng(seed)
        sample = reservoir.empty_reservoir(1)
        for start in range(0, 60, 20):
            part = np.arange(start, start + 20.0)
            rows = Rows(part[:, None].astype(np.float32), np.ones(20))
            sample = reservoir.add(sample, rows, 12, generator)
        counts[sample.X[:, 0].astype(int)] += 1
    np.testing.assert_allclose(counts / 2000, 0.2, atol=0.04)


def test_histories_of_endless_streams_are_bounded(stream, small, monkeypatch):
    monkeypatch.setattr(course, "MAX_EPOCHS", 7)
    rows = stream[0]
    detector = small(validation_fraction=0)
    for start in range(0, 200, 20):
        detector.partial_fit(rows[start : start + 20])
    lengths = {name: len(values) for name, values in detector.history_.items()}
    assert lengths == {"loss": 7, "validation_loss": 0, "epoch_seconds": 7}
    other = copy.deepcopy(detector).partial_fit(rows[:40])
    again = copy.deepcopy(detector).partial_fit(rows[:40])
    np.testing.assert_array_equal(other.score_samples(rows), again.score_samples(rows))


def test_a_fit_after_a_stream_has_a_complete_history(stream, small, tmp_path):
    rows = stream[0]
    detector = small(validation_fraction=0).partial_fit(rows[:100])
    detector.set_params(warm_start=True, validation_fraction=0.1).fit(rows[:300])
    history = detector.history_
    assert len(history["validation_loss"]) == len(history["loss"]) == 6
    assert np.isnan(history["validation_loss"]).tolist() == [True] + [False] * 5
    save(detector, tmp_path / "a.skae")
    assert load(tmp_path / "a.skae").n_iter_ == 6
