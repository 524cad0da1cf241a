"""One peer on one scenario in a process of its own, told when to run by its input.

    python -m benchmarks.speed.worker PEER SCENARIO [--once]

It runs once, prints as JSON what the peer returns, and from then on answers every line
of its input by running again, warm, and printing the seconds. With ``--once`` it ends
after the first run, which is cold.
"""

import json
import sys
import time
import warnings
from dataclasses import replace

from benchmarks.speed.peers import PEERS
from benchmarks.speed.scenarios import GRID, GRID_FOLDS, SCENARIOS, TRAINING_ROWS

# Seconds of a measurement, at least.
SHORTEST = 0.1


def task(peer, scenario):
    """Return a function that does the work once."""
    X = scenario.rows()
    if scenario.task == "fit":
        return lambda: peer.fit(scenario, X)
    if scenario.task == "grid":
        return lambda: peer.grid(scenario, X, GRID, GRID_FOLDS)
    peer.fit(scenario, replace(scenario, n_rows=TRAINING_ROWS).rows())

    def score():
        peer.score(X)

    return score


def seconds(work, calls):
    """Mean of some calls."""
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def main():
    """Run once, then on demand."""
    name, scenario_name, *options = sys.argv[1:]
    # Few epochs do not converge; the other libraries' warnings are theirs.
    warnings.simplefilter("ignore")
    work = task(PEERS[name](), SCENARIOS[scenario_name])
    print(json.dumps(work()), flush=True)
    if "--once" in options:
        return
    calls = max(1, round(SHORTEST / seconds(work, 1)))
    for _ in sys.stdin:
        if calls > 1:
            # The first calls after a pause find cold caches.
            seconds(work, calls)
        print(seconds(work, calls), flush=True)


if __name__ == "__main__":
    main()
