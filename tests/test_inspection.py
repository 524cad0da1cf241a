"""Pictures show what they say, of any detector that makes sense, with ugly data too."""

import warnings

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)

from skae.inspection import (
    AlarmSignalDisplay,
    FeatureErrorDisplay,
    LatentSpaceDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    ScoreDistributionDisplay,
    ThresholdCostDisplay,
    _figure,
    explain,
    feature_errors,
    p_values,
)
from skae.inspection._explanations import errors_by_column
from skae.metrics import AlarmCost
from skae.model_selection import AlarmFilter, TunedThresholdDetector
from tests.helpers import SMALL_FOREST, slow_but

NAMES = [f"{kind}_{i}" for kind in ("volume", "$heat$", "<script>") for i in range(2)]


@pytest.fixture(autouse=True)
def _close_figures():
    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def labelled(blobs):
    rows, outliers = blobs
    X = pd.DataFrame(np.r_[rows, 2 * outliers], columns=NAMES)
    return 10 * X + 3, np.r_[np.ones(len(rows)), -np.ones(len(outliers))]


@pytest.fixture(scope="module")
def pipeline(labelled, small):
    X, y = labelled
    return make_pipeline(StandardScaler(), small()).fit(X[y == 1])


def drawn(display):
    """The figure as pixels: drawing it must not fail or warn."""
    display.figure_.canvas.draw()
    return np.asarray(display.figure_.canvas.buffer_rgba())


def assert_shows_data(display):
    """Fail on a picture that is blank but for its axes and its threshold."""
    seen = drawn(display).copy()
    threshold = getattr(display, "threshold_line_", None)
    for ax in np.ravel(getattr(display, "axes_", display.ax_)):
        for artist in (*ax.lines, *ax.collections, *ax.patches, *ax.images):
            artist.set_visible(artist is threshold)
    # The axes stay where they are, though there may be less to make room for.
    display.figure_.set_layout_engine("none")
    assert (drawn(display) != seen).any()


def texts(display):
    return " ".join(t.get_text() for t in display.figure_.findobj(mpl.text.Text))


DISPLAYS = {
    "loss": lambda e, X, y: LossCurveDisplay.from_estimator(e),
    "distribution": ScoreDistributionDisplay.from_estimator,
    "alarm": AlarmSignalDisplay.from_estimator,
    "bar": FeatureErrorDisplay.from_estimator,
    "heatmap": lambda e, X, y: FeatureErrorDisplay.from_estimator(
        e, X, y, kind="heatmap"
    ),
    "map": LatentSpaceDisplay.from_estimator,
    "units": lambda e, X, y: LatentSpaceDisplay.from_estimator(e, X, y, kind="units"),
    "reconstruction": lambda e, X, y: ReconstructionDisplay.from_estimator(e, X),
    "cost": lambda e, X, y: ThresholdCostDisplay.from_estimator(e, X, y),
}


@pytest.mark.parametrize("name", DISPLAYS)
def test_pictures_of_a_pipeline_are_drawn(name, pipeline, labelled):
    display = DISPLAYS[name](pipeline, *labelled)
    assert display.ax_.figure is display.figure_
    drawn(display)
    parts = getattr(display, "axes_", np.array([display.ax_]))
    assert all(ax.has_data() for ax in parts.flat if ax.axison)


@pytest.mark.parametrize("name", [name for name in DISPLAYS if name != "loss"])
def test_pictures_of_one_row(name, pipeline, labelled):
    X, y = labelled
    y = y if name == "cost" else np.array([np.nan])
    assert_shows_data(DISPLAYS[name](pipeline, X[-1:], y[-1:]))


@pytest.mark.parametrize(
    "name",
    [name for name in DISPLAYS if name not in ("loss", "reconstruction", "cost")],
)
@pytest.mark.parametrize(
    "y", slow_but(["gaps"], ["none", "inliers", "outliers", "gaps", "objects"])
)
def test_labels_may_be_partial(name, y, pipeline, labelled):
    X, truth = labelled
    y = {
        "none": None,
        "inliers": np.ones(len(X)),
        "outliers": -np.ones(len(X), int),
        "gaps": np.where(np.arange(len(X)) % 3 == 0, np.nan, truth),
        "objects": [None, *truth[1:].astype(int)],
    }[y]
    assert_shows_data(DISPLAYS[name](pipeline, X, y))


@pytest.mark.parametrize(
    "name", [name for name in DISPLAYS if name not in ("loss", "reconstruction")]
)
@pytest.mark.parametrize("bad", [0, True, "spam"])
def test_other_labels_are_refused(name, bad, pipeline, labelled):
    X, y = labelled
    with pytest.raises(ValueError, match=r"\+1 for inliers and -1 for outliers"):
        DISPLAYS[name](pipeline, X, np.full(len(y), bad))
    if name != "cost":
        with pytest.raises(ValueError, match="inconsistent numbers"):
            DISPLAYS[name](pipeline, X, y[1:])


@pytest.mark.parametrize("name", DISPLAYS)
def test_an_unfitted_detector_is_named(name, small, labelled):
    with pytest.raises(NotFittedError):
        DISPLAYS[name](make_pipeline(StandardScaler(), small()), *labelled)


