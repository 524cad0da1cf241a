"""The commands on files of users, friendly and hostile."""

import contextlib
import gzip
import os
import re
import subprocess
import sys
from argparse import Namespace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from pyarrow import parquet
from sklearn.datasets import load_breast_cancer, load_wine

import skae.io
from benchmarks.speed import files
from skae import __main__ as main
from skae._command import (
    columns,
    compare,
    dates,
    detectors,
    numerals,
    page,
    saved,
    score,
    tables,
    text,
)
from skae._command.errors import CommandError
from skae.core import fitting
from tests.command.helpers import Page, code_of, error_of, mixed, run


def test_rows_are_ranked_explained_and_illustrated(default_network, capsys):
    mixed().to_csv("shop.csv", index=False)
    run("score", "shop.csv")
    out = capsys.readouterr().out
    assert "id: ignored, integers that only count the rows" in out
    words = " ".join(out.split())
    assert "used as numbers: amount, ratio, <script>alert(1)</script> -" in words
    assert "used as categories: shop, flag -" in words
    assert "used as dates: when (year-month-day hour:minute:second) -" in words
    assert "used as text: note -" in words
    assert "always: ignored, the same value in all rows" in out
    assert "empty: ignored, no values" in out
    scores = pd.read_csv("shop.scores.csv")
    assert list(scores["row"]) == list(range(1, 301))
    assert sorted(scores["rank"]) == list(range(1, 301))
    assert set(scores["rank"][-3:]) == {1, 2, 3}
    by_score = scores.sort_values("score")
    assert by_score["rank"].is_monotonic_increasing
    assert "p_value" not in scores
    assert "assumed that 5% of the rows are outliers" in out
    assert scores["outlier"].sum() == 15
    assert "15 of 300 rows (5 %) are flagged" in " ".join(out.split())
    assert (scores["outlier"][-3:] == 1).all()
    assert (scores["feature_1"][-3:] == "amount").all()
    assert (scores["share_1"] >= scores["share_2"]).all()
    assert scores["share_1"].between(0, 1).all()
    assert re.search(
        r"amount = 500, expected about (4|5)\d: far", " ".join(out.split())
    )


def test_reports_stand_alone_and_names_do_nothing(pixels, tmp_path):
    table = mixed()
    table.loc[7, "<script>alert(1)</script>"] = 9999.0
    table.to_csv("shop.csv", index=False)
    run("score", "shop.csv")
    report = tmp_path / "shop.report.html"
    seen = Page(report)
    assert "script" not in seen.tags
    assert "<script>alert(1)</script>" in seen.text
    assert seen.tags.count("img") >= 6
    assert all(len(text) > 30 for text in seen.alternatives)
    # Nothing is fetched from elsewhere.
    assert all(link.startswith("data:image/png;base64,") for link in seen.links)
    assert 'name="viewport"' in report.read_text()


def test_new_rows_are_scored_by_what_others_taught(capsys):
    mixed().iloc[:-3].to_csv("old.csv", index=False)
    new = mixed(50, seed=1)
    new["shop"] = "unseen"
    new = new[new.columns[::-1]]
    new.to_csv("new.csv", index=False)
    run("score", "old.csv", "new.csv", "--features", 1, "--columns", "none")
    assert "trained on" not in capsys.readouterr().out
    scores = pd.read_csv("new.scores.csv")
    assert len(scores) == 50
    assert list(scores.columns)[-2:] == ["feature_1", "share_1"]
    assert set(scores.nsmallest(3, "score")["row"]) == {48, 49, 50}
    capsys.readouterr()
    for name in ("ratio", "shop"):
        new.drop(columns=name).to_csv("less.csv", index=False)
        line = error_of(capsys, "score", "old.csv", "less.csv")
        assert f"lacks the column '{name}'" in line


def test_models_are_saved_and_loaded(capsys):
    mixed().to_csv("shop.csv", index=False)
    run("score", "shop.csv", "--save", "model.skae")
    run("score", "--load", "model.skae", "shop.csv", "--out", "again.csv")
    again = pd.read_csv("again.csv")
    # Nobody knows that these rows trained the model.
    assert again.pop("p_value").between(0, 1, inclusive="right").all()
    pd.testing.assert_frame_equal(again, pd.read_csv("shop.scores.csv"))
    pipeline = saved.load("model.skae")
    rows = pd.read_csv("shop.csv", parse_dates=["when"])
    rows = rows.astype({"shop": object, "flag": str})
    scores = pd.read_csv("shop.scores.csv")["score"]
    np.testing.assert_allclose(pipeline.score_samples(rows), scores, atol=1e-6)
    with pytest.raises(ValueError, match=r"model\.skae"):
        skae.io.load("model.skae")
    capsys.readouterr()
    line = error_of(capsys, "score", "--load", "model.skae", "shop.csv", "shop.csv")
    assert "one file to score" in line
    skae.io.save(pipeline[-1], "bare.skae")
    for path in ("shop.csv", "bare.skae", "nowhere.skae"):
        line = error_of(capsys, "score", "--load", path, "shop.csv", "--out", "o.csv")
        assert "is no model that" in line
    import skops.io

    skops.io.dump(pipeline[0], "transformer.skae")
    line = error_of(capsys, "score", "--load", "transformer.skae", "shop.csv")
    assert "is no model that" in line


