import re
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import average_precision_score

from skae import __main__ as main
from skae._command import bundled, detectors, giveaways, limit, verdict
from skae._command.columns import Columns


@pytest.fixture
def wine_only(monkeypatch):
    name = next(name for name in bundled.DATA if "wine" in name)
    monkeypatch.setattr(bundled, "DATA", {name: bundled.DATA[name]})


@pytest.mark.slow
def test_every_detector_is_compared_on_the_same_rows(wine_only, monkeypatch, capsys):
    monkeypatch.setattr(bundled, "N_STREAMED", 20)
    tasks = bundled.tasks_of(3)
    assert main.main(["--random-state", "3"]) == 0
    out = capsys.readouterr().out
    tables, words = out.split("mean ranks")
    for name in detectors.detectors(0):
        assert tables.count(name) == len(tasks)
    for task in tasks:
        assert task.title in " ".join(tables.split())
    figures = re.findall(r"\d\.\d{3}", tables)
    assert len(figures) == len(tasks) * 5 * 5
    for block in ("normal rows train: ", "5% outliers train, told: ", "in use: "):
        assert block in words
    assert "On 4 small tables" in words


def test_rows_of_a_table_that_scores_itself_are_told_apart(wine_only):
    *_, itself, stream = bundled.tasks_of(0)
    X, same, is_outlier = itself.parts
    assert X is same and is_outlier.mean() == pytest.approx(itself.share, abs=0.01)
    _, y = bundled.load_wine(return_X_y=True)
    assert (
        len(X) == len(is_outlier) and len(X) - is_outlier.sum() == (y == 1).sum() // 2
    )
    train, rows, is_outlier = stream.parts
    assert len(rows) == len(is_outlier) == bundled.N_STREAMED
    assert 0 < is_outlier.sum() < len(rows)
    assert not (rows[:, None] == train).all(axis=2).any()


def measured(average_precision, scores=None, seconds=1.0):
    return detectors.Measured(
        average_precision, average_precision, seconds, seconds, 0.1, True, scores
    )


def test_the_verdict_says_who_is_ahead_where():
    ours, forest = detectors.OURS, "IsolationForest"
    ahead = {ours: measured(0.9), forest: measured(0.8), "third": measured(0.7)}
    behind = {ours: measured(0.6, seconds=3.0), forest: measured(0.8)}
    behind["third"] = measured(0.7)
    ranks = verdict.mean_ranks([ahead, behind])
    assert [ranks[name][1] for name in ahead] == [2.0, 1.5, 2.5]
    lines = verdict.of_blocks({"a": [ahead], "b": [behind]})
    assert f"a: {ours} is ahead" in lines[0] and f"then {forest}" in lines[0]
    assert f"b: {forest} is ahead" in lines[1] and f"{ours} is number 3" in lines[1]
    assert "2.0 s here" in lines[2]


@pytest.mark.parametrize(
    ("shift", "word"), [(4.0, "ahead of"), (0.0, "level with"), (-4.0, "behind")]
)
def test_a_verdict_on_one_table_knows_chance(shift, word):
    rng = np.random.default_rng(0)
    is_outlier = np.arange(200) < 40
    scores = rng.normal(size=(2, 200)) - 2.0 * is_outlier
    scores[0] -= shift * is_outlier * (shift > 0)
    scores[1] += shift * is_outlier * (shift < 0)
    results = {
        name: measured(average_precision_score(is_outlier, -s), s)
        for name, s in zip((detectors.OURS, "IsolationForest"), scores, strict=True)
    }
    words = verdict.of_one(results, is_outlier, np.random.default_rng(0))
    assert f"{detectors.OURS} is {word} IsolationForest" in words


def test_a_verdict_needs_us_and_another():
    late = detectors.Measured(*[np.nan] * 5, None, np.empty(0))
    rng, is_outlier = np.random.default_rng(0), np.arange(4) < 1
    ours = measured(0.5, np.arange(4.0))
    words = verdict.of_one({detectors.OURS: late, "x": ours}, is_outlier, rng)
    assert "did not end in time" in words
    words = verdict.of_one({detectors.OURS: ours, "x": late}, is_outlier, rng)
    assert "alone ended in time" in words