@pytest.mark.parametrize("name", DISPLAYS)
def test_pictures_go_where_they_are_told(name, pipeline, labelled):
    figure, axes = plt.subplots(1, 2)
    if name == "loss":
        display = LossCurveDisplay.from_estimator(pipeline, ax=axes[1])
    elif name in ("map", "units"):
        display = LatentSpaceDisplay.from_estimator(
            pipeline, *labelled, kind=name, ax=axes[1]
        )
    else:
        kinds = {"heatmap": {"kind": "heatmap"}}
        X, y = labelled
        owner = type(DISPLAYS[name](pipeline, X, y))
        arguments = (X,) if name == "reconstruction" else (X, y)
        display = owner.from_estimator(
            pipeline, *arguments, ax=axes[1], **kinds.get(name, {})
        )
    assert display.figure_ is figure
    drawn(display)
    assert not axes[0].has_data()


@pytest.mark.parametrize("name", ["distribution", "alarm", "cost"])
@pytest.mark.parametrize(
    "detector", [IsolationForest(**SMALL_FOREST), LocalOutlierFactor(novelty=True)]
)
def test_other_detectors_are_drawn_with_their_threshold(name, detector, labelled):
    X, y = labelled
    detector = detector.fit(X.to_numpy())
    display = DISPLAYS[name](detector, X.to_numpy(), y)
    drawn(display)
    line = display.threshold_line_
    place = line.get_ydata()[0] * -1 if name == "alarm" else line.get_xdata()[0]
    assert place == pytest.approx(detector.offset_)
    assert type(detector).__name__ in texts(display)


@pytest.mark.parametrize("name", ["bar", "map", "reconstruction", "loss"])
def test_what_other_detectors_do_not_have_is_said(name, labelled):
    X, y = labelled
    detector = make_pipeline(StandardScaler(), IsolationForest(**SMALL_FOREST)).fit(X)
    with pytest.raises(TypeError, match="Got IsolationForest"):
        DISPLAYS[name](detector, X, y)


def test_a_factor_without_novelty_has_no_scores(labelled):
    X, y = labelled
    with pytest.raises(TypeError, match="novelty"):
        ScoreDistributionDisplay.from_estimator(LocalOutlierFactor().fit(X), X, y)


def test_losses_are_those_of_the_history(pipeline):
    display = LossCurveDisplay.from_estimator(pipeline, name="mine")
    history = pipeline[-1].history_
    curves = [line.get_ydata() for line in display.lines_]
    np.testing.assert_array_equal(curves[0], history["loss"])
    np.testing.assert_array_equal(curves[1], history["validation_loss"])
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_title() == "mine"


def test_losses_below_zero_and_single_epochs():
    display = LossCurveDisplay(loss=[-1.0]).plot()
    assert display.ax_.get_yscale() == "linear"
    assert len(display.lines_) == 1
    drawn(display)


def areas(display):
    """Total height of each histogram's bars."""
    for patch in display.patches_:
        corners = patch.get_xy()
        edges = np.unique(corners[:, 0])
        middle = (edges[1:] + edges[:-1]) / 2
        bars = [
            corners[np.searchsorted(corners[: len(middle) * 2, 0], x), 1]
            for x in middle
        ]
        yield sum(bars)


def test_every_row_is_in_a_bar_of_its_kind(labelled, pipeline):
    X, y = labelled
    scores = pipeline.score_samples(X)
    scores[0], scores[1] = -np.inf, -1e12
    display = ScoreDistributionDisplay.from_predictions(y, scores, threshold=-2.0)
    assert list(areas(display)) == pytest.approx([1, 1])
    assert "2 beyond" in display.ax_.get_xlabel()
    assert "inliers (300)" in texts(display)
    assert "outliers (60)" in texts(display)


@pytest.mark.parametrize("value", [0, 2.5, "many"])
def test_bad_numbers_are_named(value, labelled, pipeline):
    with pytest.raises(ValueError, match=r"'bins'.*ScoreDistributionDisplay.*range"):
        ScoreDistributionDisplay.from_estimator(pipeline, *labelled, bins=value)
    with pytest.raises(ValueError, match=r"'n_features'.*FeatureErrorDisplay"):
        FeatureErrorDisplay.from_estimator(pipeline, *labelled, n_features=value)
    with pytest.raises(ValueError, match=r"'n_rows'.*ReconstructionDisplay"):
        ReconstructionDisplay.from_estimator(pipeline, labelled[0], n_rows=value)
    with pytest.raises(ValueError, match=r"'n_features'.*explain"):
        explain(pipeline, labelled[0], n_features=value)


@pytest.mark.parametrize("owner", [FeatureErrorDisplay, LatentSpaceDisplay])
def test_unknown_kinds_are_named(owner, labelled, pipeline):
    with pytest.raises(
        ValueError, match=rf"'kind' parameter of {owner.__name__}.*'pie'"
    ):
        owner.from_estimator(pipeline, *labelled, kind="pie")


