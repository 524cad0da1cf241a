"""A sample of the long search of :mod:`tests.search`, and laws of pure functions."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skae import thresholds
from skae._validation import check_sample_weight
from skae.core import ball, gaussian, penalties
from skae.core.batching import LARGEST
from skae.core.scores import combining
from skae.core.scores.combination import Usual
from skae.model_selection import NoveltySplit
from tests.cases import SHARING, draw
from tests.helpers import hyperparameters, slow_but
from tests.search import check, resumed, search
from tests.test_penalties import relative_entropy

# What a long search has found, since mended.
FOUND = slow_but([2992], [2071, 2380, 2992, 3000, 3068, 3295, 3877])
SAMPLE = slow_but([1], range(5))


@pytest.mark.parametrize("seed", SAMPLE)
def test_the_laws_hold_in_a_sample(seed):
    assert check(draw(seed))[1] == []


@pytest.mark.parametrize("seed", FOUND)
def test_the_laws_hold_where_they_did_not(seed):
    assert check(draw(seed))[1] == []


@pytest.mark.slow
@pytest.mark.parametrize("program", range(20))
def test_the_laws_hold_in_many_cases(program):
    first = program * SHARING
    broken = {seed: check(draw(seed))[1] for seed in range(first, first + SHARING)}
    assert not any(broken.values()), {k: v for k, v in broken.items() if v}


def test_a_case_is_drawn_from_its_seed_alone():
    cases = [draw(seed) for seed in range(100)]
    assert cases == [draw(seed) for seed in range(100)]
    assert len({str(case | {"seed": 0}) for case in cases}) == 100


def test_a_search_goes_on_after_the_last_case(tmp_path):
    path = tmp_path / "state"
    assert resumed(path, 7) == 7
    path.write_text('{"seed": 7, "outcome": "held"}\n')
    assert resumed(path, 7) == 8
    with path.open("a") as file:
        file.write('{"seed": 8, "outcome": "started"}\n')
    assert resumed(path, 7) == 9


def test_no_time_is_no_search():
    assert not search(range(3), print, -np.inf, False)


numbers = st.floats(-(2.0**83), 2.0**83, width=32)
scores = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e300, 1e300))
weights = st.just(0.0) | st.floats(1e-290, 1e300)
shares = st.floats(1e-6, 0.5)
# Every other shape would be compiled for.
rows = st.sampled_from([(2, 1), (7, 3)]).flatmap(
    lambda shape: hnp.arrays(
        np.float32,
        shape,
        elements=numbers | st.sampled_from([0.0, -0.0, 1.0, 7.125, 2.0**-130]),
    )
)


@given(scores, shares)
def test_a_threshold_is_between_the_scores_and_flags_its_share(found, share):
    offset = thresholds.contamination_offset(found, share)
    assert found.min() <= offset <= found.max()
    assert (found < offset).sum() <= np.ceil(share * (len(found) - 1) + 1e-6)


@given(st.data(), scores, shares)
def test_a_weighted_threshold_flags_its_share_of_the_weight(data, found, share):
    weight = data.draw(hnp.arrays(float, len(found), elements=st.floats(0.1, 10)))
    offset = thresholds.contamination_offset(found, share, weight)
    assert found.min() <= offset <= found.max()
    wanted = share * weight.sum()
    if (weight != weight[0]).any():
        assert weight[found < offset].sum() <= wanted * (1 + 1e-9)
        assert weight[found <= offset].sum() >= wanted * (1 - 1e-9)


@given(scores, scores, st.floats(1e-3, 0.999))
def test_p_values_of_flagged_rows_are_at_most_the_rate(calibration, found, rate):
    if rate * (len(calibration) + 1) >= 1:
        offset = thresholds.conformal_offset(calibration, rate)
        p = thresholds.conformal_p_values(found, calibration)
        assert (p[found < offset] <= rate + 1e-9).all()


@given(hnp.arrays(float, st.integers(1, 20), elements=weights), st.floats(1e-3, 1e3))
def test_weights_are_relative(weight, factor):
    if not weight.any() or (weight * factor).max() == np.inf:
        return
    found = check_sample_weight(weight, weight)
    assert np.isfinite(found).all() and (found >= 0).all()
    np.testing.assert_allclose(found[found > 0].mean(), 1)
    scaled = check_sample_weight(weight * factor, weight)
    np.testing.assert_allclose(scaled, found, rtol=1e-9, atol=1e-12)


@given(rows, st.floats(1, 1e6))
def test_a_ball_holds_its_rows_and_ends_the_way_of_others(trained, far):
    around = ball.fit(trained, np.ones(len(trained)))
    assert all(np.isfinite(value).all() for value in around.values())
    assert (around["scale"] > 0).all()
    others = np.clip(trained[::-1] * np.float32(far), -LARGEST, LARGEST)
    projected = np.asarray(
        ball.project(others, ball.distance(others, around), around), float
    )
    assert np.isfinite(projected).all()
    units = (projected - around["center"]) / around["scale"]
    # JAX takes what is below float32's normal numbers for 0.
    rounding = 1e-6 * np.abs(around["center"] / around["scale"]).max() + 1e-37
    distance = np.sqrt(np.mean(units**2, axis=1))
    assert (distance <= around["radius"] * 1.001 + rounding).all()


@given(rows, st.data())
def test_gaussian_energies_are_finite(v, data):
    observed = data.draw(hnp.arrays(bool, v.shape))
    observed[:, 0] = True
    gaps = np.where(observed, v / LARGEST * 100, np.nan).astype(float)
    fitted = gaussian.fit(gaps, np.ones(len(v)))
    assert all(np.isfinite(value).all() for value in fitted.values())
    energies = gaussian.energies(gaps, fitted)
    assert np.isfinite(energies).all() and (energies >= 0).all()


@given(
    hnp.arrays(float, (6, 3), elements=st.floats(0, 1e60)),
    hnp.arrays(float, (4, 3), elements=st.floats(0, 1e60)),
    hnp.arrays(float, 3, elements=st.floats(1e-30, 1e50)),
)
def test_combined_energies_are_finite_and_rise(usual, found, variances):
    statistics = combining.fit(Usual(usual, np.ones(6), variances))
    assert all(np.isfinite(value).all() for value in statistics.values())
    score = combining.soft_maximum(found, statistics)
    more = combining.soft_maximum(found * 2, statistics)
    assert np.isfinite(score).all() and (more >= score).all()


@given(
    hnp.arrays(np.float32, (5, 3), elements=st.floats(0, 1, width=32)),
    hnp.arrays(np.float32, 5, elements=st.floats(0.125, 8, width=32)),
    st.floats(0.01, 0.99),
)
def test_penalties_of_codes_are_their_formulas(code, weight, target):
    hyper = hyperparameters()._replace(sparsity_target=np.float32(target))
    terms = penalties.Terms(
        {"encoder.0.kernel": jnp.asarray(code), "encoder.0.bias": jnp.asarray(weight)},
        None,
        None,
        jnp.asarray(code),
        jnp.asarray(weight),
        hyper,
        None,
    )
    exact, share = code.astype(float), weight.astype(float)
    mean = np.clip(share @ exact / share.sum(), 2**-20, 1 - 2**-20)
    expected = {
        "alpha": (exact**2).sum(),
        "l1_weights": np.abs(exact).sum(),
        "l1_activity": (np.abs(exact).sum(axis=1) * share).sum() / 5,
        "l2_activity": ((exact**2).sum(axis=1) * share).sum() / 5,
        "sparsity": relative_entropy(target, mean).sum(),
    }
    for name, value in expected.items():
        found = penalties.PENALTIES[name].measure(terms)
        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-5, err_msg=name)


class Halves:
    """Trains on one half and tests on the other."""

    def split(self, X, y):
        middle = len(X) // 2
        yield np.arange(middle), np.arange(middle, len(X))


@given(st.lists(st.sampled_from([1, -1]), min_size=2, max_size=30))
def test_novelty_splits_train_on_inliers_and_keep_the_tests(y):
    ((train, test),) = NoveltySplit(Halves()).split(y, y)
    labels = np.array(y)
    middle = len(y) // 2
    np.testing.assert_array_equal(train, np.flatnonzero(labels[:middle] == 1))
    np.testing.assert_array_equal(test, np.arange(middle, len(y)))