# scikit-learn warns of files of other versions than its own.
@pytest.mark.filterwarnings("ignore:Trying to unpickle")
def test_models_of_earlier_versions_score_as_before():
    """Saved before dates and text were used, and units were known."""
    golden = Path(__file__).parents[1] / "golden"
    known = pd.read_csv(golden / "command-1.csv", sep=";", decimal=",")
    known.drop(columns="score").to_csv("rows.csv", sep=";", decimal=",", index=False)
    run("score", "--load", golden / "command-1.skae", "rows.csv")
    scores = pd.read_csv("rows.scores.csv")["score"]
    np.testing.assert_allclose(scores, known["score"].astype(float), atol=1e-5)


def test_contamination_is_the_share_that_is_flagged():
    mixed().to_csv("shop.csv", index=False)
    run("score", "shop.csv", "--contamination", 0.02, "--drop", "note", "amount")
    scores = pd.read_csv("shop.scores.csv")
    assert scores["outlier"].sum() == 6
    assert not (scores.filter(like="feature") == "amount").any(axis=None)


def test_parquet_is_read_with_its_types(capsys):
    table = mixed()
    table["when"] = pd.to_datetime(table["when"])
    table["many"] = [[1, 2]] * len(table)
    table["shop"] = table["shop"].astype("category")
    table["amount"] = table["amount"].astype("float32")
    table.to_parquet("shop.parquet")
    run("score", "shop.parquet")
    out = capsys.readouterr().out
    assert "used as dates: when" in out
    assert "many: ignored" in out
    parquet = pd.read_csv("shop.scores.csv")
    table.drop(columns="many").to_csv("other.csv", index=False)
    run("score", "other.csv")
    text = pd.read_csv("other.scores.csv")
    assert (parquet["rank"] - text["rank"]).abs().mean() < 30


@pytest.mark.parametrize("name", ["shop.csv.gz", "shop.txt", "shop"])
def test_files_are_told_by_what_they_hold(name):
    text = mixed().to_csv(index=False, sep=";", decimal=",").encode("latin-1")
    if name.endswith("gz"):
        text = gzip.compress(text)
    Path(name).write_bytes(text)
    table = tables.open_table(name)
    assert (table.delimiter, table.decimal) == (";", ",")
    run("score", name)
    assert len(pd.read_csv("shop.scores.csv")) == 300


@pytest.mark.slow
def test_letters_of_any_encoding_and_font_are_drawn(pixels):
    table = mixed().rename(columns={"amount": "ñandú $x^{ 数"})
    table.to_csv("shop.csv", index=False, encoding="utf-8-sig")
    run("score", "shop.csv")
    assert "ñandú $x^{ 数" in Page(Path("shop.report.html")).text
    mixed().rename(columns={"amount": "Größe"}).to_csv(
        "west.csv", index=False, encoding="latin-1"
    )
    run("score", "west.csv")
    assert "Größe" in Page(Path("west.report.html")).text


def test_rows_without_values_have_no_score(capsys):
    table = mixed()[["amount", "ratio", "<script>alert(1)</script>"]]
    table.iloc[[5, 9]] = np.nan
    table.iloc[7, 0] = np.inf
    table.to_csv("shop.csv", index=False)
    run("score", "shop.csv")
    assert "2 rows without any value have no score" in capsys.readouterr().out
    scores = pd.read_csv("shop.scores.csv")
    lost = scores[scores["score"].isna()]
    assert list(lost["row"]) == [6, 10]
    assert lost.drop(columns="row").isna().all(axis=None)
    assert sorted(scores["rank"].dropna()) == list(range(1, 299))


def test_values_that_are_no_numbers_are_missing(capsys):
    table = mixed()[["amount", "ratio"]].astype(object)
    table.iloc[5, 0] = "about 50"
    table.iloc[8, 0] = "?"
    table.to_csv("shop.csv", index=False)
    run("score", "shop.csv")
    assert (
        "amount: values that are no finite numbers, 1 of them, are missing: "
        "'about 50' in row 6" in " ".join(capsys.readouterr().out.split())
    )


@pytest.mark.slow
def test_a_long_file_is_scored_in_parts(monkeypatch, capsys):
    table = mixed(1000)
    table.to_csv("shop.csv", index=False)
    run("score", "shop.csv")
    whole = pd.read_csv("shop.scores.csv")
    monkeypatch.setattr(tables, "CHUNK_ROWS", 64)
    monkeypatch.setattr("skae._command.scored.LINES", 100)
    run("score", "shop.csv")
    pd.testing.assert_frame_equal(pd.read_csv("shop.scores.csv"), whole)
    monkeypatch.setattr("skae._command.score.MAX_TRAIN", 400)
    capsys.readouterr()
    run("score", "shop.csv", "--drop", "when", "note")
    assert "trained on 400 of 1,000 rows" in capsys.readouterr().out
    few = pd.read_csv("shop.scores.csv")
    assert len(few) == 1000
    assert set(few["rank"][-3:]) == {1, 2, 3}