def test_alarms_are_the_rows_below_the_threshold():
    scores = np.array([3.0, -2, 1, -9, 0])
    display = AlarmSignalDisplay.from_predictions(
        [1, -1, -1, 1, np.nan], scores, threshold=-1.5
    )
    np.testing.assert_array_equal(display.line_.get_ydata(), -scores)
    np.testing.assert_array_equal(display.alarms_.get_xdata(), [1, 3])
    assert "2 alarms" in texts(display)
    outliers, unknown = display.spans_
    assert outliers.get_paths()[0].get_extents().bounds[0::2] == (0.5, 2)
    assert unknown.get_paths()[0].get_extents().bounds[0::2] == (3.5, 1)
    drawn(display)


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_time_may_be_dates(unit):
    days = pd.date_range("2024-01-30", periods=50, unit=unit)
    scores = np.random.default_rng(0).normal(size=50)
    display = AlarmSignalDisplay.from_predictions(None, scores, time=days)
    drawn(display)
    assert "2024-02" in texts(display)
    drawn(AlarmSignalDisplay.from_predictions(None, scores, time=list(days)))


def test_time_must_ascend():
    with pytest.raises(ValueError, match="must ascend"):
        AlarmSignalDisplay.from_predictions(None, [1.0, 2], time=[2, 1])
    with pytest.raises(ValueError, match="must ascend"):
        AlarmSignalDisplay.from_predictions(None, [1.0, 2], time=[2, np.nan])
    with pytest.raises(ValueError, match="inconsistent"):
        AlarmSignalDisplay.from_predictions(None, [1.0, 2], time=[2])


def test_no_peak_of_a_million_rows_is_lost():
    scores = np.random.default_rng(0).normal(size=1_000_000)
    y = np.ones(len(scores))
    scores[123_457], y[123_457] = -30.0, -1
    display = AlarmSignalDisplay.from_predictions(y, scores, threshold=-20.0)
    assert len(display.line_.get_ydata()) <= 2 * _figure.MAX_POINTS
    np.testing.assert_array_equal(display.alarms_.get_xdata(), [123_457])
    (outliers,) = display.spans_
    left, _, width, _ = outliers.get_paths()[0].get_extents().bounds
    assert left <= 123_457 <= left + width
    drawn(display)
    drawn(ScoreDistributionDisplay.from_predictions(y, scores))


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_spans_hold_every_marked_row_and_no_other(marked):
    marked = np.array(marked)
    x = np.arange(len(marked))
    parts = _figure.spans(marked, x)
    inside = np.zeros(len(marked), bool)
    for start, width in parts:
        inside |= (x > start) & (x < start + width)
    np.testing.assert_array_equal(inside, marked)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40))
def test_windows_are_finite_and_hold_the_bulk(values):
    values = np.array(values, dtype=np.float64)
    low, high = _figure.window(values, 1.5)
    assert np.isfinite([low, high]).all()
    assert low < 1.5 < high
    finite = values[np.isfinite(values)]
    if len(finite):
        share = ((finite >= low) & (finite <= high)).mean()
        assert share >= 0.85


def test_bars_are_means_of_outliers_the_worst_first(pipeline, labelled):
    X, y = labelled
    errors = feature_errors(pipeline, X)
    display = FeatureErrorDisplay.from_estimator(pipeline, X, y, n_features=4)
    means = errors[y == -1].mean().sort_values(ascending=False)
    assert display.features_ == list(means.index[:4])
    inliers, outliers = display.bars_
    np.testing.assert_allclose([b.get_width() for b in outliers], means[:4])
    np.testing.assert_allclose(
        [b.get_width() for b in inliers], errors[y == 1].mean()[means.index[:4]]
    )


def test_heat_maps_keep_the_largest_error_of_neighbours():
    errors = np.ones((10_000, 3))
    errors[4321, 1] = 500.0
    errors[:, 2] = np.nan
    display = FeatureErrorDisplay.from_predictions(None, errors, kind="heatmap")
    image = display.image_.get_array()
    assert image.shape == (3, 2000)
    assert image.max() == 500
    assert display.features_ == ["x1", "x0", "x2"]
    drawn(display)


@pytest.mark.slow
def test_three_hundred_long_names_are_drawn():
    rng = np.random.default_rng(0)
    names = [
        f"$a_{{ long \\frac name\n of column <b>{i}</b> {'é' * 40}" for i in range(300)
    ]
    errors = pd.DataFrame(rng.chisquare(1, size=(20, 300)), columns=names)
    display = FeatureErrorDisplay.from_predictions(None, errors, n_features=300)
    assert drawn(display).shape[0] > 4000
    assert display.features_ != names
    assert sorted(display.features_) == sorted(names)
    labels = [t.get_text() for t in display.ax_.get_yticklabels()]
    assert max(map(len, labels)) <= _figure.MAX_LABEL + 1


def test_names_of_errors_must_fit():
    with pytest.raises(ValueError, match="2 names"):
        FeatureErrorDisplay.from_predictions(None, [[1.0, 2]], feature_names=["a"])
    with pytest.raises(ValueError, match="n_samples, n_features"):
        FeatureErrorDisplay.from_predictions(None, [1.0, 2])


