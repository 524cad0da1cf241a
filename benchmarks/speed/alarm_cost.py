"""Seconds for the cost of alarms at every threshold.

    python -m benchmarks.speed.alarm_cost --out FILE.json

Random scores, one outlier in a hundred rows, a tolerance of 12 rows.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from skae.metrics import AlarmCost


def main():
    """Run the benchmark and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10**4, 10**5, 10**6])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    cost = AlarmCost(false_alarm=1, missed=5, tolerance=12)
    seconds = {}
    for n_rows in options.rows:
        scores = rng.normal(size=n_rows)
        y = np.where(rng.random(n_rows) < 0.01, -1, 1)
        runs = []
        for _ in range(options.repeats):
            start = time.perf_counter()
            cost.curve(y, scores)
            runs.append(time.perf_counter() - start)
        seconds[n_rows] = round(float(np.median(runs)), 4)
        print(f"{n_rows} rows: {seconds[n_rows]:.3f} s")
    if options.out:
        options.out.write_text(json.dumps({"median_seconds": seconds}, indent=1) + "\n")


if __name__ == "__main__":
    main()