def test_what_takes_too_long_is_given_up():
    class Endless:
        def fit(self, X):
            while True:
                pass

    found = detectors.measure_in_time(0.05, Endless(), None, None, None)
    assert found.pipeline is None and np.isnan(found.figures).all()
    with limit.limited(0.05), pytest.raises(limit.TimeIsUp):
        while True:
            pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_columns_that_give_the_label_away_are_named():
    rng = np.random.default_rng(0)
    is_outlier = np.arange(100) % 5 == 0
    X = pd.DataFrame(
        {
            "plain": rng.normal(size=100),
            "copy": is_outlier * 1.0,
            "gaps": np.where(is_outlier, np.nan, rng.normal(size=100)),
            "empty": np.nan,
            "word": np.where(is_outlier, "bad", "good"),
            "each": [f"row {i}" for i in range(100)],
        }
    )
    columns = Columns(["plain", "copy", "gaps", "empty"], ["word", "each"])
    (line,) = giveaways.note(X, columns, is_outlier)
    assert "copy, gaps, word" in line
    assert not giveaways.note(X[["plain"]], Columns(["plain"]), is_outlier)
    assert not giveaways.note(X.iloc[:9], columns, is_outlier[:9])


def test_best_figures_are_bold():
    results = {
        "one": detectors.Measured(0.9, 0.5, 2.0, np.nan, 0.1, None, None),
        "two": detectors.Measured(0.8, 0.6, 1.0, np.nan, 0.2, None, None),
    }
    console = Console(force_terminal=True, width=100)
    with console.capture() as capture:
        console.print(detectors.table_of("title", results))
    bold = re.findall(r"\x1b\[1m(\d\.\d{3})\x1b\[0m", capture.get())
    assert bold == ["0.900", "0.100", "0.600", "1.000"]


@pytest.mark.parametrize("name", bundled.DATA)
@pytest.mark.parametrize("contamination", bundled.CONTAMINATIONS)
def test_training_rows_hold_the_stated_share_of_outliers(name, contamination):
    load, normal_class = bundled.DATA[name]
    X, y = load(return_X_y=True)
    X_train, X_test, is_outlier = bundled.split(load, normal_class, contamination, 0)
    assert len(X_train) + len(X_test) == len(X)
    assert len(X_test) == len(is_outlier)
    mixed = (y != normal_class).sum() - is_outlier.sum()
    assert mixed == pytest.approx(contamination * len(X_train), abs=0.5)
    # No row is in both parts, however often it occurs.
    rows, counts = np.unique(np.vstack([X_train, X_test]), axis=0, return_counts=True)
    expected_rows, expected = np.unique(X, axis=0, return_counts=True)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize(
    "arguments", [["--random-state", "-1"], ["--random-state", "x"], ["--nonsense"]]
)
def test_bad_arguments_end_with_one_clear_line(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main.main(arguments)
    assert caught.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("python -m skae: error:")
    assert arguments[-1] in last


def test_missing_rich_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(SystemExit):
        main.main([])
    assert "skae[cli]" in capsys.readouterr().err


def test_it_runs_as_a_module():
    out = subprocess.run(
        [sys.executable, "-m", "skae", "--help"], check=True, capture_output=True
    ).stdout
    assert b"--random-state" in out


@pytest.mark.parametrize(
    ("arguments", "is_kept"), [([], True), (["--no-cache"], False)]
)
def test_programs_are_kept_unless_told(arguments, is_kept, monkeypatch):
    kept = []
    monkeypatch.setattr("skae.keep_programs", lambda: kept.append(True))
    monkeypatch.setattr(bundled, "run", lambda *_: None)
    assert main.main(arguments) == 0
    assert bool(kept) == is_kept