@pytest.mark.slow
def test_memory_hardly_grows_with_the_rows(tmp_path):
    """Of 750,000 further rows, 180 MB as numbers, what is kept is a tenth of that."""
    rng = np.random.default_rng(0)
    peaks = []
    for n_parts in (5, 20):
        for part in range(n_parts):
            rows = pd.DataFrame(rng.normal(size=(50_000, 30)).round(3)).add_prefix("c")
            mode = "a" if part else "w"
            rows.to_csv("big.csv", mode=mode, index=False, header=not part)
        arguments = ["-m", "skae", "score", "big.csv"]
        peaks.append(files.measure(arguments, tmp_path)[1])
        lines = Path("big.scores.csv").read_bytes().count(b"\n")
        assert lines == n_parts * 50_000 + 1
    assert peaks[1] - peaks[0] < 150


@pytest.mark.slow
def test_bars_are_drawn_on_terminals():
    pty = pytest.importorskip("pty")
    mixed().to_csv("shop.csv", index=False)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "skae", "score", "shop.csv"],
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    seen = b""
    # Reading fails where the other side is closed.
    with contextlib.suppress(OSError):
        while part := os.read(ours, 4096):
            seen += part
    os.close(ours)
    assert process.wait() == 0
    for words in (b"reading shop.csv", b"AutoencoderOutlierDetector - fit", b"scoring"):
        assert words in seen


HOSTILE = {
    "nowhere.csv": (None, "cannot be read"),
    "empty.csv": (b"", "is empty"),
    "blank.csv": (b" \n\n", "is empty"),
    "header.csv": (b"a,b\n", "has no rows"),
    "picture.csv": (b"\x89PNG\r\n\0\0\0", "neither text nor Parquet"),
    "torn.parquet": (b"PAR1 and nothing else", "cannot be read"),
    "torn.csv.gz": (gzip.compress(b"a,b\n1,2\n" * 999)[:40], "cannot be read"),
    "ragged.csv": (b"a,b\n1,2\n1,2,3,4\n" * 20, "cannot be read"),
    "quote.csv": (b'a,b\n1,"2\n' * 21, "cannot be read"),
    "same.csv": (b"a,b\n" + b"1,x\n" * 30, "no column can be used"),
    "texts.csv": (
        b"a\n" + b"".join(b"text%d\n" % i for i in range(50)),
        "no column can be used",
    ),
    "short.csv": (b"a,b\n1,2\n2,1\n3,3\n", "training needs 10"),
    "rnames.csv": (b"a,b\n" + b"x,1,2\n" * 30, "more cells than its first"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_unusable_files_end_with_one_line(name, capsys):
    content, expected = HOSTILE[name]
    if content is not None:
        Path(name).write_bytes(content)
    line = error_of(capsys, "score", name)
    assert name in line or "column" in line
    assert expected in line
    assert not Path(name.split(".")[0] + ".scores.csv").exists()


def test_folders_and_pipes_are_no_tables(tmp_path, capsys):
    os.mkfifo("pipe")
    for path in (tmp_path, "pipe"):
        assert "a folder, a pipe or" in error_of(capsys, "score", path)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["score", "a.csv", "b.csv", "c.csv"], "one file or two"),
        (["score", "a.csv", "--out", "a.csv"], "overwritten"),
        (["score", "a.csv", "--report", "r", "--save", "r"], "written twice"),
        (["score", "a.csv", "--contamination", "0.7"], "0.5"),
        (["score", "a.csv", "--contamination", "lots"], "lots"),
        (["score", "a.csv", "--trim", "0.5"], "0.5)"),
        (["score", "a.csv", "--features", "0"], "at least 1"),
        (["score", "a.csv", "--label", "flag"], "training by --drop flag."),
        (["score", "a.csv", "--drop", "nothing"], "no column 'nothing'"),
        (["score", "a.csv", "--random-state", "-1"], "2**32"),
        (["score", "a.csv", "--out", "no/such/folder.csv"], "cannot be written"),
        (["score", "a.csv", "--report", "no/such/folder"], "cannot be written"),
        (["score", "a.csv", "--save", "no/such/folder"], "cannot be written"),
        (["score"], "FILE"),
        (["compare", "a.csv"], "--label"),
        (["compare", "a.csv", "--label", "nothing"], "no column 'nothing'"),
        (["compare", "a.csv", "--label", "shop"], "--outlier"),
        (["compare", "a.csv", "--label", "flag", "--outlier", "spam"], "flag = spam"),
        (["compare", "a.csv", "--label", "always"], "EUR (60)"),
        (["compare", "a.csv", "--label", "empty"], "--outlier"),
        (
            ["compare", "a.csv", "--label", "always", "--outlier", "EUR"],
            "inliers and outliers",
        ),
        (["compare", "a.csv", "--label", "flag", "--report", "a.csv"], "overwritten"),
        (["explode"], "explode"),
    ],
)
def test_bad_arguments_end_with_one_line(arguments, expected, capsys):
    mixed(60).to_csv("a.csv", index=False)
    mixed(60).to_csv("b.csv", index=False)
    assert expected in error_of(capsys, *arguments)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    Path("any.csv").write_bytes(data)
    try:
        table = tables.open_table("any.csv")
        rows, n_rows = tables.sample(
            tables.chunks(table), 100, np.random.default_rng(0)
        )
        assert 1 <= len(rows) <= n_rows
        chosen = columns.choose(rows, table.decimal, [])
        columns.frame(rows, chosen, table.decimal)
    except CommandError as error:
        assert "any.csv" in str(error) or "column" in str(error)


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=8),
    st.integers(1, 40),
    st.integers(0, 9),
)
def test_samples_are_rows_in_their_order(sizes, size, seed):
    edges = np.r_[0, np.cumsum(sizes)]
    parts = [
        pd.DataFrame({"a": np.arange(i, j)}, index=np.arange(i, j))
        for i, j in pairwise(edges)
    ]
    rows, n_rows = tables.sample(iter(parts), size, np.random.default_rng(seed))
    assert n_rows == edges[-1]
    assert len(rows) == min(size, n_rows)
    assert rows["a"].is_monotonic_increasing
    assert rows["a"].is_unique
    np.testing.assert_array_equal(rows.index, rows["a"])


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("%Y-%m-%d", "year-month-day"),
        ("%d.%m.%Y %H:%M", "day.month.year hour:minute"),
        ("%m/%d/%y", "month/day/year"),
        ("%d/%m/%Y", "day/month/year"),
        ("%Y%m%d", "yearmonthday"),
        ("%d %b %Y", "day month year"),
        ("%Y-%m-%dT%H:%M:%S%z", "year-month-dayThour:minute:secondzone"),
    ],
)
def test_dates_of_many_forms_are_read(form, words):
    days = pd.date_range("2024-01-01", periods=40, freq="36h", tz="UTC")
    table = pd.DataFrame({"when": days.strftime(form), "x": np.arange(40) % 7})
    table.loc[7, "when"] = "unknown"
    found = columns.choose(table, ".", [])
    assert (found.dates, found.numbers) == (["when"], ["x"])
    assert f"used as dates: when ({words})" in found.uses()
    read = columns.frame(table, found, ".")["when"]
    assert np.isnat(read[7].to_datetime64())
    known = np.arange(40) != 7
    expected = pd.to_datetime(days.strftime(form), format=form, utc=True)
    assert list(read[known]) == list(expected[known].tz_convert(None))


