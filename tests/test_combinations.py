"""Values of the axes combine: every pair of them fits, scores, pickles and saves."""

import itertools
import pickle

import numpy as np
import pytest

from skae import AutoencoderOutlierDetector
from skae.io import load, save
from skae.testing import count_compilations
from tests.helpers import AXES, made_to_fit, slow_but


def pairs_of(row):
    return set(itertools.combinations(sorted(row.items(), key=lambda kv: kv[0]), 2))


def pairwise(axes, seed=0):
    """Rows that hold every pair of values: the best of random ones, in turn."""
    rng = np.random.default_rng(seed)
    names = sorted(axes)
    missing = {
        ((a, v), (b, w))
        for a, b in itertools.combinations(names, 2)
        for v in axes[a]
        for w in axes[b]
    }
    while missing:
        # One missing pair, so that every row is of use.
        (a, v), (b, w) = min(missing, key=repr)
        candidates = [
            {n: axes[n][rng.integers(len(axes[n]))] for n in names} | {a: v, b: w}
            for _ in range(60)
        ]
        best = max(candidates, key=lambda row: len(pairs_of(row) & missing))
        missing -= pairs_of(best)
        yield best


ROWS = list(pairwise(AXES))


def with_every_value(rows):
    """Numbers of rows that hold every value: in turn, the one with most new ones."""
    missing = set().union(*(row.items() for row in rows))
    while missing:
        best = max(range(len(rows)), key=lambda i: len(missing & rows[i].items()))
        missing -= rows[best].items()
        yield best


# That with most of the values is enough for each change; all pairs take minutes.
QUICK = {next(iter(with_every_value(ROWS)))}


def test_every_pair_is_there():
    found = set().union(*map(pairs_of, ROWS))
    sizes = [len(values) for values in AXES.values()]
    assert len(found) == sum(a * b for a, b in itertools.combinations(sizes, 2))
    assert len(ROWS) < 130


@pytest.mark.parametrize("number", slow_but(QUICK, range(len(ROWS))))
@pytest.mark.filterwarnings("ignore:The posterior has collapsed")
def test_pairs_of_values(number, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(150, 3))
    if ROWS[number]["missing"] == "mask":
        X[rng.random(150) < 0.2, 1] = np.nan
    detector = AutoencoderOutlierDetector(
        max_iter=2, random_state=0, **made_to_fit(ROWS[number])
    )
    with count_compilations() as counts:
        detector.fit(X).fit(X * 0.9)
    assert counts["train_chunk"] <= 1
    scores = detector.score_samples(X)
    assert np.isfinite(scores).all()
    save(detector, tmp_path / "a")
    for other in (pickle.loads(pickle.dumps(detector)), load(tmp_path / "a")):
        np.testing.assert_array_equal(other.score_samples(X), scores)
