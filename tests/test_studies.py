"""The studies run, go on where they stopped, and the gallery shows all of them."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch

from benchmarks.quality import hpc
from benchmarks.studies import __main__ as command
from benchmarks.studies import (
    codes,
    credit_card,
    images,
    monitoring,
    network_attacks,
    pages,
    rows,
    sequences,
)
from skae import AutoencoderOutlierDetector
from skae.datasets import make_dependence_outliers, make_sensor_outliers

STUDIES = (credit_card, network_attacks, images, sequences, monitoring, codes)
ROWS = command.registered()
GALLERY = rows.ROOT / "docs" / "gallery"


def result(**parts):
    found = {"protocol": "p", "source": "s", "here": "a; b", "verdict": "v"}
    return found | {"holds": True, "ours": {}} | parts


@pytest.fixture
def three(monkeypatch):
    """Three rows in place of all, the last of which fails; which were run."""
    ran = []

    def make(name, *data):
        def run():
            ran.append(name)
            if name == "Z3":
                raise ValueError("broken")
            return result()

        run.__module__ = "benchmarks.studies.rows"
        return rows.Row(name, f"title of {name}", data, run)

    known = {"Z1": make("Z1"), "Z2": make("Z2", "hpc"), "Z3": make("Z3")}
    monkeypatch.setattr(command, "registered", lambda: known)
    return ran


def test_rows_are_run_once_and_missing_data_are_listed(
    three, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SKAE_DATA", str(tmp_path))
    arguments = ["--rows", "Z1", "Z2", "--out", str(tmp_path)]
    command.main(arguments)
    assert three == ["Z1"]
    said = capsys.readouterr().out
    assert "Z2 was skipped, as data are missing: hpc" in said
    assert "| Z1 title of Z1 | yes | s | a; b | v |" in said
    command.main(arguments)
    assert three == ["Z1"]
    assert "| Z1 title of Z1 | yes | s |" in capsys.readouterr().out
    command.main([*arguments, "--again"])
    assert three == ["Z1", "Z1"]
    path = tmp_path / "Z1.json"
    old = json.loads(path.read_text()) | {"version": "another"}
    path.write_text(json.dumps(old))
    command.main(arguments)
    assert three == ["Z1"] * 3


def test_a_row_that_fails_does_not_stop_the_others(three, tmp_path, capsys):
    with pytest.raises(SystemExit, match="1"):
        command.main(["--rows", "Z3", "Z1", "--out", str(tmp_path)])
    assert three == ["Z3", "Z1"]
    assert "broken" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["--rows", "Q7"])
    assert "--rows: Q7; there are Z1" in capsys.readouterr().err


def test_the_version_follows_code_but_not_words():
    text = '"""Say one."""\n# One.\nx = 1\n'
    assert rows.essence(text) == rows.essence('"""Say two."""\nx = (1)\n')
    assert rows.essence(text) != rows.essence(text.replace("= 1", "= 2"))
    found = {path.name for path in rows.sources("benchmarks.studies.monitoring")}
    assert {"monitoring.py", "hpc.py", "training.py", "metrics.py"} <= found
    assert not {"credit_card.py", "_onnx.py"} & found
    found = {path.name for path in rows.sources("benchmarks.studies.codes")}
    assert {"fine_tuning.py", "autorec.py"} <= found


def test_all_rows_of_the_texts_are_there():
    counts = {"A": 8, "B": 9, "C": 6, "D": 6}
    wanted = {f"{text}{n}" for text, last in counts.items() for n in range(1, last + 1)}
    assert set(ROWS) == wanted


def test_each_row_is_on_a_page_and_what_was_written_is_complete():
    shown = [pages.rows_of(path) for path in GALLERY.rglob("*.py")]
    assert set().union(*shown) == set(ROWS)
    for path in rows.RESULTS.glob("*.json"):
        assert set(result()) < set(rows.read(path.stem))


def test_pages_wait_for_rows_that_have_not_been_run(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "RESULTS", tmp_path)
    (tmp_path / "A1.json").write_text("{}")
    (tmp_path / "ready.py").write_text('Beside("A1")')
    (tmp_path / "waits.py").write_text('ours = read("A2")["ours"]\nBeside("A1", "A2")')
    pattern = pages.unwritten(tmp_path)
    assert re.search(pattern, "waits.py")
    assert not re.search(pattern, "ready.py")


def test_pages_show_what_was_written(monkeypatch):
    row = result(row="A1", title="a <b>", holds=False)
    monkeypatch.setattr(pages, "read", lambda name: row)
    html = pages.Beside("A1")._repr_html_()
    assert "A1: a &lt;b&gt; · does not hold" in html and "a<br>b" in html


# What the rows are run on: few rows of the same columns.


def cards():
    X, y = make_dependence_outliers(600, 29, contamination=0.1, random_state=0)
    return Bunch(data=pd.DataFrame(X), target=y)


def attacks():
    X, y = make_dependence_outliers(2000, 3, contamination=0.4, random_state=0)
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    text = np.where(y == 1, "tcp", "udp")
    for i, name in enumerate(("proto", "service", "state")):
        table.insert(i, name, text)
    return Bunch(data=table, target=y, kind=np.where(y == 1, "Normal", "DoS"))


def sensors():
    X, y = make_sensor_outliers(6667, 8, n_spans=8, random_state=0)
    y[3000:3400] = -1
    X[3000:3400] += 5
    names = [f"{'ips' if i % 2 else 'util'}_{i}" for i in range(8)]
    return Bunch(data=pd.DataFrame(X, columns=names), target=y, feature_names=names)


def beats():
    X, y = make_dependence_outliers(200, 20, contamination=0.3, random_state=0)
    return Bunch(data=X, target=y, is_train=np.arange(200) < 100)


def ratings():
    rng = np.random.default_rng(0)
    known = rng.random((60, 60)) < 0.5
    return Bunch(data=np.where(known, rng.integers(1, 6, (60, 60)), np.nan))


class Brief(AutoencoderOutlierDetector):
    """The detector, trained for one epoch."""

    def fit(self, X, y=None, sample_weight=None, X_val=None):
        self.set_params(max_iter=1, n_estimators=min(self.n_estimators, 2))
        return super().fit(X, y, sample_weight, X_val)


@pytest.fixture
def small(monkeypatch):
    """Little data, short training, one seed."""
    table = attacks()
    for owner, name, value in (
        (credit_card, "load_creditcard", cards),
        (network_attacks, "load_unsw_nb15", lambda: table),
        (hpc, "load_hpc", sensors),
        (monitoring, "load_hpc", sensors),
        (sequences, "load_ecg5000", beats),
        (codes, "load_movielens", ratings),
        (network_attacks, "N_TRAIN", 400),
        (network_attacks.alarm_filter, "N_TRAIN", 300),
        (network_attacks.alarm_filter, "N_LABELLED", 600),
        (monitoring, "CLAIMED", ((200, 8), (300, 8), (400, 8))),
        (monitoring, "BANDWIDTHS", (1.0, 2.0)),
    ):
        monkeypatch.setattr(owner, name, value)
    monkeypatch.setattr(
        network_attacks.alarm_filter,
        "load",
        lambda: (table.data.to_numpy(dtype=object), table.target, table.kind),
    )
    for module in (*STUDIES, hpc, network_attacks.variants, codes.autorec):
        for name, value in (
            ("AutoencoderOutlierDetector", Brief),
            ("SEEDS", (0, 1)),
        ):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    for module in STUDIES:
        for name in ("parts", "theirs", "digits"):
            if hasattr(module, name):
                getattr(module, name).cache_clear()
    yield
    for module in STUDIES:
        for name in ("parts", "theirs", "digits"):
            if hasattr(module, name):
                getattr(module, name).cache_clear()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ROWS)
def test_every_row_runs_on_little_data(small, name, tmp_path):
    row = ROWS[name]
    command.run(row, "v", tmp_path)
    found = rows.read(name, tmp_path)
    assert set(result()) < set(found)
    assert found["holds"] in (True, False, None)
    assert "nan" not in found["here"]
    assert found["version"] == "v" and command.line(found).count("|") >= 7
