"""Seconds and memory to score a CSV file of a million rows from the command line.

    python -m benchmarks.speed.files --folder DIR --out FILE.json

Two files of 30 columns are made in ``DIR`` where they are missing: 20,000 rows to train
on, and a million to score. ``python -m skae score`` ranks and explains these, and
writes them beside their scores. The first peer is what one would write by hand with
the same detector: pandas reads the files, and writes the same columns. The second is
the least that one would write: an IsolationForest, and its bare scores. Each runs in a
process of its own; memory is the peak of the resident set.
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

N_ROWS, N_TRAIN, N_COLUMNS, PART = 1_000_000, 20_000, 30, 50_000

BY_HAND = """
import sys
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skae import AutoencoderOutlierDetector
from skae.inspection import explain
from skae.thresholds import conformal_p_values
train, new = map(pd.read_csv, sys.argv[1:])
detector = AutoencoderOutlierDetector(missing="mask", random_state=0)
pipeline = make_pipeline(StandardScaler(), detector).fit(train)
scores = pipeline.score_samples(new)
lines = pd.DataFrame({"row": range(1, len(new) + 1), "score": scores})
lines["rank"] = lines["score"].rank(method="first").astype(int)
lines["p_value"] = conformal_p_values(scores, detector.calibration_scores_)
lines["outlier"] = (scores < detector.offset_).astype(int)
named = explain(pipeline, new, 3)
for i in range(3):
    lines[f"feature_{i + 1}"] = [worst[i][0] for worst in named]
    lines[f"part_{i + 1}"] = [worst[i][1] for worst in named]
pd.concat([lines, new], axis=1).to_csv("by_hand.csv", index=False)
"""

FOREST = """
import sys
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
train, new = map(pd.read_csv, sys.argv[1:])
pipeline = make_pipeline(StandardScaler(), IsolationForest(random_state=0)).fit(train)
pd.Series(pipeline.score_samples(new), name="score").to_csv("forest.csv")
"""

COMMANDS = {
    "python -m skae score": ["-m", "skae", "score"],
    "the same by hand": ["-c", BY_HAND],
    "IsolationForest, bare scores": ["-c", FOREST],
}


def make_table(path, n_rows, seed):
    """Write rows of six factors and noise; one in 2,500 is abnormal."""
    mixing = np.random.default_rng(0).normal(size=(6, N_COLUMNS))
    rng = np.random.default_rng(seed)
    for start in range(0, n_rows, PART):
        rows = rng.normal(size=(min(PART, n_rows), 6)) @ mixing
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
    paths = []
    for seed, (name, n_rows) in enumerate({"train": N_TRAIN, "new": N_ROWS}.items(), 1):
        paths.append((options.folder / f"{name}.csv").resolve())
        if not paths[-1].exists():
            make_table(paths[-1], n_rows, seed)
    medians, all_runs = {}, {}
    for name, arguments in COMMANDS.items():
        runs = [
            measure([*arguments, *map(str, paths)], options.folder)
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