def test_dead_units_are_found():
    codes = np.random.default_rng(0).normal(size=(200, 20))
    codes[:, [3, 7]] = 0.5
    for kind in ("map", "units"):
        display = LatentSpaceDisplay.from_predictions(None, codes, kind=kind)
        np.testing.assert_array_equal(display.dead_units_, [3, 7])
        drawn(display)
    assert "16 of 20 units, 2 dead" in texts(display)


def test_maps_are_principal_components():
    codes = np.random.default_rng(0).normal(size=(200, 5)) * [1, 9, 1, 4, 1]
    display = LatentSpaceDisplay.from_predictions(None, codes)
    places = display.ax_.collections[0].get_offsets()
    expected = PCA(2, random_state=0).fit_transform(codes)
    np.testing.assert_allclose(places, expected)
    assert "component 1 of the code (77%" in display.ax_.get_xlabel()


@pytest.mark.parametrize(
    "shape", slow_but([(1, 1), (2, 7)], [(50, 1), (50, 2), (1, 1), (1, 7), (2, 7)])
)
@pytest.mark.parametrize("kind", ["map", "units"])
def test_narrow_codes_and_few_rows(shape, kind):
    codes = np.random.default_rng(0).normal(size=shape)
    assert_shows_data(LatentSpaceDisplay.from_predictions(None, codes, kind=kind))
    assert_shows_data(
        LatentSpaceDisplay.from_predictions(None, np.zeros(shape), kind=kind)
    )


def test_curves_are_in_the_units_of_the_detector(pipeline, labelled):
    X, _ = labelled
    display = ReconstructionDisplay.from_estimator(pipeline, X, n_rows=3)
    inputs = pipeline[:-1].transform(X[:3])
    for i, ax in enumerate(display.axes_.flat[:3]):
        row, restored = (line.get_ydata() for line in ax.lines)
        np.testing.assert_allclose(row, inputs[i])
        np.testing.assert_allclose(restored, pipeline[-1].reconstruct(inputs)[i])


def test_images_are_in_the_units_that_entered(small):
    X = np.random.default_rng(0).uniform(5, 9, size=(60, 12))
    pipeline = make_pipeline(StandardScaler(), small()).fit(X)
    display = ReconstructionDisplay.from_estimator(pipeline, X[:2], image_shape=(3, 4))
    above, below = display.axes_
    np.testing.assert_allclose(above[1].images[0].get_array(), X[1].reshape(3, 4))
    restored = pipeline[0].inverse_transform(
        pipeline[1].reconstruct(pipeline[0].transform(X[:2]))
    )
    np.testing.assert_allclose(
        below[1].images[0].get_array(), restored[1].reshape(3, 4)
    )
    drawn(display)
    colours = ReconstructionDisplay.from_predictions(X, X + 1, image_shape=(2, 2, 3))
    drawn(colours)


def test_detectors_of_images_know_their_shape(small):
    X = np.random.default_rng(0).normal(size=(60, 16))
    detector = small(network="conv", input_shape=(4, 4, 1)).fit(X)
    display = ReconstructionDisplay.from_estimator(detector, X[:2])
    assert display.image_shape == (4, 4, 1)
    drawn(display)


@pytest.mark.parametrize("shape", [(5, 5), (12,), (3, 2, 2)])
def test_shapes_of_images_must_fit(shape):
    X = np.zeros((2, 12))
    with pytest.raises(ValueError, match=r"'image_shape'.*12 features"):
        ReconstructionDisplay.from_predictions(X, X, image_shape=shape)


def test_reconstructions_must_have_the_shape_of_the_rows():
    with pytest.raises(ValueError, match="shape of X"):
        ReconstructionDisplay.from_predictions(np.zeros((2, 3)), np.zeros((2, 4)))


def test_costs_of_thresholds_are_those_of_the_objective(pipeline, labelled):
    X, y = labelled
    cost = AlarmCost(missed=5)
    display = ThresholdCostDisplay.from_estimator(pipeline, X, y, objective=cost)
    candidates, costs = cost.curve(y, pipeline.score_samples(X))
    shown = np.isfinite(candidates)
    np.testing.assert_array_equal(display.line_.get_xdata(), candidates[shown])
    np.testing.assert_array_equal(display.line_.get_ydata(), costs[shown])
    assert "cost" in display.ax_.get_ylabel()
    drawn(display)


def test_the_curve_that_tuned_a_threshold_is_drawn(labelled):
    X, y = labelled
    tuned = TunedThresholdDetector(
        IsolationForest(**SMALL_FOREST), objective=AlarmCost(missed=5)
    ).fit(X, y)
    display = ThresholdCostDisplay.from_estimator(tuned)
    assert display.line_.get_ydata().min() == -tuned.best_score_
    assert display.threshold_line_.get_xdata()[0] == tuned.offset_
    same = ThresholdCostDisplay.from_estimator(tuned, X, y)
    assert same.objective_name == display.objective_name
    with pytest.raises(ValueError, match="needs X and y"):
        ThresholdCostDisplay.from_estimator(IsolationForest(**SMALL_FOREST).fit(X))


