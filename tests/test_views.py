"""Views of a row, in NumPy, and how their evidence makes the default score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import ndtri

from skae import AutoencoderOutlierDetector
from skae.core import fitting, folds, piecewise
from skae.core.scores import SCORES, learned, subsets
from skae.core.scores.combination import Usual
from skae.core.scores.learned_weights import WEIGHTS
from tests.helpers import slow_but

LEARNED = SCORES["learned"]


@pytest.fixture
def table(rng):
    """A continuous column, one of few values, a skewed and a constant one."""
    normal, skewed = rng.normal(size=500), rng.exponential(size=500)
    return np.c_[normal, rng.integers(0, 5, 500), skewed, np.full(500, 3.0)]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def fitted(score, rows, small, **parameters):
    return small(anomaly_score=score, validation_fraction=0.0, **parameters).fit(rows)


def surprise(values, at):
    """Minus the logarithm of the share of values in the cell of each place."""
    distinct = np.unique(values)
    low, high = distinct[[0, -1]]
    if len(distinct) == 1:
        inner, margin = np.empty(0), 0.1
    else:
        margin = (high - low) / 60
        inner = np.linspace(low, high, 31)[1:-1]
        if len(distinct) <= 30:
            inner = (distinct[1:] + distinct[:-1]) / 2
    edges = np.r_[low - margin, inner, high + margin]
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    shares = (counts + 0.5) / (len(values) + 0.5 * len(counts))
    return -np.log(shares[np.searchsorted(edges, at)])


def test_columns_are_the_mean_surprise_of_histograms(table, small, rng):
    detector = fitted("columns", table, small)
    rows = table[rng.permutation(500)[:50]]
    expected = np.mean(
        [surprise(table[:, j], rows[:, j]) for j in range(table.shape[1])], axis=0
    )
    np.testing.assert_allclose(-detector.score_samples(rows), expected, rtol=1e-4)


def test_values_that_no_column_had_are_the_rarest(table, small):
    detector = fitted("columns", table, small)
    usual = np.median(table, axis=0)
    scores = detector.score_samples(np.array([usual, usual + np.array([0, 7, 0, 0])]))
    assert scores[1] < scores[0] - 0.5


def to_quantiles(values, at):
    distinct, counts = np.unique(values, return_counts=True)
    rank = np.clip((np.cumsum(counts) - counts / 2) / len(values), 0.5 / 500, 1)
    z = ndtri(np.minimum(rank, 1 - 0.5 / 500))
    outside = np.minimum(at - distinct[0], 0) + np.maximum(at - distinct[-1], 0)
    return np.interp(at, distinct, z) + outside


def test_subsets_are_the_geometric_mean_of_nearest_rows(small, rng):
    # As few values as the map has knots.
    rows = rng.integers(0, 40, size=(500, 2)) + rng.integers(0, 2, size=(500, 2)) / 4
    rows = np.round(rows / 2)
    detector = fitted("subsets", rows, small)
    u = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    chosen = detector.statistics_["subsets_rows"][0].astype(np.float64)
    z = np.column_stack([to_quantiles(u[:, j], u[:, j]) for j in range(2)])
    # Every chosen row is one of the mapped training rows.
    gaps = np.abs(chosen[:, None] - z).max(axis=2).min(axis=1)
    assert gaps.max() < 1e-4
    squared = np.square(z[:100, None] - chosen).mean(axis=2)
    nearest = squared.reshape(100, subsets.N_SUBSETS, subsets.SIZE).min(axis=2)
    expected = np.exp(np.log(nearest + subsets.SMALLEST).mean(axis=1))
    np.testing.assert_allclose(-detector.score_samples(rows[:100]), expected, rtol=2e-3)


def test_rows_of_a_subset_differ_and_are_at_most_half():
    chosen = subsets._choose(np.ones(100)).reshape(subsets.N_SUBSETS, -1)
    assert all(len(set(rows)) == subsets.SIZE for rows in chosen)
    few = subsets._choose(np.ones(6)).reshape(subsets.N_SUBSETS, -1)
    assert all(len(set(rows)) == 3 for rows in few)
    weight = np.r_[np.zeros(50), np.ones(50)]
    assert subsets._choose(weight).min() >= 50


@settings(deadline=None, max_examples=30)
@given(
    hnp.arrays(np.float32, st.integers(1, 200), elements=st.floats(-50, 50, width=16)),
    st.integers(2, 70),
)
def test_maps_to_quantiles_rise(values, n_at):
    maps = piecewise.by_column(
        values[:, None], np.ones(len(values)), subsets._quantiles
    )
    at = np.linspace(-60, 60, n_at, dtype=np.float32)[:, None]
    mapped = piecewise.linear(at, maps, xp=np)[:, 0]
    assert np.isfinite(mapped).all()
    assert (np.diff(mapped) >= -1e-3).all()
    # Beyond all values by their distance.
    assert mapped[-1] - mapped[0] >= (-50 - at[0, 0]) + (at[-1, 0] - 50)


def evidence(energies, usual):
    """The default score of one row's energies, in plain NumPy."""
    floor = np.maximum(1e-6 * usual.mean(axis=0), 1e-10)
    logs = np.log(np.maximum(usual, floor))
    low, middle, high = (
        np.quantile(logs, q, axis=0, method="inverted_cdf") for q in (0.1, 0.5, 0.97)
    )
    views = (np.log(np.maximum(energies, floor)) - middle) / ((high - low) / 3)
    views = np.where(views > 12, 12 + np.log1p(np.maximum(views - 12, 0)), views)
    above = np.log1p(np.exp(2 * (views + 0.5))) / 2
    return (above**1.5 @ np.array(WEIGHTS["clean"])) ** (2 / 3)