def test_days_come_first_where_points_part_them():
    """All of them might be months."""
    texts = pd.Series([f"{d:02d}.{m:02d}.2024" for d in (3, 5, 7) for m in (1, 2, 9)])
    assert dates.format_of(texts) == "%d.%m.%Y"
    assert dates.format_of(texts.str.replace(".", "/")) == "%m/%d/%Y"


def test_dates_of_mixed_forms_are_read_one_by_one():
    texts = pd.Series(["2024-01-31", "31.01.2024", "Jan 31, 2024"] * 5)
    assert dates.format_of(texts) == dates.MIXED
    assert dates.read(texts, dates.MIXED).nunique() == 1


def wine(path="wine.csv"):
    data = load_wine(as_frame=True).frame
    data["target"] = np.where(data["target"] == 0, "sick", "well")
    data.to_csv(path, index=False)
    return data


def test_detectors_are_compared_on_a_labelled_file(
    default_network, pixels, tmp_path, capsys
):
    data = wine()
    run("compare", "wine.csv", "--label", "target")
    out = capsys.readouterr().out
    assert "target = sick is the outlier" in out
    n_well = (data["target"] == "well").sum()
    n_train = (n_well + 1) // 2
    assert f"{n_train} rows train, 0 of them outliers" in out
    assert f"{len(data) - n_train} rows test, 59 of them outliers" in out
    for name in ("AutoencoderOutlierDetector", "IsolationForest", "OneClassSVM"):
        assert name in out
    seen = Page(tmp_path / "wine.comparison.html")
    assert seen.tags.count("img") == 7
    assert "IsolationForest" in seen.text


def test_outliers_may_be_among_the_training_rows(capsys):
    wine()
    run("compare", "wine.csv", "--label", "target", "--contaminated")
    out = capsys.readouterr().out
    assert "the same, contamination=0." in out
    assert not re.search(r"train, 0 of them outliers", out)


def test_numbers_may_be_labels_and_rows_may_lack_one(capsys):
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    table = X.iloc[:, :6].assign(label=y.astype(object))
    table.loc[:9, "label"] = None
    table.to_csv("cancer.csv", index=False)
    run("compare", "cancer.csv", "--label", "label", "--outlier", "0")
    out = capsys.readouterr().out
    assert "label = 0 is the outlier" in out
    assert "10 rows without a label are left out" in out


def test_splits_train_on_inliers_unless_told():
    rng = np.random.default_rng(0)
    is_outlier = np.arange(100) % 5 == 0
    train, test = compare.split(is_outlier, False, rng)
    assert not is_outlier[train].any()
    assert len(train) == 40
    np.testing.assert_array_equal(np.sort(np.r_[train, test]), np.arange(100))
    train, _ = compare.split(is_outlier, True, rng)
    assert 0 < is_outlier[train].sum() < 20
    with pytest.raises(CommandError, match="too few inliers"):
        compare.split(np.r_[np.ones(20, bool), False], False, rng)
    with pytest.raises(CommandError, match="training needs 10"):
        compare.split(is_outlier[:15], False, rng)


