import re
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from skae import __main__ as main
from skae._command import bundled, cache, detectors


@pytest.fixture
def wine_only(monkeypatch):
    name = next(name for name in bundled.DATA if "wine" in name)
    monkeypatch.setattr(bundled, "DATA", {name: bundled.DATA[name]})


def test_every_detector_is_compared_on_the_same_rows(wine_only, capsys):
    assert main.main(["--random-state", "3"]) == 0
    out = capsys.readouterr().out
    for name in detectors.detectors(0):
        assert out.count(name) == 2
    assert "outliers in training: none" in out
    assert "outliers in training: 5%, told" in out
    figures = [float(x) for x in re.findall(r"\d\.\d{3}", out)]
    assert len(figures) == 2 * 5 * 4


def test_best_figures_are_bold():
    results = {
        "one": detectors.Measured(0.9, 0.5, 2.0, 0.1, None, None),
        "two": detectors.Measured(0.8, 0.6, 1.0, 0.2, None, None),
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
    monkeypatch.setattr(cache, "keep", lambda: kept.append(True))
    monkeypatch.setattr(bundled, "run", lambda *_: None)
    assert main.main(arguments) == 0
    assert bool(kept) == is_kept
