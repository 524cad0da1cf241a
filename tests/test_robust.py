import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import MinCovDet

from skae import AutoencoderOutlierDetector
from skae.core import robust


def contaminated(n_features=4):
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(300, n_features)) @ rng.normal(size=(n_features,) * 2)
    return np.r_[normal, rng.normal(8, 0.5, size=(60, n_features))]


def test_outliers_are_left_out():
    v = contaminated()
    kept = robust.concentrate(v, np.ones(len(v)), 0.75)
    assert len(kept) == 270
    assert kept.max() < 300
    assert (np.diff(kept) > 0).all()


def test_the_gaussian_of_the_kept_rows_is_that_of_minimum_covariance_determinant():
    v = contaminated()
    kept = robust.concentrate(v, np.ones(len(v)), 0.75)
    reference = MinCovDet(support_fraction=0.75, random_state=0).fit(v)
    both = np.intersect1d(kept, np.flatnonzero(reference.support_))
    assert len(both) > 0.95 * len(kept)


@given(
    n_rows=st.integers(2, 60),
    n_features=st.integers(1, 5),
    share=st.floats(0.5, 1),
    equal=st.booleans(),
)
def test_as_many_rows_as_asked_are_kept(n_rows, n_features, share, equal):
    rng = np.random.default_rng(n_rows)
    v = rng.normal(size=(n_rows, n_features))
    v = np.ones_like(v) if equal else v
    kept = robust.concentrate(v, np.ones(n_rows), share)
    assert len(set(kept)) == max(2, round(share * n_rows))


@pytest.mark.parametrize("n_features", [3, 1000, 1500])
def test_the_sample_for_concentration_is_bounded(n_features):
    n_rows = robust.sample_size(n_features)
    assert n_rows >= 1000
    assert isinstance(n_rows, int)
    assert robust.MAX_FLOATS / 3 < n_rows * n_features <= robust.MAX_FLOATS
    assert n_rows <= robust.MAX_WIDE_ROWS or n_features <= 1024


@pytest.mark.slow
def test_few_rows_with_categories_have_a_threshold_that_works():
    """Whatever optimum the concentration of a fold would end in."""

    def rows(n_rows, seed):
        rng = np.random.default_rng(seed)
        kind = rng.choice(3, size=n_rows, p=[0.5, 0.27, 0.23])
        other = rng.integers(2, size=n_rows)
        numbers = rng.normal(size=(n_rows, 3)) + 0.8 * other[:, None]
        return np.c_[numbers, np.eye(3)[kind], np.eye(2)[other]]

    shift = [4, -4, 4, 0, 0, 0, 0, 0]
    for seed in (1, 2):
        detector = AutoencoderOutlierDetector(random_state=seed).fit(rows(120, seed))
        new = rows(1000, seed + 100)
        assert (detector.predict(new) == -1).mean() < 0.1
        assert (detector.predict(new + shift) == -1).mean() > 0.9