@pytest.mark.slow
def test_nothing_but_results_is_printed_where_no_terminal_is(tmp_path):
    mixed().to_csv("shop.csv", index=False)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "skae", "score", "shop.csv"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert "The most abnormal rows" in done.stdout


def test_labels_may_look_like_missing_values(capsys):
    data = wine().assign(
        target=lambda table: table["target"].map({"sick": "-", "well": "NA"})
    )
    data.to_csv("wine.csv", index=False)
    run("compare", "wine.csv", "--label", "target")
    assert "target = - is the outlier" in capsys.readouterr().out


def test_what_training_takes_is_refused_with_a_model(capsys):
    mixed(60).to_csv("a.csv", index=False)
    for option in (["--contamination", "0.1"], ["--drop", "amount"], ["--save", "b"]):
        line = error_of(capsys, "score", "--load", "m", "a.csv", *option)
        assert f"{option[0]} is of the training" in line


@pytest.mark.parametrize(
    ("texts", "decimal", "expected"),
    [
        (["1,234.50 EUR", "$7", "12 %", "-3.5"], ".", [1234.5, 7, 12, -3.5]),
        (["1.234,50 €", "7", "12%", "-3,5"], ",", [1234.5, 7, 12, -3.5]),
        (["1,2,3", "1e3", "0x10", "A12", " 4 "], ".", [np.nan, 1e3, np.nan, np.nan, 4]),
        (["inf", "1e999", "nan"], ".", [np.nan] * 3),
    ],
)
def test_numbers_are_read_as_people_write_them(texts, decimal, expected):
    found = numerals.numbers(pd.Series(texts), decimal)
    np.testing.assert_array_equal(found, expected)


def test_categories_that_hold_digits_are_no_dates():
    kinds = pd.DataFrame(
        {
            "age": ["5-10", "11-15", "16-20"] * 20,
            "part": ["1/2", "1/4", "3/4"] * 20,
            "size": ["10 x 20", "20 x 30", "5 x 5"] * 20,
        }
    )
    found = columns.choose(kinds, ".", [])
    assert found.categories == list(kinds)


def test_thousands_are_no_decimals():
    Path("a.tsv").write_text("a\tb\n" + "1,234\t5\n2,500\t7\n" * 20)
    table = tables.open_table("a.tsv")
    assert table.decimal == "."
    (chunk,) = tables.chunks(table)
    assert numerals.numbers(chunk["a"])[0] == 1234


def test_rows_have_the_numbers_that_they_have_in_the_file():
    Path("a.csv").write_text("\n \na,b\n1,2\n\n3,4\n" * 1)
    table = tables.open_table("a.csv")
    (chunk,) = tables.chunks(table)
    assert list(chunk["a"]) == ["1", pytest.approx(np.nan, nan_ok=True), "3"]


def test_numbers_are_german_where_commas_are_decimals():
    rows = [f"{i};{i}.465;14,5{i % 10}" for i in range(1, 40)]
    Path("a.csv").write_text("sep=;\nn;sum;price\n" + "\n".join(rows))
    table = tables.open_table("a.csv")
    assert (table.delimiter, table.decimal, table.lines_above) == (";", ",", 1)
    (chunk,) = tables.chunks(table)
    assert numerals.numbers(chunk["sum"], ",")[0] == 1465
    assert numerals.numbers(chunk["price"], ",")[0] == 14.51


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Report of 2024\nname,size\n" + "a,1\n" * 30, "a title"),
        ("0.5,0.7\n" + "1,2\n2,1\n" * 10, "lack a line of names"),
        ("a:b c\n" + "1:2 x\n2:7 y\n" * 10, "delimiter"),
        (",,x\n" + "1,2,3\n4,3,1\n" * 10, "a title"),
    ],
)
def test_what_is_odd_about_a_file_is_said(text, expected, capsys):
    Path("a.csv").write_text(text)
    with contextlib.suppress(SystemExit):
        main.main(["score", "a.csv"])
    out, err = capsys.readouterr()
    assert expected in " ".join((out + err).split())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8", "latin-1"])
def test_excel_writes_other_files_too(encoding, capsys):
    Path("a.csv").write_text(mixed(60).to_csv(index=False), encoding=encoding)
    (chunk,) = tables.chunks(tables.open_table("a.csv"))
    assert len(chunk) == 60
    Path("book.xlsx").write_bytes(b"PK\3\4\0\0")
    assert "export it as CSV" in error_of(capsys, "score", "book.xlsx")


def test_values_that_training_did_not_know_are_named(capsys):
    mixed().to_csv("old.csv", index=False)
    new = mixed(50, seed=1).astype({"amount": object})
    new.loc[:3, "shop"] = "west"
    new.loc[:1, "amount"] = "lots"
    new.loc[5, "amount"] = 1e308
    new.to_csv("new.csv", index=False)
    run("score", "old.csv", "new.csv")
    out = " ".join(capsys.readouterr().out.split())
    assert "shop: values unknown from training, 4 of them" in out
    lost = "amount: values that are no finite numbers, 3 of them, are missing: "
    assert lost + "'lots' in row 1" in out