def usual_energies(rng, n=300):
    n_views = len(LEARNED.energies)
    return np.exp(rng.normal(size=(n, n_views)) * np.arange(1, n_views + 1))


def units_of(usual, **changes):
    variances = np.ones(usual.shape[1])
    return learned.fit(Usual(usual, np.ones(len(usual)), variances, **changes))


def test_the_default_score_is_its_formula(rng):
    usual, energies = usual_energies(rng), usual_energies(rng, 50)
    energies[0] *= 1e12
    merged = learned.merge(energies, units_of(usual))
    np.testing.assert_allclose(merged, evidence(energies, usual), rtol=1e-9)


def test_what_no_network_restores_counts_more_for_wrong_cells(rng):
    usual, energies = usual_energies(rng), usual_energies(rng, 50)
    energies[:5, 0] *= 1e6
    units = units_of(usual)
    v = learned.views(energies, units)[:, 0]
    more = 3 * np.maximum(v - 2, 0) ** 2
    expected = (evidence(energies, usual) ** 1.5 + more) ** (2 / 3)
    merged = learned.merge_broken(energies, units)
    np.testing.assert_allclose(merged, expected, rtol=1e-9)
    assert (merged[:5] > learned.merge(energies, units)[:5]).all()


@settings(deadline=None, max_examples=50)
@given(
    hnp.arrays(
        np.float64,
        (2, len(LEARNED.energies)),
        elements=st.floats(0, 1e30),
    )
)
def test_no_view_excuses_another(energies):
    units = units_of(usual_energies(np.random.default_rng(0)))
    both = np.r_[energies, energies.max(axis=0, keepdims=True)]
    merged = learned.merge(both, units)
    assert np.isfinite(merged).all()
    assert merged[2] >= merged[:2].max() - 1e-12


def test_equal_usual_energies_have_units(rng):
    usual = np.zeros((30, len(LEARNED.energies)))
    units = units_of(usual)
    assert (units["view_unit"] > 0).all() and (units["view_floor"] > 0).all()
    merged = learned.merge(np.r_[usual[:1], usual[:1] + 1.0], units)
    assert np.isfinite(merged).all() and merged[1] > merged[0]


def test_weights_are_those_of_what_is_told(rng):
    usual = usual_energies(rng)
    for told, name in ((False, "clean"), (True, "contaminated")):
        weight = units_of(usual, is_contaminated=told)["view_weight"]
        np.testing.assert_array_equal(weight, WEIGHTS[name])
        assert (weight >= 0).all() and weight.sum() == pytest.approx(1, abs=0.01)
        assert len(weight) == len(LEARNED.energies)


@pytest.mark.parametrize("contamination", ["auto", 0.1])
def test_a_fit_knows_what_it_was_told(blobs, small, contamination):
    rows, _ = blobs
    detector = small(anomaly_score="learned", contamination=contamination).fit(rows)
    name = "clean" if contamination == "auto" else "contaminated"
    weight = detector.statistics_["view_weight"][0]
    np.testing.assert_array_equal(weight, WEIGHTS[name])
    # To move the threshold says nothing about the training rows.
    before = detector.score_samples(rows)
    detector.calibrate(contamination=0.2)
    np.testing.assert_array_equal(detector.score_samples(rows), before)


@pytest.mark.parametrize(
    ("contamination", "trim", "left_out"),
    [
        ("auto", "auto", 0.0),
        (0.05, "auto", 0.1),
        (0.3, "auto", 0.4),
        (0.5, "auto", 0.45),
        (0.05, 0, 0.0),
    ],
)
def test_trim_follows_what_is_told(blobs, small, contamination, trim, left_out):
    rows = np.asarray(blobs[0])[:160]
    detector = small(
        anomaly_score="nearest",
        contamination=contamination,
        trim=trim,
        validation_fraction=0.0,
    ).fit(rows)
    n_remembered = detector.statistics_["memory"].shape[1]
    assert n_remembered == round((1 - left_out) * len(rows))


