import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import MinCovDet

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


@pytest.mark.parametrize("n_features", [3, 1500])
def test_the_sample_for_concentration_is_bounded(n_features):
    assert 1000 <= robust.sample_size(n_features) <= robust.MAX_FLOATS
