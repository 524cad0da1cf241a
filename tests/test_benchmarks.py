"""The benchmark of detection quality: resumable, and right in what it sums up."""

import json
import runpy

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from benchmarks import bits
from benchmarks.quality import (
    adbench,
    alarm_filter,
    learn_weights,
    macrodata,
    missing,
    peers,
    planted_errors,
    published,
    runs,
    summary,
    variants,
)
from skae import AutoencoderOutlierDetector
from skae.core.bottlenecks import BOTTLENECKS
from skae.core.corruptions import CORRUPTIONS
from skae.core.networks import NETWORKS
from skae.core.penalties import PENALTIES
from skae.core.scores import SCORES


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("first", "second"):
        X = np.r_[rng.normal(size=(180, 3)), rng.normal(4, 1, size=(20, 3))]
        np.savez(tmp_path / f"{name}.npz", X=X, y=np.r_[np.zeros(180), np.ones(20)])
    return tmp_path


class Interrupting:
    """A detector that stops the benchmark at its n-th fit."""

    fits = 0

    def __init__(self, stop_at):
        self.stop_at = stop_at

    def fit(self, X):
        Interrupting.fits += 1
        if Interrupting.fits == self.stop_at:
            raise KeyboardInterrupt
        return self

    def score_samples(self, X):
        return -np.linalg.norm(X, axis=1)


def test_a_stopped_benchmark_goes_on_where_it_was(folder):
    paths, out = sorted(folder.glob("*.npz")), folder / "out.jsonl"
    Interrupting.fits = 0
    arguments = (adbench.parts, ["S1", "S2", "U"], [0, 1], out)
    with pytest.raises(KeyboardInterrupt):
        runs.run(paths, {"a": lambda seed: Interrupting(5)}, *arguments)
    assert len(runs.read(out)) == 4
    runs.run(paths, {"a": lambda seed: Interrupting(None)}, *arguments)
    rows = runs.read(out)
    keys = {tuple(row[name] for name in runs.KEY) for row in rows}
    assert len(rows) == len(keys) == 2 * 3 * 2
    assert Interrupting.fits == 12 + 1
    before = out.read_text()
    runs.run(paths, {"a": lambda seed: Interrupting(None)}, *arguments)
    assert out.read_text() == before


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in peers.DETECTORS
        if not name.startswith("PyOD") and name != "skae"
    ],
)
def test_peers_score_outliers_lower(name):
    rng = np.random.default_rng(0)
    normal, outliers = rng.normal(size=(300, 4)), rng.normal(6, 1, size=(20, 4))
    detector = peers.DETECTORS[name](0).fit(normal[:200])
    scores = detector.score_samples(np.r_[normal[200:], outliers])
    assert roc_auc_score(np.r_[np.ones(100), np.zeros(20)], scores) > 0.9


def rows_of(values):
    """Result rows from {detector: [ROC AUC of each set]}."""
    return [
        {
            "set": f"s{i}",
            "detector": name,
            "setting": "S2",
            "seed": seed,
            "auroc": value + seed,
            "ap": value - seed,
            "fit_seconds": 1.0,
            "score_seconds": 0.5,
        }
        for name, of in values.items()
        for i, value in enumerate(of)
        for seed in (0, 2)
    ]


def test_the_summary_counts_ranks_wins_and_differences():
    values = {"skae": [90, 80, 70, 60], "a": [85, 75, 65, 55], "b": [80, 90, 60, 70]}
    table = summary.summarise(rows_of(values), "S2")
    assert list(table) == ["skae", "a", "b"]
    assert table["skae"]["auroc"] == 76 and table["skae"]["ap"] == 74
    assert table["skae"]["wins_auroc"] == table["b"]["wins_auroc"] == 2
    assert table["skae"]["rank_auroc"] == 1.5
    assert table["a"]["reference_ahead_auroc"] == 5
    assert table["a"]["interval_auroc"] == [5, 5]
    assert table["a"]["reference_is_auroc"] == "better"
    assert table["b"]["reference_ahead_ap"] == 0
    assert table["b"]["reference_is_ap"] == "level"
    assert table["a"]["seeds"] == [0, 2]
    assert table["a"]["sd_over_seeds_auroc"] == 1
    json.dumps(table)