@pytest.mark.slow
def test_unknown_categories_are_more_abnormal(default_network):
    rng = np.random.default_rng(0)
    old = pd.DataFrame({"kind": rng.choice(["a", "b"], 300), "x": rng.normal(size=300)})
    old.to_csv("old.csv", index=False)
    new = pd.DataFrame({"kind": ["a", "b", "new"], "x": [0.1] * 3})
    new.to_csv("new.csv", index=False)
    run("score", "old.csv", "new.csv")
    scores = pd.read_csv("new.scores.csv")["score"]
    assert scores[2] < scores[:2].min()


def test_few_rows_bring_the_advice_that_the_threshold_is_rough(capsys):
    mixed(250).to_csv("a.csv", index=False)
    mixed(60, seed=1).to_csv("b.csv", index=False)
    run("score", "a.csv", "b.csv")
    assert "rest on 25 rows held out" in " ".join(capsys.readouterr().out.split())
    run("score", "a.csv", "b.csv", "--contamination", "0.1")
    assert "did not train are rough" in " ".join(capsys.readouterr().out.split())
    # Of one file the share is told, and there are no p-values.
    run("score", "a.csv")
    assert "rough" not in capsys.readouterr().out


@pytest.mark.slow
def test_p_values_are_said_of_rows_that_did_not_train(capsys):
    table = mixed(120)
    table.iloc[:-20].to_csv("a.csv", index=False)
    table.iloc[-20:].to_csv("b.csv", index=False)
    run("score", "a.csv", "b.csv")
    assert "p-value" in capsys.readouterr().out
    assert "p_value" in pd.read_csv("b.scores.csv")
    assert "p-value" in Page(Path("b.report.html")).text
    run("score", "a.csv")
    assert "p-value" not in capsys.readouterr().out
    assert "p_value" not in pd.read_csv("a.scores.csv")
    assert "p-value" not in Page(Path("a.report.html")).text


def test_what_trains_is_trimmed_as_asked(monkeypatch):
    mixed(120).to_csv("a.csv", index=False)
    found = []
    monkeypatch.setattr(score, "write_report", lambda model, *_: found.append(model))
    run("score", "a.csv")
    run("score", "a.csv", "--trim", "0", "--contamination", "0.2")
    run("score", "a.csv", "a.csv", "--trim", "0.3")
    told = [(model[1].trim, model[1].contamination) for model in found]
    assert told == [(0.02, 0.05), (0.0, 0.2), (0.3, "auto")]


def test_pictures_of_flags_do_not_speak_of_inliers(monkeypatch):
    words = []

    def picture(draw, alt, size=(4, 3)):
        figure = Figure(figsize=size)
        draw(figure.subplots())
        for axes in figure.axes:
            legend = axes.get_legend()
            words.extend(t.get_text() for t in (legend.get_texts() if legend else ()))
        return ""

    monkeypatch.setattr(page, "picture", picture)
    mixed(120).to_csv("a.csv", index=False)
    run("score", "a.csv")
    assert any("not flagged" in word for word in words)
    assert not any("inlier" in word or "outlier" in word for word in words)


def test_markup_and_odd_names_do_nothing(capsys):
    data = wine()
    data["target"] = data["target"].replace({"sick": "[/]", "well": "[bold]ok"})
    data = data.rename(columns={"alcohol": "[red]alcohol[/red]"})
    data.loc[0, "[red]alcohol[/red]"] = 100
    data.to_csv("[b]wine.csv", index=False)
    run("compare", "[b]wine.csv", "--label", "target")
    assert "[b]wine.csv: target = [/] is the outlier" in capsys.readouterr().out
    run("score", "[b]wine.csv")
    assert "[red]alcohol[/red] =" in capsys.readouterr().out


def test_rows_without_any_value_cannot_be_scored_alone(capsys):
    table = mixed()[["amount", "ratio"]]
    table.to_csv("a.csv", index=False)
    run("score", "a.csv", "--save", "m")
    table.iloc[:20].assign(amount=np.nan, ratio=np.nan).to_csv("b.csv", index=False)
    capsys.readouterr()
    assert "no row with a value" in error_of(capsys, "score", "--load", "m", "b.csv")


def test_altered_models_are_refused(capsys):
    import skops.io

    mixed()[["amount", "ratio"]].to_csv("a.csv", index=False)
    run("score", "a.csv", "--save", "m")
    for spoil in (
        lambda pipeline: delattr(pipeline[1], "offset_"),
        lambda pipeline: setattr(pipeline[1], "calibration_scores_", "x"),
        lambda pipeline: setattr(pipeline[0], "transformers", []),
        lambda pipeline: setattr(pipeline, "decimal_", ";"),
    ):
        pipeline = saved.load("m")
        spoil(pipeline)
        skops.io.dump(pipeline, "n")
        capsys.readouterr()
        assert "is no model that" in error_of(capsys, "score", "--load", "n", "a.csv")


