"""Reasons in words: the right cell, in its own units, and nothing that only follows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import AutoencoderOutlierDetector
from skae._command import columns
from skae._command.logs import Logs
from skae.inspection import Reason, reasons
from skae.inspection._cells import as_text, rounded


def orders(n_rows=400, seed=0):
    """A number, what follows from it, a place that says where it is, and chance."""
    rng = np.random.default_rng(seed)
    place = rng.choice(["north", "south"], size=n_rows)
    amount = np.where(place == "north", 20.0, 60.0) + rng.normal(size=n_rows)
    return pd.DataFrame(
        {
            "amount": amount.round(2),
            "twice": (2 * amount).round(2),
            "place": place,
            "rate": rng.choice([19.0, 19.0, 19.0, 7.0], size=n_rows),
            "size": np.exp(rng.normal(3, 1, size=n_rows)),
        }
    )


@pytest.fixture(scope="module")
def pipeline():
    numbers = ["amount", "twice", "rate", "size"]
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(Logs(), StandardScaler()), numbers),
            ("places", OneHotEncoder(sparse_output=False), ["place"]),
        ]
    )
    detector = AutoencoderOutlierDetector(
        anomaly_score="reconstruction", missing="mask", max_iter=60, random_state=0
    )
    return make_pipeline(prepare, detector).fit(orders())


def usual_row(**changes):
    row = {"amount": 20.0, "twice": 40.0, "place": "north", "rate": 19.0, "size": 20.0}
    return pd.DataFrame([row | changes])


def test_a_wrong_number_is_named_with_what_was_expected(pipeline):
    (of_row,) = reasons(pipeline, usual_row(twice=400.0))
    assert [reason.column for reason in of_row] == ["twice"]
    assert of_row[0].value == 400.0
    assert of_row[0].degree == "far outside"
    number = float(of_row[0].expected.removeprefix("about "))
    assert 25 < number < 60
    assert str(of_row[0]) == f"twice = 400, expected about {number:g}: far outside"


def test_the_likeliest_category_is_expected(pipeline):
    (of_row,) = reasons(pipeline, usual_row(place="south"))
    assert (of_row[0].column, of_row[0].expected) == ("place", "north")
    assert of_row[0].value == "south"


def test_numbers_behind_a_logarithm_are_in_their_units(pipeline):
    (of_row,) = reasons(pipeline, usual_row(size=1e9))
    assert of_row[0].column == "size"
    assert 1 < float(of_row[0].expected.removeprefix("about ")) < 200


@pytest.mark.slow
def test_degrees_are_those_of_cells_that_nobody_sees():
    """Noise is copied well, so what a network sees of it is no measure of it."""
    X = np.random.default_rng(0).normal(size=(500, 3))
    X[:, 2] = X[:, 0] + X[:, 1]
    X = np.c_[X, np.random.default_rng(1).normal(size=500)]
    detector = AutoencoderOutlierDetector(random_state=0).fit(X)
    assert np.sqrt(detector._usual_errors()[3]) < 0.3
    row = [0.5, 0.5, 1.0, 4.0]
    (of_row,) = reasons(detector, [row])
    assert [(r.column, r.degree) for r in of_row] == [("x3", "slightly unusual")]
    # As far from zero, but the other columns tell what it should be.
    row = [0.5, 0.5, 4.0, 0.0]
    (of_row,) = reasons(detector, [row])
    assert of_row[0].column == "x2"
    assert of_row[0].degree in ("very unusual", "far outside")


def test_usual_rows_and_missing_cells_have_no_reason(pipeline):
    rows = pd.concat([usual_row(), usual_row(amount=np.nan)])
    plain, lacking = reasons(pipeline, rows)
    assert all(reason.degree != "far outside" for reason in plain + lacking)
    assert "amount" not in {reason.column for reason in lacking}
    # The commonest value is what was expected.
    assert "rate" not in {reason.column for reason in plain}


def test_columns_in_another_order_are_known_by_name(pipeline):
    row = usual_row(twice=400.0)
    (swapped,) = reasons(pipeline, row[row.columns[::-1]])
    assert swapped == reasons(pipeline, row)[0]


@pytest.mark.slow
def test_arrays_and_what_is_made_of_several_columns_have_reasons():
    rng = np.random.default_rng(0)
    X = rng.normal(50, 5, size=(200, 1)) * [[1, 2, 3]] + rng.normal(size=(200, 3))
    detector = AutoencoderOutlierDetector(
        anomaly_score="reconstruction", max_iter=30, random_state=0
    )
    scaled = make_pipeline(StandardScaler(), detector).fit(X)
    (of_row,) = reasons(scaled, [[50, 900, 150]])
    assert (of_row[0].column, of_row[0].value) == ("x1", 900)
    turned = make_pipeline(StandardScaler(), PCA(2), detector).fit(X)
    (of_row,) = reasons(turned, [[50, 900, 150]])
    assert of_row[0].column.startswith("pca")
    assert isinstance(of_row[0].value, float)


def test_reasons_need_a_detector_that_explains():
    X = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(TypeError, match=r"'estimator'.*IsolationForest"):
        reasons(IsolationForest(n_estimators=2).fit(X), X)
    with pytest.raises(ValueError, match="'n_features'"):
        reasons(IsolationForest(n_estimators=2).fit(X), X, n_features=0)


@pytest.mark.parametrize(
    ("number", "value", "expected"),
    [
        (6.13, 250.0, "6"),
        (6.13, 2.5, "6.1"),
        (1234.567, 99.5, "1200"),
        (1009.66, 1013.2, "1009.7"),
        (0.0312, 3.0, "0.031"),
        (0.0, 3.0, "0"),
        (-17.3, 40.0, "-17"),
    ],
)
def test_numbers_are_rounded_as_people_do(number, value, expected):
    assert rounded(number, value) == expected


def test_cells_are_shown_as_they_are():
    shown = [as_text(cell) for cell in (250.0, 0.1, 1e-7, float("nan"), None, "x", 3)]
    assert shown == ["250", "0.1", "1e-07", "missing", "missing", "x", "3"]
    assert str(Reason("a", "x", "", "unusual")) == "a = x: unusual"


def test_logarithms_keep_the_order_and_leave_other_columns_alone():
    rng = np.random.default_rng(0)
    X = np.c_[np.exp(rng.normal(size=300)), rng.normal(size=300), np.full(300, 7.0)]
    X[5, 0] = np.nan
    logs = Logs().fit(X)
    made = logs.transform(X)
    np.testing.assert_array_equal(made[:, 1:], X[:, 1:])
    np.testing.assert_allclose(made[:, 0], np.log(X[:, 0]))
    odd = np.array([[-1e6], [-1.0], [0.0], [1e-9], [1e-3], [1.0], [1e6]]) * [[1, 1, 1]]
    assert (np.diff(logs.transform(odd)[:, 0]) > 0).all()
    assert np.isfinite(logs.transform(odd)).all()


def test_the_preparation_of_the_commands_takes_logarithms():
    rows = orders()
    chosen = columns.Columns(["amount", "size"], ["place"])
    prepare = columns.pipeline(chosen, None, weight_of_categories=0.2)[0]
    made = prepare.fit_transform(rows)
    assert set(np.unique(made[:, 2:])) == {0.0, 0.2}
    assert abs(np.corrcoef(made[:, 1], np.log(rows["size"]))[0, 1]) > 0.9999


def in_parts(frame):
    when = frame["when"].dt
    return pd.DataFrame({"when_year": when.year, "when_day": when.day}).astype(float)


def test_dates_are_shown_as_dates_with_the_part_that_is_off():
    rng = np.random.default_rng(0)
    days = pd.to_timedelta(rng.integers(366, size=300), unit="D")
    table = pd.DataFrame({"when": pd.Timestamp("2024-01-01") + days})
    table["amount"] = rng.normal(size=300)

    class Parts(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.fitted_ = True
            return self

        def transform(self, X):
            return in_parts(X)

        def get_feature_names_out(self, names=None):
            return np.array([f"{names[0]}_year", f"{names[0]}_day"], dtype=object)

    prepare = ColumnTransformer(
        [
            ("dates", make_pipeline(Parts(), StandardScaler()), ["when"]),
            ("amounts", StandardScaler(), ["amount"]),
        ],
        verbose_feature_names_out=False,
    )
    detector = AutoencoderOutlierDetector(
        anomaly_score="reconstruction", max_iter=20, random_state=0
    )
    table.loc[0, "when"] = pd.Timestamp("2025-06-01")
    fitted = make_pipeline(prepare, detector).fit(table)
    row = pd.DataFrame({"when": [pd.Timestamp("2034-05-02")], "amount": [0.0]})
    (of_row,) = reasons(fitted, row)
    assert str(of_row[0]).startswith("when = 2034-05-02, expected another year: ")