def test_a_detector_that_misses_sets_is_compared_but_not_ranked():
    values = {"skae": [90, 80, 70], "a": [95, 85]}
    table = summary.summarise(rows_of(values), "S2")
    assert "rank_auroc" not in table["a"] and table["skae"]["rank_auroc"] == 1
    assert table["a"]["reference_is_auroc"] == "worse"
    assert table["a"]["sets"] == 2


def test_the_bootstrap_interval_covers_the_mean():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        low, high = summary.interval(rng.normal(1, 2, size=40))
        covered += low <= 1 <= high
    assert 70 <= covered <= 90


def test_ranks_are_drawn():
    tables = {
        name: summary.summarise(rows_of({"skae": [90, 80], "a": [85, 75]}), "S2")
        for name in ("S1", "S2")
    }
    first, second = summary.draw(tables).axes
    assert (first.get_title(), second.get_title()) == ("S1", "S2")
    assert [bar.get_width() for bar in first.patches] == [2, 1]


def test_the_markdown_table_is_sorted_and_marks_what_was_not_run_everywhere():
    values = {"skae": [90, 80, 70], "a": [95, 85], "b": [80, 70, 60]}
    lines = summary.markdown("S2", summary.summarise(rows_of(values), "S2")).split("\n")
    assert lines[0].startswith("### S2: half of the normal rows")
    rows = [line for line in lines if line.startswith("|")]
    assert [row.split(" | ")[0] for row in rows[2:]] == [
        "| a (2 sets)",
        "| skae",
        "| b",
    ]
    assert "10.0 (10.0 to 10.0), skae is better" in rows[-1]
    assert len({row.count("|") for row in rows}) == 1


def test_published_means_are_of_the_sets_that_both_have(tmp_path):
    for kind in ("semi", "unsup"):
        for measure in ("auroc", "ap"):
            text = "dataset,A,B\ncover,50,60\nskin,70,80\nelse,0,0\n"
            (tmp_path / f"dte_{kind}_{measure}.csv").write_text(text)
    runs = [
        {"set": stem, "detector": "skae", "setting": "S1", "auroc": 90, "ap": ap}
        for stem, ap in (("10_cover", 40), ("33_Skin", 20), ("9_new", 0))
    ]
    assert published.compare(tmp_path, runs, "S1") == {
        "sets": 2,
        "means": {"skae (here)": [90, 30], "A": [60, 60], "B": [70, 70]},
    }


def table_of(seed, n_views=5):
    """Evidence of which the first view alone tells anomalies apart."""
    rng = np.random.default_rng(seed)
    y = np.r_[np.zeros(150), np.ones(50)]
    evidence = rng.exponential(size=(200, n_views))
    evidence[:, 0] += 2 * y
    evidence[:, 1] -= 0.5 * y
    return {"evidence": evidence, "y": y}


def test_weights_are_learnt_from_what_ranks():
    tables = [table_of(seed) for seed in range(6)]
    weights = learn_weights.learn(tables, [1.0] * 6)
    assert weights[0] > 0.8 and weights[1] == 0
    assert (weights >= 0).all() and weights.sum() == pytest.approx(1)
    np.testing.assert_array_equal(weights, learn_weights.learn(tables, [2.0] * 6))


def test_tables_are_judged_by_weights_that_have_not_seen_them(monkeypatch):
    left_out = []
    monkeypatch.setattr(
        learn_weights, "learn_both", lambda settings, names: left_out.append(names)
    )
    names = [f"t{i}" for i in range(11)]
    of_table = learn_weights.in_folds([dict.fromkeys(names)])
    assert set(of_table) == set(names) and len(left_out) == learn_weights.N_FOLDS
    assert sorted(name for fold in left_out for name in fold) == sorted(names)


