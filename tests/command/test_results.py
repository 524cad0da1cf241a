"""The files that a scored table leaves: scores beside the rows, and a report."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skae._command import formulas, results, scored, tables
from skae.inspection import Reason
from tests.command.helpers import Page, error_of, mixed, run

# Columns of the file of scores that are not of the rows.
OF_SCORES = ["row", "rank", "score", "outlier"]


def cells(path):
    """All cells as text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def of_rows(names):
    return [
        name
        for name in names
        if name not in OF_SCORES and not name.startswith(("feature_", "share_"))
    ]


def test_rows_stand_beside_their_scores_as_they_were():
    table = mixed().astype(object)
    table.loc[5, "note"] = 'he said "no", and\nleft'
    table.loc[6, "note"] = "  ?"
    table.loc[7, "amount"] = "05,00"
    table.to_csv("shop.csv", index=False)
    run("score", "shop.csv")
    found = cells("shop.scores.csv")
    assert of_rows(found) == list(table)
    # A space behind a delimiter is of the delimiter.
    expected = cells("shop.csv").replace("  ?", "?")
    pd.testing.assert_frame_equal(found[list(table)], expected)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("used", ["when", "amount", "shop", "note"]),
        ("none", []),
    ],
)
def test_fewer_columns_may_stand_there(choice, expected):
    names = ["id", "when", "amount", "shop", "note", "always"]
    mixed()[names].to_csv("shop.csv", index=False)
    run("score", "shop.csv", "--columns", choice)
    assert of_rows(cells("shop.scores.csv")) == expected


def test_an_identifier_names_the_rows_everywhere(pixels, capsys):
    table = mixed()[["amount", "ratio", "shop"]]
    table.insert(1, "order", [f"=A{i}" for i in range(len(table))])
    table.to_csv("shop.csv", index=False)
    run("score", "shop.csv", "--id", "order", "--columns", "none")
    out = capsys.readouterr().out
    assert "order" in out
    assert "=A299" in out
    # It trained nothing.
    assert "text: order" not in out
    found = cells("shop.scores.csv")
    assert list(found)[:2] == ["row", "order"]
    # A spreadsheet would compute it.
    assert list(found["order"]) == [f"'=A{i}" for i in range(len(table))]
    report = Page(Path("shop.report.html")).text
    assert "=A299" in report
    assert "'=A299" not in report


def test_rows_of_a_new_file_are_named_too(capsys):
    mixed().to_csv("old.csv", index=False)
    mixed(50, seed=1).to_csv("new.csv", index=False)
    run("score", "old.csv", "new.csv", "--id", "id", "--save", "m.skae")
    found = cells("new.scores.csv")
    assert list(found["id"]) == [str(1000 + i) for i in range(50)]
    run("score", "--load", "m.skae", "new.csv", "--id", "note", "--out", "again.csv")
    assert cells("again.csv")["note"][0] == "free text number 0"
    capsys.readouterr()
    for arguments in (["old.csv", "new.csv"], ["--load", "m.skae", "new.csv"]):
        line = error_of(capsys, "score", *arguments, "--id", "nothing")
        assert "lacks the column 'nothing'" in line


def test_names_of_the_file_may_be_those_of_the_scores():
    table = mixed()[["amount", "ratio"]].rename(
        columns={"amount": "score", "ratio": "=row"}
    )
    table.to_csv("shop.csv", index=False)
    run("score", "shop.csv")
    found = cells("shop.scores.csv")
    assert {"score", "score (file)", "'=row"} <= set(found)
    np.testing.assert_array_equal(
        found["score (file)"].astype(float), table["score"].to_numpy()
    )


def test_values_of_parquet_become_text_where_csv_has_no_form_for_them():
    table = mixed()[["amount", "shop"]]
    table["many"] = [[1, 2]] * len(table)
    table["raw"] = b"a\xff"
    table["when"] = pd.Timestamp("2024-01-01 10:00")
    table["lasted"] = pd.Timedelta("90min")
    table["exact"] = Decimal("1.50")
    table["nothing"] = None
    table["kind"] = pd.Series(["=x", "y"] * 150, dtype="category")
    table["mixed"] = ["=1", "b"] * 150
    table.to_parquet("shop.parquet")
    run("score", "shop.parquet")
    row = cells("shop.scores.csv").iloc[0]
    assert row[["many", "kind", "mixed"]].tolist() == ["[1 2]", "'=x", "'=1"]
    assert row[["when", "lasted"]].tolist() == [
        "2024-01-01 10:00:00",
        "0 days 01:30:00",
    ]
    assert row[["raw", "exact", "nothing"]].tolist() == [r"b'a\xff'", "1.50", ""]


