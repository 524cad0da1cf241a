import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skae.core.losses import LOSSES, mean_over_features, mean_over_rows


def huber(residual):
    size = np.abs(residual)
    return np.where(size <= 1, 0.5 * size**2, size - 0.5)


def cross_entropy(x, x_hat):
    x_hat = np.clip(x_hat, 2**-20, 1 - 2**-20)
    return -x * np.log(x_hat) - (1 - x) * np.log(1 - x_hat)


ORACLES = {
    "squared_error": lambda x, x_hat: np.square(x - x_hat),
    "absolute_error": lambda x, x_hat: np.abs(x - x_hat),
    "huber": lambda x, x_hat: huber(x - x_hat),
    "binary_cross_entropy": cross_entropy,
    "correntropy": lambda x, x_hat: 1 - np.exp(-np.square(x - x_hat) / 2),
}


def pairs(low, high):
    elements = st.floats(low, high, width=32)
    # Every other shape would be compiled for.
    return st.sampled_from([(1, 1), (8, 1), (3, 7)]).flatmap(
        lambda shape: st.tuples(*[hnp.arrays(np.float32, shape, elements=elements)] * 2)
    )


@pytest.mark.parametrize("name", LOSSES)
@given(data=st.data())
def test_loss_is_its_formula_in_each_cell(name, data):
    x, x_hat = data.draw(pairs(*(LOSSES[name].domain or (-1e3, 1e3))))
    expected = ORACLES[name](x.astype(float), x_hat.astype(float))
    for function in (LOSSES[name].cells, jax.jit(LOSSES[name].cells)):
        result = np.asarray(function(x, x_hat))
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@given(
    values=hnp.arrays(np.float32, (4, 5), elements=st.floats(-1e3, 1e3, width=32)),
    observed=hnp.arrays(bool, (4, 5)),
)
def test_the_mean_is_over_the_observed_features(values, observed):
    observed[:, 0] = True
    for function in (mean_over_features, jax.jit(mean_over_features)):
        found = function(values, observed)
        expected = values.astype(float).mean(axis=1, where=observed)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)
        found = function(values)
        np.testing.assert_allclose(found, values.mean(axis=1), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_refuses_different_widths(name):
    with pytest.raises((TypeError, ValueError)):
        LOSSES[name].cells(np.ones((3, 4), np.float32), np.ones((3, 5), np.float32))


def test_rows_without_weight_do_not_count_in_the_mean():
    values = np.array([1.0, 2.0, 4.0, 100.0], np.float32)
    weight = np.array([0.5, 2.0, 1.0, 0.0], np.float32)
    # Over the number of rows of some weight, not over their weight.
    np.testing.assert_allclose(mean_over_rows(values, weight), 8.5 / 3, rtol=1e-6)