def test_learning_measures_each_table_once_and_writes_the_weights(
    tmp_path, monkeypatch
):
    measured = []

    def measure(parts, seed):
        measured.append(parts.contamination)
        return table_of(len(measured))

    rng = np.random.default_rng(0)
    macro = {
        "X_train": rng.normal(size=(60, 2)),
        "X_test": rng.normal(size=(40, 2)),
        "y_test": np.r_[np.zeros(30), np.ones(10)],
    }
    for name, data in {
        "macrodata": macro,
        "adbench": {"X": macro["X_train"], "y": np.r_[np.zeros(50), np.ones(10)]},
    }.items():
        (tmp_path / name).mkdir()
        for i in range(learn_weights.N_FOLDS):
            np.savez(tmp_path / name / f"{name[:3]}{i}.npz", **data)
    monkeypatch.setattr(learn_weights, "measure", measure)
    monkeypatch.setattr(learn_weights, "TARGET", tmp_path / "weights.py")
    for _ in range(2):
        learn_weights.measure_all(tmp_path, tmp_path / "cache", 0, 1)
    assert len(measured) == 5 * (4 + 3)
    assert sorted({c or 0 for c in measured}) == [0, macrodata.SHARE, 10 / 60]
    kept = tmp_path / "runs.jsonl"
    kept.write_text('{"detector": "other"}\n{"detector": "skae"}\n')
    learn_weights.report(tmp_path / "cache", tmp_path / "out.json", tmp_path, kept)
    rows = runs.read(kept)
    assert [row["detector"] for row in rows] == ["other"] + ["skae"] * 20
    assert {row["n_train"] for row in rows[1:]} == {60, 63}
    written = runpy.run_path(tmp_path / "weights.py")["WEIGHTS"]
    report = json.loads((tmp_path / "out.json").read_text())
    assert {k: list(v) for k, v in written.items()} == report["weights"]
    assert len(report["tables"]["both in folds"]["macrodata"]["clean"]) == 5


@pytest.mark.parametrize("setting", ["clean", "C", "C told", "small", "small C"])
def test_anomalies_move_to_the_training_rows(setting):
    data = {
        "X_train": np.zeros((190, 1)),
        "X_test": np.arange(1, 61)[:, None],
        "y_test": np.r_[np.zeros(40), np.ones(20)],
    }
    parts = macrodata.parts(data, setting, 0)
    n_moved = 0
    if "C" in setting:
        n_moved = 5 if "small" in setting else 10
    n_clean = 100 if "small" in setting else 190
    assert len(parts.X_train) == n_clean + n_moved
    assert (parts.X_train > 40).sum() == n_moved
    assert parts.y_test.sum() == 20 - n_moved
    assert not {*parts.X_train[:, 0]} & {*parts.X_test[:, 0]}
    assert parts.contamination == (0.05 if setting.endswith("told") else None)


def test_who_cannot_be_told_is_not_run_again(folder):
    paths, out = sorted(folder.glob("*.npz")), folder / "out.jsonl"
    makers = {
        "skae": lambda seed: IsolationForest(n_estimators=5, random_state=seed),
        "a": lambda seed: Interrupting(None),
    }
    runs.run(paths, makers, adbench.parts, ["U", "U told"], [0], out)
    found = [(row["setting"], row["detector"]) for row in runs.read(out)]
    assert found.count(("U told", "skae")) == 2 and ("U told", "a") not in found
    table = summary.summarise(runs.read(out), "U told")
    assert set(table) == {"skae", "a"} and table["a"]["sets"] == 2


@pytest.mark.slow
def test_variants_give_a_line_of_the_table_each():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(120, 4)) @ rng.normal(size=(4, 4))
    X_test = np.vstack([rows[60:], 5 * rng.normal(size=(20, 4))])
    y_test = np.repeat([0, 1], [60, 20])
    names = ["plain", "cross-entropy, [0, 1]"]
    runs = [
        {"set": "a", "variant": name, "seed": 0}
        | variants.evaluate(
            variants.VARIANTS[name] | {"max_iter": 3}, rows[:60], X_test, y_test, 0
        )
        for name in names
    ]
    lines = variants.table(runs).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {n}" for n in names]
    area = runs[0]["reconstruction auroc"]
    assert f"| plain | {area:.1f} / " in lines[2]
    assert 50 < area <= 100


@pytest.mark.slow
def test_cells_are_lost_and_scored_in_three_ways():
    rng = np.random.default_rng(0)
    lost = missing.lose(np.ones((4000, 2)), 0.3, rng)
    assert np.isfinite(lost).any(axis=1).all()
    # Of two cells, one stays in any case.
    assert np.isnan(lost).mean() == pytest.approx(0.15, abs=0.02)
    rows = rng.normal(size=(160, 4)) @ rng.normal(size=(4, 4))
    X_test = np.vstack([rows[60:], 9 * rng.normal(size=(20, 4))])
    y_test = np.repeat([0, 1], [100, 20])
    row = missing.evaluate("nearest", rows[:60], X_test, y_test, 0)
    assert row["complete auroc"] > row["missing auroc"] > 50
    assert row["complete auroc"] > row["mean imputed auroc"]
    text = missing.table([row | {"detector": "nearest"}])
    assert f"| nearest | {row['complete auroc']:.1f} / " in text