def test_odd_cells_are_marked_in_whole_rows(pixels):
    mixed()[["id", "amount", "ratio", "always"]].to_csv("shop.csv", index=False)
    run("score", "shop.csv", "--contamination", 0.01)
    html = Path("shop.report.html").read_text()
    whole = html[html.index("as they stand in the file") :]
    # What was not used is there too.
    for name in ("id", "always"):
        assert f'<th scope="col">{name}</th>' in whole
    assert whole.count("<mark>500.0</mark>") == 3
    assert "EUR" in whole


def test_many_columns_leave_room_for_the_odd_ones():
    rows = pd.DataFrame(np.arange(200.0).reshape(2, 100)).add_prefix("c")
    found = some(
        scores=np.array([-2.0, -1.0]),
        why={0: [Reason("c99", 99.0, "about 1", "unusual")], 1: []},
    )
    from skae._command import whole_rows

    html = whole_rows.table(found, rows, np.array([0, 1]))
    assert html.count('<th scope="col">') == 2 + whole_rows.MAX_COLUMNS
    assert "<mark>99.0</mark>" in html
    assert "60 more columns are in the file of scores" in html


def some(**fields):
    """Scores of which a test names those that it looks at."""
    n = len(fields["scores"])
    empty = {
        "p_values": np.ones(n),
        "worst": np.zeros((n, 1), int),
        "shares": np.ones((n, 1)),
        "names": ["c"],
        "offset": 0.0,
        "top": None,
        "others": None,
        "why": {},
    }
    return scored.Scored(**empty | fields)


def test_cells_that_spreadsheets_would_compute_are_text():
    names = [
        *("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\tx", "\r=x", "-a", "+"),
        *("a", "-2.5", "+1", "-3,5", "-1.234,5", "-2e-3", "-5 %", "-7€", "-", "1=1"),
    ]
    n = len(names)
    found = some(scores=np.zeros(n), worst=np.arange(n)[:, None], names=names)
    lines = pd.concat(found.lines())
    assert list(lines["feature_1"]) == [f"'{name}" for name in names[:8]] + names[8:]


@given(st.lists(st.text(max_size=8), min_size=1))
def test_escaped_cells_are_the_cells_or_begin_with_an_apostrophe(texts):
    found = formulas.escaped(pyarrow.array(texts, pyarrow.string())).to_pylist()
    for before, after in zip(texts, found, strict=True):
        assert after in (before, f"'{before}")
        if before[:1] in ("=", "@", "\t", "\r", "\n"):
            assert after == f"'{before}"


@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=8),
    st.lists(st.integers(1, 7), min_size=1, max_size=8),
)
def test_lines_are_paired_with_rows_in_parts_of_any_size(sizes, others):
    n = sum(sizes)
    numbers = pd.DataFrame({"row": np.arange(n) + 1})
    bounds = np.cumsum([0, *others])
    lines = [numbers.iloc[a:b] for a, b in pairwise(bounds)]
    lines.append(numbers.iloc[bounds[-1] :])
    ends = np.cumsum(sizes)
    rows = [
        pd.DataFrame({"x": np.arange(end - size, end)})
        for size, end in zip(sizes, ends, strict=True)
    ]
    for left, right in results._side_by_side(lines, rows):
        assert (left["row"].to_numpy() - 1 == right["x"].to_numpy()).all()


def test_files_that_change_while_they_are_read_are_refused(monkeypatch, capsys):
    table = mixed(60)[["amount", "ratio"]]
    table.to_csv("shop.csv", index=False)
    for change, words in (
        (pd.concat([table, table[:1]]), "grown"),
        (table[:59], "shrunk"),
    ):
        whole = tables.chunks

        def chunks(table, *arguments, raw=False, _change=change, _whole=whole):
            return iter([_change]) if raw else _whole(table, *arguments)

        with monkeypatch.context() as changed:
            changed.setattr(tables, "chunks", chunks)
            assert words in error_of(capsys, "score", "shop.csv")
        assert not Path("shop.scores.csv").exists()
