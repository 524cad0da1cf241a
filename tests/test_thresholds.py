import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skae import thresholds

score_lists = hnp.arrays(
    np.float64, st.integers(2, 100), elements=st.floats(-1e6, 1e6), unique=True
)


@given(scores=score_lists, contamination=st.floats(0.01, 0.5))
def test_contamination_is_the_share_below_the_threshold(scores, contamination):
    offset = thresholds.contamination_offset(scores, contamination)
    flagged = (scores < offset).sum()
    assert abs(flagged - contamination * len(scores)) <= 1


def test_weights_count_like_repeated_rows():
    rng = np.random.default_rng(0)
    scores, weight = rng.normal(size=50), rng.integers(1, 5, size=50)
    repeated = np.repeat(scores, weight)
    expected = np.quantile(repeated, 0.2, method="inverted_cdf")
    assert thresholds.contamination_offset(scores, 0.2, weight) == expected


def test_equal_weights_are_no_weights():
    scores = np.random.default_rng(0).normal(size=37)
    without = thresholds.contamination_offset(scores, 0.1)
    assert thresholds.contamination_offset(scores, 0.1, np.full(37, 2.5)) == without
    assert without == np.percentile(scores, 10)


def test_conformal_threshold_bounds_the_rate_of_false_alarms():
    rng = np.random.default_rng(0)
    alarms = [
        np.mean(rng.normal(size=100) < thresholds.conformal_offset(scores, 0.1))
        for scores in rng.normal(size=(2000, 49))
    ]
    # k / (n + 1) = 5 / 50, within three standard errors.
    assert abs(np.mean(alarms) - 0.1) < 3 * np.std(alarms) / np.sqrt(len(alarms))


def test_conformal_threshold_says_how_many_rows_it_needs():
    with pytest.raises(ValueError, match=r"at least 99 calibration rows. Got 98"):
        thresholds.conformal_offset(np.arange(98), 0.01)
    assert thresholds.conformal_offset(np.arange(99), 0.01) == 0


@given(scores=score_lists, calibration=score_lists)
def test_p_values_count_calibration_scores_at_or_below(scores, calibration):
    result = thresholds.conformal_p_values(scores, calibration)
    expected = (1 + (calibration <= scores[:, None]).sum(axis=1)) / (
        1 + len(calibration)
    )
    np.testing.assert_array_equal(result, expected)
    assert (result > 0).all() and (result <= 1).all()


def test_calibration_keeps_a_sorted_sample():
    scores = np.random.default_rng(0).permutation(30_000).astype(float)
    kept = thresholds.calibration_sample(scores)
    assert len(kept) == thresholds.MAX_CALIBRATION_SCORES
    assert (np.diff(kept) > 0).all()
    assert np.isin(kept, scores).all()
    # A sample of the whole, not an end of it.
    assert abs(np.median(kept) - 15_000) < 500


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=30))
def test_candidates_separate_the_scores_in_every_way(scores):
    candidates = thresholds.candidate_thresholds(scores)
    distinct = sorted(set(scores))
    assert len(candidates) == len(distinct) + 1
    assert (candidates[:-1] <= candidates[1:]).all()
    below = thresholds.count_below(distinct, candidates)
    # Nothing is above infinity, so a row of that score cannot be flagged.
    expected = np.arange(len(candidates))
    if distinct[-1] == np.inf:
        expected[-1] -= 1
    np.testing.assert_array_equal(below, expected)


@given(
    st.lists(
        st.tuples(st.sampled_from([1, -1]), st.integers(-5, 5)),
        min_size=1,
        max_size=30,
    ),
    st.lists(st.floats(-6, 6), max_size=5),
)
def test_counts_are_those_of_the_labels(rows, cuts):
    y, scores = map(np.array, zip(*rows, strict=True))
    counts = np.stack(thresholds.confusion_counts(y, scores, cuts))
    for i, threshold in enumerate(cuts):
        flagged = scores < threshold
        assert counts[:, i].tolist() == [
            (~flagged & (y == 1)).sum(),
            (flagged & (y == 1)).sum(),
            (~flagged & (y == -1)).sum(),
            (flagged & (y == -1)).sum(),
        ]