def only_f1(tn, fp, fn, tp):
    return tp / np.maximum(tp + fp, 1)


@pytest.mark.parametrize(
    ("objective", "name"),
    [("f1", "F1"), (only_f1, "only f1"), ("balanced_accuracy", "balanced accuracy")],
)
def test_objectives_are_named(objective, name, labelled, pipeline):
    X, y = labelled
    display = ThresholdCostDisplay.from_estimator(pipeline, X, y, objective=objective)
    assert name in display.ax_.get_ylabel()


def test_colours_differ_in_grey():
    def luminance(color):
        channels = np.array(to_rgb(color))
        linear = np.where(
            channels > 0.04, ((channels + 0.055) / 1.055) ** 2.4, channels
        )
        return linear @ [0.2126, 0.7152, 0.0722]

    light, dark = luminance(_figure.NORMAL), luminance(_figure.ABNORMAL)
    assert (light + 0.05) / (dark + 0.05) > 2.5


def test_matplotlib_is_named_where_it_is_missing(monkeypatch, pipeline, labelled):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    for draw in DISPLAYS.values():
        with pytest.raises(ImportError, match=r"skae\[plot\]"):
            draw(pipeline, *labelled)


@pytest.fixture(scope="module")
def mixed():
    """Numbers, a category and a date; two more columns that are left out."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "unused": 1,
            "height": rng.normal(170, 10, size=400),
            "colour": rng.choice(["red", "green_a", "blue"], size=400),
            "colour_b": rng.choice(["x", "y"], size=400),
            "weight": rng.normal(size=400),
        }
    )
    X["weight"] += X["height"] / 5
    return X


@pytest.fixture(scope="module")
def mixed_pipeline(mixed, small):
    encode = make_column_transformer(
        (StandardScaler(), ["weight", "height"]),
        (OneHotEncoder(sparse_output=False), ["colour", "colour_b"]),
    )
    return make_pipeline(encode, small(max_iter=30)).fit(mixed)


def test_one_hot_columns_count_as_the_column_they_came_from(mixed_pipeline, mixed):
    errors = feature_errors(mixed_pipeline, mixed)
    assert list(errors.columns) == ["weight", "height", "colour", "colour_b"]
    detector = mixed_pipeline[-1]
    inputs = mixed_pipeline[0].transform(mixed)
    raw = detector.feature_errors(inputs, normalize=False)
    np.testing.assert_allclose(
        feature_errors(mixed_pipeline, mixed, normalize=False)["colour"],
        raw[:, 2:5].sum(axis=1),
    )
    # Normalised errors of the training rows are 1 on average, for groups too.
    plain = detector.feature_errors(inputs)
    np.testing.assert_allclose(errors["height"], plain[:, 1])
    usual = raw / plain
    np.testing.assert_allclose(
        errors["colour"], raw[:, 2:5].sum(axis=1) / usual[0, 2:5].sum(), rtol=1e-6
    )
    display = FeatureErrorDisplay.from_estimator(mixed_pipeline, mixed)
    assert set(display.features_) == {"weight", "height", "colour", "colour_b"}


def test_explanations_name_the_columns_that_entered(mixed_pipeline, mixed):
    row = mixed.iloc[:1].assign(height=300.0)
    (named,) = explain(mixed_pipeline, row, n_features=2)
    assert named[0][0] == "height"
    # Of the inputs made from a column, the worst counts.
    inputs = mixed_pipeline[:-1].transform(row)
    (of_inputs,) = mixed_pipeline[-1].explain(inputs, n_features=1)
    assert named[0][1] == of_inputs[0][1]


def _reversed(X):
    return np.asarray(X)[:, ::-1]


def numbered(name, n_columns):
    return [f"{name}{i}" for i in range(n_columns)]


@pytest.mark.parametrize(
    ("transformer", "expected"),
    [
        (PCA(2), ["pca0", "pca1"]),
        (FunctionTransformer(np.cbrt), NAMES),
        (FunctionTransformer(np.cbrt, feature_names_out="one-to-one"), NAMES),
        (FunctionTransformer(), NAMES),
        (FunctionTransformer(_reversed, feature_names_out="one-to-one"), NAMES),
        (FunctionTransformer(_reversed), numbered("functiontransformer", 6)),
        (
            FunctionTransformer(lambda X: _reversed(X)[:, :4]),
            numbered("functiontransformer", 4),
        ),
        (
            make_pipeline(FunctionTransformer(_reversed), StandardScaler()),
            numbered("pipeline", 6),
        ),
        (
            make_column_transformer((FunctionTransformer(_reversed), slice(0, 2))),
            numbered("columntransformer", 2),
        ),
        (
            make_column_transformer((FunctionTransformer(_reversed), [3])),
            NAMES[3:4],
        ),
        ("passthrough", NAMES),
        (
            make_pipeline(StandardScaler(), PolynomialFeatures(1, include_bias=False)),
            NAMES,
        ),
    ],
)
def test_columns_are_traced_through_any_transformer(
    transformer, expected, labelled, small
):
    X, _ = labelled
    pipeline = make_pipeline(StandardScaler(), transformer, small()).fit(X)
    assert list(feature_errors(pipeline, X).columns) == expected


def test_products_of_columns_keep_their_own_names(labelled, small):
    X, _ = labelled
    products = PolynomialFeatures(2, interaction_only=True, include_bias=False)
    pipeline = make_pipeline(products, StandardScaler(), small()).fit(X.iloc[:, :2])
    assert list(feature_errors(pipeline, X.iloc[:, :2]).columns) == [
        *NAMES[:2],
        f"{NAMES[0]} {NAMES[1]}",
    ]


def test_wrappers_are_looked_through(pipeline, labelled):
    X, y = labelled
    expected = feature_errors(pipeline, X)
    tuned = TunedThresholdDetector(FrozenEstimator(pipeline)).fit(X, y)
    pd.testing.assert_frame_equal(feature_errors(tuned, X), expected)
    np.testing.assert_array_equal(p_values(tuned, X), p_values(pipeline, X))
    search = GridSearchCV(
        pipeline, {"autoencoderoutlierdetector__max_iter": [5]}, cv=2
    ).fit(X[y == 1])
    pd.testing.assert_frame_equal(feature_errors(search, X), expected)
    display = AlarmSignalDisplay.from_estimator(search, X)
    offset = search.best_estimator_[-1].offset_
    assert -display.threshold_line_.get_ydata()[0] == pytest.approx(offset)


def test_functions_agree_with_the_methods(pipeline, labelled):
    X, _ = labelled
    inputs = pipeline[:-1].transform(X)
    detector = pipeline[-1]
    np.testing.assert_array_equal(p_values(pipeline, X), detector.p_values(inputs))
    np.testing.assert_array_equal(
        feature_errors(pipeline, X, normalize=False),
        detector.feature_errors(inputs, normalize=False),
    )
    plain = detector.explain(inputs, n_features=3)
    named = dict(zip([f"x{i}" for i in range(6)], NAMES, strict=True))
    renamed = [[(named[name], error) for name, error in row] for row in plain]
    assert renamed == explain(pipeline, X, n_features=3)


def test_polars_frames_come_back(pipeline, labelled):
    X, _ = labelled
    errors = feature_errors(pipeline, pl.from_pandas(X))
    assert isinstance(errors, pl.DataFrame)
    assert errors.columns == NAMES


def test_missing_cells_are_not_named(labelled, small):
    X, y = labelled
    detector = make_pipeline(StandardScaler(), small(missing="mask")).fit(X[y == 1])
    row = X.iloc[-2:].copy()
    row.iloc[0, 1:] = np.nan
    assert [name for name, _ in explain(detector, row)[0]] == [NAMES[0]]
    for kind in ("bar", "heatmap"):
        drawn(FeatureErrorDisplay.from_estimator(detector, row, kind=kind))
    drawn(ReconstructionDisplay.from_estimator(detector, row))


@pytest.mark.parametrize("score", slow_but(["joint"], ["reconstruction", "joint"]))
def test_tampered_features_are_named(score, small):
    """Three of 30 features are shifted by 5 standard deviations of their residuals."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 6)) @ rng.normal(size=(6, 30))
    rows = StandardScaler().fit_transform(rows + rng.normal(size=rows.shape))
    train, rows = rows[:1500], rows[1500:]
    detector = small(latent_dim=6, max_iter=60, anomaly_score=score).fit(train)
    spread = (train - detector.reconstruct(train)).std(axis=0)
    tampered = np.array([rng.choice(30, 3, replace=False) for _ in rows])
    shifted = rows.copy()
    each = np.arange(len(rows))[:, None]
    shifted[each, tampered] += (
        5 * rng.choice([-1, 1], tampered.shape) * spread[tampered]
    )
    found = [
        sum(name in {f"x{j}" for j in features} for name, _ in named)
        for named, features in zip(explain(detector, shifted, 3), tampered, strict=True)
    ]
    assert np.mean(found) >= 2.4


