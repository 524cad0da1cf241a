"""The speed benchmark: peers do the work they are told, ratios are what they say."""

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.speed import __main__ as speed
from benchmarks.speed import growth, turns, variants, worker
from benchmarks.speed.peers import PEERS
from benchmarks.speed.scenarios import SCENARIOS, Scenario
from tests.helpers import slow_but

SMALL = Scenario("fit", n_rows=300, n_features=4, hidden=(8,), latent=3, epochs=2)
# Of the bare loops of benchmarks/speed/variants.py, those that differ in more than a
# term of the loss.
QUICK = ("swap", "contraction", "missing", "adversarial", "recurrent")
HERE = ("skae", "skae-default", "bare", "mlp", "iforest", "lof")


def test_scenarios_name_peers_that_exist():
    assert SCENARIOS["fit-10k"].sizes == (30, 64, 32, 64, 30)
    assert SCENARIOS["fit-500-16-500"].sizes == (500, 16, 500)
    for scenario in SCENARIOS.values():
        assert set(scenario.peers) <= set(PEERS)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", slow_but(set(HERE) - {"skae-default"}, HERE))
def test_peers_fit_and_score_every_row(name):
    peer = PEERS[name]()
    worker.task(peer, SMALL)()
    X = replace(SMALL, n_rows=50).rows()
    assert np.shape(peer.score(X)) == (50,)


@pytest.mark.slow
def test_ours_and_the_bare_loop_learn_the_same_amount():
    scenario = replace(SMALL, n_rows=3_000, hidden=(32,), latent=16, epochs=20)
    X = scenario.rows()
    errors = []
    for name in ("skae", "bare"):
        peer = PEERS[name]()
        peer.fit(scenario, X)
        errors.append(abs(np.mean(peer.score(X))))
    assert max(errors) < 0.1 * X.var()
    assert max(errors) < 3 * min(errors)


@pytest.mark.slow
def test_a_grid_trains_one_program_for_each_architecture():
    scenario = replace(SMALL, task="grid", latent=2)
    grid = {"latent": [5, 6, 7], "learning_rate": [1e-3, 1e-2]}
    said = PEERS["skae"]().grid(scenario, scenario.rows(), grid, 3)
    assert said["training_compilations"] == 3


def test_reports_have_medians_and_ratios():
    seconds = {"skae": [1.0, 2.0, 4.0], "bare": [1.0, 1.0, 1.0], "mlp": [3.0, 4.0, 4.0]}
    found = speed.report(seconds, {"skae": None, "mlp": {"a": 1}})
    assert found["median_seconds"] == {"skae": 2.0, "bare": 1.0, "mlp": 4.0}
    assert found["ratios"] == {"skae / bare": 2.0, "mlp / skae": 2.0}
    assert found["said"] == {"mlp": {"a": 1}}


def test_compare_tells_what_became_slower(tmp_path, capsys):
    paths = {}
    for name, ratio, seconds in (("base", 1.0, 2.0), ("head", 1.05, 3.0)):
        bare = {"ratios": {"skae / bare": ratio}, "median_seconds": {"skae": 9.0}}
        alone = {"ratios": {}, "median_seconds": {"skae-default": seconds}}
        paths[name] = tmp_path / f"{name}.json"
        text = json.dumps({"scenarios": {"fit": bare, "score": alone}})
        paths[name].write_text(text)
    options = argparse.Namespace(**paths, tolerance=0.1)
    assert speed.compare(options) == ["score"]
    assert "1.50 slower" in capsys.readouterr().out


def test_a_scenario_that_was_run_is_not_run_again(tmp_path, monkeypatch):
    runs = []

    def run_warm(name, peers, n_runs):
        runs.append(name)
        return {peer: [1.0] * n_runs for peer in peers}, {}

    monkeypatch.setattr(speed, "run_warm", run_warm)
    options = argparse.Namespace(
        scenarios=["score-1-"], peers=None, runs=2, again=False, out=tmp_path / "x.json"
    )
    for _ in range(2):
        speed.run(options)
    assert runs == ["score-1-default"]
    result = json.loads(options.out.read_text())["scenarios"]["score-1-default"]
    assert result["ratios"] == {"iforest / skae-default": 1.0}


def test_times_are_drawn(tmp_path):
    times = {"median_seconds": {"skae": 0.1, "bare": 0.05}}
    scenarios = {name: times for name in SCENARIOS if name.startswith("sweep")}
    results = tmp_path / "x.json"
    results.write_text(json.dumps({"scenarios": scenarios}))
    for axis in speed.draw(results).axes:
        assert [line.get_label() for line in axis.lines] == ["skae", "bare"]


def test_anonymous_memory_is_watched():
    if not growth.Path("/proc/self/status").exists():
        pytest.skip("no /proc here")
    held = []
    before = growth.anonymous_megabytes()
    seconds, peak = growth.watched(lambda: held.append(np.ones(2**24)))
    assert seconds > 0 and peak >= before + 100


@pytest.mark.parametrize("name", slow_but(QUICK, variants.VARIANTS))
def test_bare_loops_of_the_family_learn(name, monkeypatch):
    X = np.random.default_rng(0).random((256, variants.N_FEATURES), np.float32)
    if name == "missing":
        X[::2, 1] = np.nan
    train = variants.bare(name, variants.VARIANTS[name])
    weights = []
    for epochs in (1, 2):
        monkeypatch.setattr(variants, "EPOCHS", epochs)
        weights.append(np.concatenate([np.ravel(w) for pair in train(X) for w in pair]))
    assert np.isfinite(weights).all() and (weights[0] != weights[1]).any()


def test_two_checkouts_run_in_turns_and_slower_ones_fail(monkeypatch, tmp_path, capsys):
    started = []

    class Clock:
        """A checkout of which every run takes as many seconds as its name says."""

        def __init__(self, folder, peer, name):
            self.folder = folder

        def run(self):
            started.append(self.folder)
            return float(self.folder)

        def end(self):
            started.append("ended")

    monkeypatch.setattr(turns, "Warm", Clock)
    base, head = turns.time_both(("2", "3"), "skae", "fit-10k", 4)
    assert (base, head) == ([2.0] * 4, [3.0] * 4)
    assert started == [*"32233223", "ended", "ended"]

    out = tmp_path / "turns.json"
    command = ["turns", str(tmp_path), "fit-10k", "--out", str(out)]
    monkeypatch.setattr("sys.argv", command)
    times = [1.0] * 5, [1.0, 1.1, 1.0, 1.1, 2.0]
    monkeypatch.setattr(turns, "time_both", lambda *_: times)
    turns.main()
    found = json.loads(out.read_text())["scenarios"]["fit-10k"]
    assert found["ratio"] == 1.1
    assert found["interval"][0] <= 1.03 < found["interval"][1]
    monkeypatch.setattr(turns, "time_both", lambda *_: ([1.0] * 5, [1.1] * 5))
    with pytest.raises(SystemExit, match="slower: fit-10k"):
        turns.main()
    assert capsys.readouterr().out.count("fit-10k") == 2
