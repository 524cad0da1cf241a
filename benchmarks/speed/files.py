"""Seconds and memory to score a CSV file of a million rows from the command line.

    python -m benchmarks.speed.files --folder DIR --out FILE.json

The file of 30 columns is made in ``DIR`` where it is missing. ``python -m skae score``
ranks and explains its rows; the peer is what one would write by hand: pandas reads the
file, an IsolationForest behind a StandardScaler scores it, pandas writes the scores.
Each runs in a process of its own; memory is the peak of the resident set.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

N_ROWS, N_COLUMNS, PART = 1_000_000, 30, 50_000

BY_HAND = """
import sys
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
table = pd.read_csv(sys.argv[1])
pipeline = make_pipeline(StandardScaler(), IsolationForest(random_state=0)).fit(table)
pd.Series(pipeline.score_samples(table), name="score").to_csv("by_hand.csv")
"""

COMMANDS = {
    "python -m skae score": ["-m", "skae", "score"],
    "pandas and IsolationForest": ["-c", BY_HAND],
}


def make_table(path):
    """Write rows of six factors and noise; one in 2,500 is abnormal."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, N_COLUMNS))
    for start in range(0, N_ROWS, PART):
        rows = rng.normal(size=(PART, 6)) @ mixing
        rows += rng.normal(scale=0.5, size=rows.shape)
        rows[:20] += rng.normal(scale=6, size=(20, N_COLUMNS))
        table = pd.DataFrame(rows.round(4)).add_prefix("c")
        table.to_csv(path, mode="a" if start else "w", index=False, header=not start)


def measure(arguments, folder):
    """Seconds and megabytes of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, stdout=subprocess.DEVNULL
    )
    # Not the largest of all processes so far, as the module resource tells.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments} ended with status {process.returncode}.")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main():
    """Run the benchmark and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    path = (options.folder / "million.csv").resolve()
    if not path.exists():
        make_table(path)
    medians, all_runs = {}, {}
    for name, arguments in COMMANDS.items():
        runs = [
            measure([*arguments, str(path)], options.folder)
            for _ in range(options.repeats)
        ]
        all_runs[name] = [(round(s, 2), round(m)) for s, m in runs]
        seconds, megabytes = np.median(runs, axis=0).round(1).tolist()
        medians[name] = {"seconds": seconds, "megabytes": megabytes}
        print(f"{name:28} {seconds:.1f} s, {megabytes:.0f} MB", flush=True)
    if options.out:
        report = {"cores": os.cpu_count(), "python": sys.version.split()[0]}
        for package in ("jax", "pandas", "scikit-learn"):
            report[package] = version(package)
        report |= {"median": medians, "runs": all_runs}
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