def test_false_alarms_are_counted_at_a_recall():
    y = np.array([-1, -1, -1, -1, 1, 1, 1])
    scores = np.array([0.0, 1.0, 2.0, 3.0, 0.5, 1.0, 2.5])
    counts = [alarm_filter.false_alarms(y, scores, r) for r in (0.25, 0.5, 0.75, 1.0)]
    assert counts == [0, 2, 2, 3]


@pytest.mark.slow
def test_both_stages_and_the_classifier_alone_are_compared():
    rng = np.random.default_rng(0)
    y = np.where(rng.random(900) < 0.3, -1, 1)
    X = rng.normal(size=(900, 3)) + np.where(y == -1, 3.0, 0)[:, None] * [1, 0, 0]
    kinds = np.where(y == 1, "Normal", np.where(np.arange(900) % 2, "a", "b"))
    detector = AutoencoderOutlierDetector(random_state=0, max_iter=20)
    detector.fit(X[:200][y[:200] == 1])
    labelled, test = np.arange(200, 500), np.arange(500, 900)
    result = alarm_filter.compare(X, y, detector, labelled, test, 0)
    figures = result["filter"]
    assert figures["false_alarms"] <= result["detector"]["false_alarms"]
    assert figures["ratio"] == figures["false_alarms"] / figures["moved"]
    assert alarm_filter.median([result] * 3) == result
    recall = alarm_filter.new_kind(X, y, detector, labelled, test, kinds, "a", 0)
    assert recall["filter"] <= recall["detector"]


def test_connections_are_encoded_by_the_rows_that_train():
    table = np.array([["tcp", "-", "FIN", "1"]] * 20 + [["x", "-", "FIN", "3"]] * 9)
    train = np.r_[:20, 28]
    X = alarm_filter.prepare(table.astype(object), train)
    assert X.shape == (29, 2 + 1 + 1 + 1)
    np.testing.assert_array_equal(X[[0, -1], :2], np.eye(2))
    assert X[train, -1].mean() == pytest.approx(0)


def test_bits_tell_equal_arrays_from_others(tmp_path, capsys):
    said = bits.fitted({"anomaly_score": "joint", "max_iter": 1})
    np.savez(tmp_path / "a.npz", **said)
    np.savez(tmp_path / "b.npz", **said | {"scores": np.nextafter(said["scores"], 9)})
    assert bits.compare(tmp_path / "a.npz", tmp_path / "a.npz") == 0
    assert bits.compare(tmp_path / "a.npz", tmp_path / "b.npz") == 1
    assert "differs: scores" in capsys.readouterr().out


def test_bits_look_at_every_score_and_bottleneck():
    given = [parameters for _, parameters in bits.cases()]
    assert {p.get("anomaly_score", "learned") for p in given} == set(SCORES)
    assert {p.get("bottleneck", "plain") for p in given} == set(BOTTLENECKS)
    assert {p.get("corruption", "gaussian") for p in given} >= set(CORRUPTIONS)
    assert {p.get("network", "dense") for p in given} == set(NETWORKS)
    assert set(PENALTIES) <= set().union(*given)


def test_planted_errors_alter_cells_that_they_say_and_no_others():
    rng = np.random.default_rng(0)
    clean = planted_errors.invoices(rng, 60)
    table, altered = planted_errors.plant(clean, rng)
    assert len(altered) == planted_errors.N_EACH * len(planted_errors.KINDS)
    for row in table.index:
        changed = set(table.columns[(table != clean).loc[row]])
        # Rounding may leave the tax of another rate as it was.
        assert changed <= (may := altered.get(row, ("", set()))[1])
        assert bool(changed) == bool(may)


def test_planted_errors_are_counted_by_kind():
    runs = [
        {"detector": "skae", "kind": "vat", "found": True, "blamed": True},
        {"detector": "skae", "kind": "year", "found": False},
    ]
    said = planted_errors.summary(runs)
    assert said["found"]["skae"] == {"all": 0.5, "vat": 1.0, "year": 0.0}
    assert said["blamed"] == 1.0