def test_pictures_change_no_global_setting(pipeline, labelled):
    before = dict(mpl.rcParams)
    state = np.random.get_state()[1].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for draw in DISPLAYS.values():
            draw(pipeline, *labelled)
    assert dict(mpl.rcParams) == before
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_parameters_explain_themselves_in_notebooks(small, labelled):
    X, _ = labelled
    pipeline = make_pipeline(StandardScaler(), small()).fit(X)
    tuned = TunedThresholdDetector(small())
    for estimator in (small(), pipeline, tuned):
        html = estimator._repr_html_()
        assert "Share of the training rows suspected as outliers" in html
        # There is no manual online to link to.
        assert 'href="#' not in html
    for meta in (tuned, AlarmFilter(small())):
        assert "Detector with ``score_samples``" in meta._repr_html_()


def test_columns_are_traced_into_transformers_that_do_not_name_theirs(labelled, small):
    """The transformer changes the order of the columns."""
    X, _ = labelled
    swap = make_column_transformer(
        (FunctionTransformer(np.cbrt), [NAMES[3]]),
        (StandardScaler(), NAMES[:3]),
        verbose_feature_names_out=False,
    )
    pipeline = make_pipeline(swap, small()).fit(X)
    assert list(feature_errors(pipeline, X).columns) == [NAMES[3], *NAMES[:3]]
    row = X.iloc[:1].copy()
    row[NAMES[1]] = 1e4
    assert explain(pipeline, row, 1)[0][0][0] == NAMES[1]


