"""Time two checkouts of the package in turns.

    python -m benchmarks.speed.turns BASE --out turns.json

``BASE`` is a folder with another version; the head is the folder that the command runs
in. Every scenario but the sweeps runs in a process for each version, one after the
other and in changing order, so that both meet the same noise. Printed are medians, the
median of the ratios head / base of neighbouring runs, and its bootstrap interval
(80 %). The command fails where that is wholly above ``--tolerance``.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.speed.__main__ import WORKER, machine
from benchmarks.speed.scenarios import SCENARIOS

OURS = ("skae", "skae-default")


class Warm:
    """A process that has done the work, and does it again when told."""

    def __init__(self, folder, peer, name):
        self.worker = subprocess.Popen(
            [*WORKER, peer, name],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.worker.stdout.readline()

    def run(self):
        """Seconds of one more run."""
        self.worker.stdin.write("run\n")
        self.worker.stdin.flush()
        return float(self.worker.stdout.readline())

    def end(self):
        """End the process."""
        self.worker.communicate()


class Cold:
    """A fresh process for each run."""

    def __init__(self, folder, peer, name):
        self.command, self.folder = [*WORKER, peer, name, "--once"], folder

    def run(self):
        """Seconds of a process from start to end."""
        start = time.perf_counter()
        subprocess.run(
            self.command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL
        )
        return time.perf_counter() - start

    def end(self):
        """Nothing is left."""


def interval(ratios, share=0.8):
    """Bootstrap interval of the median."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(ratios, size=(2000, len(ratios)))
    ends = [(1 - share) / 2, (1 + share) / 2]
    return np.quantile(np.median(drawn, axis=1), ends).round(3).tolist()


def time_both(folders, peer, name, n_runs):
    """Seconds of base and head, in turns."""
    kind = Cold if SCENARIOS[name].cold else Warm
    runners = [kind(folder, peer, name) for folder in folders]
    seconds = [[], []]
    for number in range(n_runs):
        for which in (0, 1) if number % 2 else (1, 0):
            seconds[which].append(runners[which].run())
    for runner in runners:
        runner.end()
    return seconds


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", type=Path)
    parser.add_argument("scenarios", nargs="*", help="all but the sweeps if none")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--tolerance", type=float, default=1.03)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    names = options.scenarios or [n for n in SCENARIOS if not n.startswith("sweep")]
    results, slower = {"machine": machine(), "scenarios": {}}, []
    for name in names:
        peer = next(peer for peer in SCENARIOS[name].peers if peer in OURS)
        base, head = time_both((options.base, Path()), peer, name, options.runs)
        ratios = [b / a for a, b in zip(base, head, strict=True)]
        results["scenarios"][name] = found = {
            "base": round(statistics.median(base), 6),
            "head": round(statistics.median(head), 6),
            "ratio": round(statistics.median(ratios), 3),
            "interval": interval(ratios),
        }
        print(f"{name:20s}", json.dumps(found), flush=True)
        options.out.write_text(json.dumps(results, indent=1) + "\n")
        if found["interval"][0] > options.tolerance:
            slower.append(name)
    if slower:
        sys.exit(f"slower: {', '.join(slower)}")


if __name__ == "__main__":
    main()