def test_an_input_is_not_overwritten_by_another_name(capsys):
    mixed(60).to_csv("a.csv", index=False)
    os.link("a.csv", "b.csv")
    assert "overwritten" in error_of(capsys, "score", "a.csv", "--out", "b.csv")


def test_parquet_needs_names_that_differ(capsys):
    columns = [pyarrow.array([1.0, 2.0])] * 2
    parquet.write_table(pyarrow.table(columns, ["a", "a"]), "a.parquet")
    assert "the same name" in error_of(capsys, "score", "a.parquet")


def test_large_files_are_compared_on_a_sample(monkeypatch, capsys):
    monkeypatch.setattr(compare, "MAX_ROWS", 120)
    wine()
    run("compare", "wine.csv", "--label", "target")
    assert "120 of 178 rows are compared on" in capsys.readouterr().out


def test_bytes_are_ignored(capsys):
    table = mixed()[["amount", "ratio"]].assign(raw=[b"\xff\x00"] * 300)
    table.to_parquet("a.parquet")
    run("score", "a.parquet")
    assert "raw: ignored, bytes" in capsys.readouterr().out


def test_an_interrupted_training_makes_no_model(monkeypatch, capsys):
    mixed().to_csv("a.csv", index=False)
    train = fitting.train_member

    def interrupted(*arguments, **options):
        return train(*arguments, **options)._replace(ending="interrupted")

    monkeypatch.setattr(fitting, "train_member", interrupted)
    run("score", "a.csv", "--save", "m", code=130)
    assert "interrupted" in capsys.readouterr().err
    assert not Path("m").exists()
    assert not Path("a.scores.csv").exists()


def test_letters_beyond_the_first_megabyte_are_read():
    text = "name,x\n" + "plain,1\n" * 200_000 + "Größe,2\n"
    Path("a.csv").write_bytes(text.encode("latin-1"))
    rows, _ = tables.sample(
        tables.chunks(tables.open_table("a.csv")), 10**6, np.random.default_rng(0)
    )
    assert rows["name"].iloc[-1] == "Größe"


def test_true_and_false_are_categories_in_any_file():
    table = mixed(200)[["amount", "flag"]]
    table.to_parquet("a.parquet", row_group_size=50)
    (chunk,) = tables.chunks(tables.open_table("a.parquet"))
    found = columns.choose(chunk, ".", [])
    assert found.categories == ["flag"]
    with_gap = chunk.astype({"flag": object})
    with_gap.loc[0, "flag"] = None
    made = columns.frame(with_gap, found, ".")["flag"]
    assert list(made[1:]) == [str(value) for value in table["flag"][1:]]
    assert np.isnan(made[0])


def german(n_rows=40, seed=0):
    """Numbers with a decimal comma, most of which might be thousands."""
    values = np.random.default_rng(seed).normal(20, 3, size=(n_rows, 3)).round(3)
    table = pd.DataFrame(values).add_prefix("c").map("{:.3f}".format)
    table.iloc[0] = "20.5"
    return table.replace(r"\.", ",", regex=True)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_lines_may_end_in_any_way(end):
    Path("a.csv").write_text(german().to_csv(sep=";", lineterminator=end), newline="")
    table = tables.open_table("a.csv")
    assert (table.delimiter, table.decimal) == (";", ",")
    (chunk,) = tables.chunks(table)
    assert len(chunk) == 40


def without_sign(path):
    """What versions that kept no decimal sign have saved."""
    import skops.io

    pipeline = saved.load(path)
    del pipeline.decimal_
    skops.io.dump(pipeline, path)


def test_new_files_have_the_decimals_of_the_training(capsys):
    table = german()
    table.to_csv("old.csv", sep=";", index=False)
    table.iloc[1:2].to_csv("new.csv", sep=";", index=False)
    run("score", "old.csv", "--save", "m")
    known = pd.read_csv("old.scores.csv")["score"]
    run("score", "--load", "m", "new.csv")
    assert pd.read_csv("new.scores.csv")["score"][0] == known[1]
    assert "decimal sign" not in capsys.readouterr().out
    # What clearly has other decimals is read with these, and that is said.
    table.map(lambda text: text.replace(",", ".")).to_csv("new.csv", index=False)
    run("score", "--load", "m", "new.csv")
    assert list(pd.read_csv("new.scores.csv")["score"]) == list(known)
    assert "decimal sign '.' here and ',' in training" in capsys.readouterr().out
    # A model may know no sign: those of numbers in Parquet files, and earlier ones.
    without_sign("m")
    run("score", "--load", "m", "old.csv", "--out", "again.csv")
    assert list(pd.read_csv("again.csv")["score"]) == list(known)


