"""Seconds of a step and memory of a fit and a scoring, from 10,000 to 10,000,000 rows.

    python -m benchmarks.speed.growth --folder DIR --out benchmarks/results/growth.json

The tables are read-only memory maps of 30 columns in ``DIR``, made there where they are
missing. Each size and type is fitted and scored in a process of its own; anonymous
memory (RssAnon: without the pages of the file) is sampled all the while, and its peak
reported. The number of steps is the same for all sizes below 10 million rows, where one
epoch is longer.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.speed.peers import Skae
from benchmarks.speed.scenarios import SCENARIOS

SCENARIO = SCENARIOS["fit-10k"]
STEPS = 20_000
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)


def anonymous_megabytes():
    """Memory of this process that is not backed by a file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise OSError("this system does not tell RssAnon")


def watched(work):
    """Seconds of a call and the peak of the anonymous memory."""
    peak, done = anonymous_megabytes(), threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, anonymous_megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return seconds, round(peak)


def make_table(path, n_rows, dtype):
    """Write standard normal rows."""
    table = np.lib.format.open_memmap(path, "w+", dtype, (n_rows, SCENARIO.n_features))
    rng = np.random.default_rng(0)
    for start in range(0, n_rows, 100_000):
        part = table[start : start + 100_000]
        part[:] = rng.standard_normal(part.shape, np.float32)
    table.flush()


def measure(path):
    """Fit and score one table; print JSON."""
    X = np.load(path, mmap_mode="r")
    batch_size = SCENARIO.batch_size
    n_epochs = max(1, round(STEPS * batch_size / len(X)))
    detector = Skae().make(SCENARIO, validation_fraction=0.1, max_iter=1)
    detector.fit(X[:10_000])
    detector.score_samples(X[:20_000])
    detector.set_params(max_iter=n_epochs)
    fit_seconds, fit_peak = watched(lambda: detector.fit(X))
    score_seconds, score_peak = watched(lambda: detector.score_samples(X))
    steps = n_epochs * -(-round(0.9 * len(X)) // batch_size)
    training = sum(detector.history_["epoch_seconds"])
    report = {
        "rows": len(X),
        "dtype": str(X.dtype),
        "steps": steps,
        "milliseconds_per_step": round(1e3 * training / steps, 4),
        "fit_seconds": round(fit_seconds, 3),
        "score_seconds": round(score_seconds, 3),
        "fit_peak_megabytes": fit_peak,
        "score_peak_megabytes": score_peak,
    }
    print(json.dumps(report))


def main():
    """Measure every size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    reports = []
    for run in range(options.runs):
        for dtype in options.dtypes:
            for n_rows in options.sizes:
                path = options.folder / f"growth_{dtype}_{n_rows}.npy"
                if not path.exists():
                    make_table(path, n_rows, dtype)
                command = [sys.executable, "-m", "benchmarks.speed.growth"]
                command += ["--folder", str(options.folder), "--measure", str(path)]
                report = json.loads(subprocess.check_output(command).splitlines()[-1])
                reports.append({"run": run, **report})
                print(json.dumps(reports[-1]), flush=True)
    if options.out:
        options.out.write_text(json.dumps(reports, indent=1) + "\n")


if __name__ == "__main__":
    main()