@pytest.mark.parametrize(
    "call",
    [
        lambda: thresholds.contamination_offset([1.0, np.nan], 0.5),
        lambda: thresholds.contamination_offset([1.0, 2.0], 0.6),
        lambda: thresholds.contamination_offset([1.0, 2.0], 0.5, [1.0]),
        lambda: thresholds.contamination_offset([], 0.5),
        lambda: thresholds.conformal_offset([1.0, 2.0], 0),
        lambda: thresholds.conformal_p_values([np.nan], [1.0]),
        lambda: thresholds.confusion_counts([0, 1], [1.0, 2.0], [1.5]),
        lambda: thresholds.confusion_counts([1, -1, 1], [1.0, 2.0], [1.5]),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(ValueError, match=r"Got|inconsistent|minimum"):
        call()


@given(st.integers(1, 400), st.floats(0.001, 0.999))
def test_the_expected_rate_of_false_alarms_is_that_of_one_more_row(n_scores, rate):
    offset = thresholds.expected_offset(np.arange(1.0, n_scores + 1), rate)
    position = rate * (n_scores + 1)
    assert offset == pytest.approx(np.clip(position, 1, n_scores))


def test_new_rows_are_flagged_at_the_expected_rate():
    rng = np.random.default_rng(0)
    for n_scores in (20, 33, 90):
        offsets = [
            thresholds.expected_offset(rng.random(n_scores), 0.05) for _ in range(1000)
        ]
        # The score of a new row is uniform, so it is below with that probability.
        assert np.mean(offsets) == pytest.approx(0.05, abs=0.006)


@pytest.mark.parametrize("n_scores", [20, 25, 38, 100])
def test_one_gross_row_does_not_set_the_threshold(n_scores):
    scores = np.random.default_rng(n_scores).normal(size=n_scores)
    scores[3] = -1e6
    assert thresholds.expected_offset(scores, 0.05) > -6
    assert scores[3] == -1e6
    scores[3] = -np.inf
    assert not np.isnan(thresholds.expected_offset(scores, 0.05))


def test_weights_of_an_expected_rate_count_like_repeated_rows():
    scores, weight = np.array([3.0, 1.0, 2.0]), [1, 8, 1]
    assert thresholds.expected_offset(scores, 0.85, weight) == 2.0


@pytest.mark.parametrize(("n_rows", "rate"), [(60, 0.0625), (250, 0.05)])
def test_scores_of_other_networks_are_read_more_strictly(small, n_rows, rate):
    # Few rows are scored by networks that saw four fifths of them.
    rows = np.random.default_rng(0).normal(size=(n_rows, 3))
    detector = small().fit(rows)
    expected = thresholds.expected_offset(detector.calibration_scores_, rate)
    assert detector.offset_ == pytest.approx(expected)


def test_candidates_are_the_middles_between_neighbours():
    scores = [-3.0, 1.0, 2.0, 2.0, 12.0]
    expected = [-3.0, -1.0, 1.5, 7.0, np.nextafter(12.0, np.inf)]
    np.testing.assert_array_equal(thresholds.candidate_thresholds(scores), expected)
    # There is no number between these.
    near = [1.0, np.nextafter(1.0, 2.0)]
    np.testing.assert_array_equal(thresholds.candidate_thresholds(near)[:2], near)
    far = [-1.7e308, 1.7e308]
    assert thresholds.candidate_thresholds(far)[1] == 0.0
    assert thresholds.candidate_thresholds([-np.inf, 2.0])[1] == 2.0


@pytest.mark.parametrize(
    ("lowest", "expected"), [(-100.0, 1.0 - 4.5), (0.5, 0.5), (-np.inf, 1.0 - 4.5)]
)
def test_the_lowest_counts_as_near_the_second(lowest, expected):
    # The median of these is 5.5, 4.5 above the second lowest.
    scores = [lowest, *map(float, range(1, 4)), 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    assert thresholds.expected_offset(scores, 0.01) == pytest.approx(expected)
    # Of fewer, nobody knows which are gross.
    assert thresholds.expected_offset(scores[:9], 0.01) == lowest


@pytest.mark.parametrize("weight", [[1, 1, 1, 1, 2], [2, 1, 1, 1, 1], [1, 2, 1, 1, 1]])
def test_any_weight_that_differs_makes_a_weighted_quantile(weight):
    scores = np.arange(5.0)
    assert thresholds.expected_offset(scores, 0.7, weight) in scores
    assert thresholds.expected_offset(scores, 0.7) == pytest.approx(3.2)
