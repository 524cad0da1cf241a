"""The example of rating prediction, on ratings made up here."""

import runpy
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "autorec.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


@pytest.fixture(scope="module")
def ratings():
    """Tastes of two dimensions, biases and noise; two thirds unknown."""
    rng = np.random.default_rng(0)
    table = 3.5 + rng.normal(size=(200, 2)) @ rng.normal(size=(2, 60))
    table += rng.normal(size=(200, 1)) / 2 + rng.normal(size=60) / 2
    table += 0.2 * rng.normal(size=table.shape)
    table[rng.random(table.shape) < 0.67] = np.nan
    table[7] = np.nan
    return table


def test_tastes_are_learnt_and_carry_over_to_new_users(example, ratings):
    rng = np.random.default_rng(1)
    is_new = np.arange(len(ratings)) >= 160
    model = example["AutoRec"](random_state=0, max_iter=200).fit(ratings[~is_new])
    given, hidden = example["hide"](ratings[is_new], 0.1, rng)
    errors = [
        example["error"](ratings[is_new], predicted, hidden)
        for predicted in (model.biases(given), model.predict(given))
    ]
    assert errors[1] < 0.8 * errors[0]


def test_rows_without_ratings_get_the_biases(example, ratings):
    model = example["AutoRec"](random_state=0, max_iter=2).fit(ratings)
    predicted = model.predict(ratings)
    np.testing.assert_allclose(predicted[7], model.mean + model.column_bias)
    assert np.isfinite(predicted).all()


def test_lines_of_ratings_are_read(example, tmp_path):
    path = tmp_path / "u.data"
    path.write_text("1\t2\t5\t88\n3\t1\t4\t89\n")
    expected = [[np.nan, 5], [np.nan, np.nan], [4, np.nan]]
    np.testing.assert_array_equal(example["read"](path), expected)