def test_units_are_of_rows_that_do_not_train(monkeypatch, small, rng):
    trained = []
    train_member = fitting.train_member

    def spy(plan, split, **options):
        trained.append(split)
        return train_member(plan, split, **options)

    monkeypatch.setattr(fitting, "train_member", spy)
    rows = rng.normal(size=(600, 3))
    detector = small(anomaly_score="learned").fit(rows)
    (split,) = trained
    assert split.held_out.X.shape[0] == 60
    assert split.sample.n_new == 54
    assert split.train.X.shape[0] == 600 - 60 - 54
    seen = {*map(tuple, split.sample.seen.X)}
    assert not seen & {*map(tuple, split.sample.new.X)}
    # What needs no network learns from them in the end.
    assert detector.statistics_["memory"].shape[1] == 540


def test_few_rows_have_units_of_other_folds(monkeypatch, small, rng):
    rows = rng.normal(size=(60, 3))
    fits = []

    def train_member(*args, original=fitting.train_member, **kwargs):
        fits.append(args[1].train.X.shape[0])
        return original(*args, **kwargs)

    for room in (fitting, folds):
        monkeypatch.setattr(room, "train_member", train_member)
    detector = small(anomaly_score="learned").fit(rows)
    assert fits == [60, 48, 48, 48, 48, 48]
    detector.set_params(validation_fraction=0.0).fit(rows)
    assert fits[6:] == [60, 48, 48, 48, 48, 48]
    assert np.isfinite(detector.score_samples(rows)).all()


@pytest.mark.parametrize("told", [{"contamination": 0.1}, {"trim": 0.25}])
def test_gross_values_make_no_units_of_what_is_left_out(told, small, rng):
    # Left out of the training, they leave too few rows for units without folds.
    rows = rng.normal(size=(200, 4))
    rows[:3, 0] = 1e6
    detector = small(anomaly_score="learned", **told).fit(rows)
    scores = detector.score_samples(rows)
    assert scores[:3].max() < scores[3:].min()
    assert len(np.unique(scores[3:])) > 190
    assert detector.predict(np.full((1, 4), 20.0)) == -1


def test_explanations_of_what_never_varies_are_finite(small):
    rows = np.zeros((200, 4))
    rows[:2] = 1
    detector = small(anomaly_score="learned").fit(rows)
    for reasons in detector.explain(rows[[0, 5]], 4):
        assert np.isfinite([part for _, part in reasons]).all()


@pytest.mark.slow
def test_a_few_unnoticed_outliers_do_not_ruin_the_default(rng):
    rows, outliers = rng.normal(size=(500, 6)), rng.normal(size=(25, 6)) + 5
    detector = AutoencoderOutlierDetector(random_state=0)
    scores = detector.fit(np.r_[rows, outliers]).score_samples(
        np.r_[rng.normal(size=(500, 6)), rng.normal(size=(50, 6)) + 5]
    )
    assert np.median(scores[500:]) < np.quantile(scores[:500], 0.02)


@pytest.mark.parametrize(
    "score",
    slow_but(
        ["learned", "nearest"],
        ["learned", "combined", "nearest", "mahalanobis", "columns", "subsets"],
    ),
)
def test_explanations_name_the_columns_that_make_the_score(score, small, rng):
    rows = rng.normal(size=(400, 8)) @ np.diag([1, 2, 1, 1, 1, 0.5, 1, 1])
    detector = small(anomaly_score=score, max_iter=50).fit(rows)
    odd = np.zeros((8, 8))
    np.fill_diagonal(odd, 8 * rows.std(axis=0))
    named = detector.explain(odd, n_features=1)
    assert [row[0][0] for row in named] == [f"x{j}" for j in range(8)]
    assert all(row[0][1] > 0 for row in named)


def test_explanations_of_the_residual_are_the_feature_errors(blobs, small):
    rows, outliers = blobs
    detector = small(anomaly_score="reconstruction").fit(rows)
    errors = np.sort(detector.feature_errors(outliers), axis=1)[:, ::-1]
    named = detector.explain(outliers, n_features=2)
    np.testing.assert_allclose(
        [[part for _, part in row] for row in named], errors[:, :2], rtol=1e-6
    )


def test_missing_cells_are_not_named(small, rng):
    rows = rng.normal(size=(300, 4))
    detector = small(anomaly_score="learned", missing="mask").fit(rows)
    named = detector.explain([[np.nan, 9, 0, 0]], n_features=4)[0]
    assert named[0][0] == "x1"
    assert {name for name, _ in named} == {"x1", "x2", "x3"}
