import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skae.core.losses import LOSSES


def huber(residual):
    size = np.abs(residual)
    return np.where(size <= 1, 0.5 * size**2, size - 0.5)


ORACLES = {
    "squared_error": np.square,
    "absolute_error": np.abs,
    "huber": huber,
}

pairs = hnp.array_shapes(min_dims=2, max_dims=2, max_side=8).flatmap(
    lambda shape: st.tuples(
        *[hnp.arrays(np.float32, shape, elements=st.floats(-1e3, 1e3, width=32))] * 2
    )
)


@pytest.mark.parametrize("name", LOSSES)
@given(pair=pairs)
def test_loss_is_the_mean_over_features_of_its_formula(name, pair):
    x, x_hat = pair
    expected = ORACLES[name](x.astype(float) - x_hat).mean(axis=1)
    for function in (LOSSES[name], jax.jit(LOSSES[name])):
        result = np.asarray(function(x, x_hat))
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_refuses_different_widths(name):
    with pytest.raises((TypeError, ValueError)):
        LOSSES[name](np.ones((3, 4), np.float32), np.ones((3, 5), np.float32))