def test_thousands_with_points_are_the_same_in_training_and_scoring():
    table = german().assign(sum=[f"{i}.465" for i in range(1, 41)][::-1])
    table.loc[3, "sum"] = "7.465"
    table.to_csv("old.csv", sep=";", index=False)
    (chunk,) = tables.chunks(tables.open_table("old.csv"))
    chosen = columns.choose(chunk, ",", [])
    pipeline = columns.pipeline(chosen, None)
    pipeline.decimal_ = ","
    taught = columns.frame(chunk, chosen, ",")
    pipeline[0].fit(taught)
    notes = []
    options = Namespace(load=None, id=None)
    table = score._read_as_in_training(
        pipeline, tables.open_table("old.csv"), options, notes
    )
    (rows,) = (
        columns.frame(part, chosen, table.decimal)
        for part in score._chunks(table, chosen)
    )
    pd.testing.assert_frame_equal(rows, taught)
    assert rows["sum"][0] == 40_465
    assert not notes


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["20,629", "3,125"], "?"),
        (["0,125"], ","),
        (["1234,567"], ","),
        (["1.234.567"], ","),
        (["12,50 €"], ","),
        (["1,234,567"], "."),
        (["1,234.50"], "."),
        (["0.125", "1,234"], "."),
    ],
)
def test_decimals_are_told_by_what_cannot_be_thousands(cells, expected):
    assert numerals.decimal_sign(pd.Series(cells), "?") == expected


def test_thousands_do_not_begin_with_zero():
    assert np.isnan(numerals.numbers(pd.Series(["0,125", "1234,567"]))).all()
    assert list(numerals.numbers(pd.Series(["0.125", "1,5"]), ",")) == [0.125, 1.5]


@pytest.mark.parametrize(
    "cell",
    [
        "1" + " " * 100_000 + "x",
        " " * 100_000 + "x",
        "1" + ",123" * 100_000 + "4",
        "1" * 100_000 + "x",
        "1/" + "." * 100_000 + "x",
        "1 a" + "." * 100_000 + "x",
        "Jan 1" + "1" * 100_000,
        "1 Jan 1" + "1" * 100_000,
    ],
    ids=range(8),
)
def test_cells_of_any_length_are_read_at_once(cell):
    """A regular expression that begins anew at each letter would take hours."""
    Path("a.csv").write_text("a;b\n" + f"{cell};1\n{cell};2\ny;1\n" * 5)
    table = tables.open_table("a.csv")
    (chunk,) = tables.chunks(table)
    for decimal in ".,":
        chosen = columns.choose(chunk, decimal, [])
        assert (chosen.numbers, chosen.categories) == (["b"], ["a"])


CONTROLS = "\x1b[31m\x9b\u202e\t"


def test_control_characters_are_spelt_out(monkeypatch, capsys):
    ours = detectors.AutoencoderOutlierDetector(missing="mask")
    monkeypatch.setattr(compare, "_makers", lambda *_: {compare.OURS: ours})
    name, path = f"{CONTROLS}name", f"{CONTROLS}.csv"
    table = mixed(60)[["amount", "ratio"]].rename(columns={"amount": name})
    table["kind"] = np.where(table.index % 9, f"{CONTROLS}usual", f"{CONTROLS}rare")
    table[f"{CONTROLS}same"] = 1
    table.to_csv(path, index=False)
    run("score", path)
    run("compare", path, "--label", "kind")
    for arguments in (
        ["score", path, "--drop", "nothing"],
        ["score", path, "--out", path],
        ["score", path, CONTROLS, CONTROLS],
        ["compare", path, "--label", name],
        ["compare", path, "--label", CONTROLS],
        ["compare", CONTROLS, "--label", name],
    ):
        assert code_of(*arguments) == 2
    seen = "".join(capsys.readouterr())
    assert r"\x1b[31m\x9b\u202e\tname = " in seen
    assert r"\x1b[31m\x9b\u202e\trare is the outlier" in "".join(seen.split("\n"))
    assert not set("\x1b\x9b\u202e\t") & set(seen)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("1000001", "1000001"),
        ("1000001.0", "1000001"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("1", "1"),
        (" 1.00 ", "1"),
        ("1e3", "1000"),
        ("-0.0", "0"),
        ("0.10", "0.1"),
        ("1_0", "1_0"),
        ("inf", "inf"),
        ("1e999999999", "1e999999999"),
        ("good", "good"),
    ],
)
def test_labels_are_the_same_only_where_their_numbers_are(label, name):
    assert compare._name(label) == name


def test_long_lists_are_cut(capsys):
    wide = pd.DataFrame(np.ones((12, 500))).add_prefix("c")
    wide.to_csv("a.csv", index=False)
    for arguments in (
        ["score", "a.csv"],
        ["score", "a.csv", "--drop", "nothing"],
        ["compare", "a.csv", "--label", "nothing"],
    ):
        line = error_of(capsys, *arguments)
        assert "more" in line
        assert len(line) < 2500
    wide["x"] = np.arange(12) % 5
    found = columns.choose(wide.rename(columns={"c0": "n" * 10_000}), ".", [])
    assert len(found.notes) == columns.MAX_NOTES + 1
    assert found.notes[-1] == "... and 470 more"
    assert max(map(len, found.notes)) < 200


def test_lists_that_fit_are_whole():
    assert text.listed(list("abc")) == "a, b, c"
    assert (
        text.listed(list(range(12))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... and 2 more"
    )
    assert text.shown("ab\nc", at_most=3) == "ab\\n..."