def test_names_may_be_of_any_type(labelled, small):
    X, _ = labelled
    pipeline = make_pipeline(StandardScaler(), small()).fit(X.to_numpy())
    numbered = X.set_axis(range(6), axis=1)
    errors = feature_errors(pipeline, numbered)
    assert list(errors.columns) == list(range(6))
    assert explain(pipeline, numbered.iloc[:1], 1)[0][0][0] in "012345"


def test_categories_with_any_letters_are_traced(small):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"kind": rng.choice(["\x007\x00", "\x00x\x00", "1"], size=200)})
    X["size"] = rng.normal(size=200)
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["kind"]), remainder=StandardScaler()
    )
    pipeline = make_pipeline(encode, small()).fit(X)
    assert list(feature_errors(pipeline, X).columns) == ["kind", "size"]


def test_columns_are_traced_through_transformers_that_ignore_names(small):
    """The transformers of skrub, bare and within others."""
    skrub = pytest.importorskip("skrub")
    rng = np.random.default_rng(0)
    days = pd.to_timedelta(rng.integers(0, 300, size=80), "D")
    X = pd.DataFrame({"when": pd.Timestamp("2024-01-01") + days})
    X["kind"] = rng.choice(["a", "b", "when_year"], size=80)
    X["size"] = rng.normal(size=80)
    parts = make_column_transformer(
        (skrub.ApplyToCols(skrub.DatetimeEncoder()), ["when"]),
        (StandardScaler(), ["size"]),
        verbose_feature_names_out=False,
    )
    for prepare, names in (
        (skrub.TableVectorizer(), ["when", "kind", "size"]),
        (parts, ["when", "size"]),
    ):
        pipeline = make_pipeline(prepare, StandardScaler(), small()).fit(X)
        assert list(feature_errors(pipeline, X).columns) == names


def test_missing_inputs_do_not_count_among_those_of_their_column():
    class Detector:
        def feature_errors(self, X, normalize):
            return X

        def _usual_errors(self):
            return np.array([1.0, 2.0, 4.0])

    X = np.array([[3.0, 4.0, 8.0], [np.nan, 4.0, 8.0], [np.nan, np.nan, 8.0]])
    errors = errors_by_column(Detector(), X, np.array([0, 0, 1]))
    np.testing.assert_allclose(errors, [[7 / 3, 2], [2, 2], [np.nan, 2]])


def test_curves_name_the_columns_that_entered(pipeline, labelled):
    display = ReconstructionDisplay.from_estimator(pipeline, labelled[0], n_rows=2)
    labels = [label.get_text() for label in display.axes_[0, 0].get_xticklabels()]
    assert labels == [_figure.text(name, 16) for name in NAMES]


def test_an_infinite_signal_is_an_alarm():
    display = AlarmSignalDisplay.from_predictions(
        None, [0.0, -np.inf, 1.0], threshold=-5.0
    )
    np.testing.assert_array_equal(display.alarms_.get_xdata(), [1])
    assert "1 alarms" in texts(display)
    drawn(display)


def test_times_may_have_zones_and_must_be_times():
    days = pd.date_range("2024-01-30", periods=3, tz="Europe/Rome")
    drawn(AlarmSignalDisplay.from_predictions(None, [1.0, 2, 3], time=days))
    drawn(
        AlarmSignalDisplay.from_predictions(
            None, [1.0, 2], time=["2024-01-01", "2024-01-02"]
        )
    )
    for bad in (["a", "b"], [None, 1], [pd.NaT, pd.NaT]):
        with pytest.raises(ValueError, match="time must"):
            AlarmSignalDisplay.from_predictions(None, [1.0, 2], time=bad)


def test_forbidden_thresholds_are_gaps():
    display = ThresholdCostDisplay(
        thresholds=[1.0, 2, 3], values=[0.5, -np.inf, 0.7]
    ).plot()
    np.testing.assert_array_equal(display.line_.get_ydata(), [0.5, np.nan, 0.7])


@pytest.mark.parametrize("kind", ["units", "rows"])
def test_grids_leave_the_figure_of_the_user_alone(kind, pipeline, labelled):
    figure, ax = plt.subplots()
    figure.suptitle("mine")
    if kind == "units":
        display = LatentSpaceDisplay.from_estimator(
            pipeline, labelled[0], kind="units", ax=ax
        )
    else:
        display = ReconstructionDisplay.from_estimator(pipeline, labelled[0], ax=ax)
    assert figure.get_suptitle() == "mine"
    assert not figure.legends
    drawn(display)
    free = figure.add_axes([0, 0, 1, 1])
    with pytest.raises(ValueError, match="of a grid"):
        LatentSpaceDisplay.from_estimator(pipeline, labelled[0], kind="units", ax=free)


def test_features_are_chosen_by_all_rows_where_no_outlier_is_known():
    errors = np.ones((4, 2))
    errors[3, 1] = 9
    display = FeatureErrorDisplay.from_predictions([1, 1, 1, np.nan], errors)
    assert display.features_ == ["x1", "x0"]


def test_maps_show_a_sample_of_many_rows():
    codes = np.random.default_rng(0).normal(size=(12_000, 2))
    y = np.r_[np.ones(11_000), -np.ones(1_000)]
    display = LatentSpaceDisplay.from_predictions(y, codes)
    shown = [len(points.get_offsets()) for points in display.ax_.collections]
    assert shown == [5000, 1000]
    assert "5,000 of 11,000" in texts(display)
    places = {tuple(place) for place in display.ax_.collections[1].get_offsets()}
    assert places == {tuple(code) for code in codes[11_000:]}


def test_columns_in_another_order_are_named_by_their_names(mixed_pipeline, mixed):
    row = mixed.iloc[:1].assign(height=300.0)[mixed.columns[::-1]].assign(more=1)
    (named,) = explain(mixed_pipeline, row, n_features=1)
    assert named[0][0] == "height"


def test_functions_of_frames_are_followed_by_name(labelled, small):
    X, _ = labelled
    swap = FunctionTransformer(lambda X: X[[NAMES[4], NAMES[1]]].assign(new=1.5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # A constant column.
        pipeline = make_pipeline(swap, StandardScaler(), small()).fit(X)
    assert list(feature_errors(pipeline, X).columns) == [NAMES[4], NAMES[1], "new"]


def test_functions_that_move_columns_are_not_taken_for_others(labelled, small):
    """What a transformer behind the function makes is numbered as well."""
    X, _ = labelled
    for moved in (_reversed, lambda X: pd.DataFrame(_reversed(X))):
        X = X.set_axis(range(6), axis=1)
        pipeline = make_pipeline(FunctionTransformer(moved), StandardScaler(), small())
        row = X.iloc[:1].copy()
        row[0] = 1e4
        (named,) = explain(pipeline.fit(X), row, 1)
        assert named[0][0] == "functiontransformer5"


def test_rows_may_be_lists(small, blobs):
    rows, _ = blobs
    detector = small().fit(rows)
    few = rows[:3].tolist()
    np.testing.assert_array_equal(
        feature_errors(detector, few), detector.feature_errors(rows[:3])
    )
    drawn(ReconstructionDisplay.from_estimator(detector, few))


@pytest.mark.parametrize(
    "labels",
    [
        pd.array([1, -1, None], dtype="Int64"),
        pd.array([1, -1, None], dtype="Float64"),
        [1, -1, pd.NA],
        [1, np.int8(-1), None],
    ],
)
def test_missing_labels_of_any_kind_are_missing(labels):
    found = _figure.check_partial_labels(labels, np.zeros(3))
    np.testing.assert_array_equal(found, [1, -1, np.nan])


@pytest.mark.parametrize(
    "labels",
    [
        [True, None, True],
        pd.array([True, None, True], dtype="boolean"),
        ["1", "-1", None],
        ["1", "-1", "1"],
        [1, True, None],
    ],
)
def test_what_only_looks_like_labels_is_refused(labels):
    with pytest.raises(ValueError, match="y_true must hold"):
        _figure.check_partial_labels(labels, np.zeros(3))


def test_numbers_in_any_array_are_times_and_not_dates():
    display = AlarmSignalDisplay.from_predictions(
        None, [1.0, 2, 3], time=np.array([10, 20, 30], dtype=object)
    )
    np.testing.assert_array_equal(display.line_.get_xdata(), [10, 20, 30])
    with pytest.raises(ValueError, match="must ascend and be finite"):
        AlarmSignalDisplay.from_predictions(None, [1.0, 2], time=[1, np.inf])


@pytest.mark.parametrize("value", [np.inf, 1.7e308])
def test_huge_values_are_drawn(value):
    errors = np.array([[1.0, 2], [value, 1]])
    for kind in ("bar", "heatmap"):
        assert_shows_data(FeatureErrorDisplay.from_predictions(None, errors, kind=kind))
    scores = np.array([-value, 1.0, 2.0, 3.0, value])
    assert_shows_data(
        ScoreDistributionDisplay.from_predictions(None, scores, threshold=-value)
    )
    assert_shows_data(ThresholdCostDisplay.from_predictions([1, -1, 1, 1, 1], scores))
    assert_shows_data(AlarmSignalDisplay.from_predictions(None, scores, threshold=0.0))


@pytest.mark.parametrize("value", [np.inf, 1.7e308])
def test_costs_of_huge_thresholds_alone_are_an_empty_curve(value):
    display = ThresholdCostDisplay.from_predictions([1, -1], [-value, -value])
    drawn(display)
    assert len(display.line_.get_xdata()) == 0
    assert np.isfinite(display.ax_.get_xlim()).all()


def test_axes_may_be_logarithmic_before(pipeline):
    _, ax = plt.subplots()
    ax.set_xscale("log")
    assert_shows_data(LossCurveDisplay.from_estimator(pipeline, ax=ax))
