"""Cost of ``import skae`` over ``import sklearn.base``.

    python -m benchmarks.speed.import_time --out benchmarks/results/import_time.json

Each run is a fresh interpreter that imports scikit-learn's base module first and then
times ``import skae`` alone; runs are repeated because the machine is noisy.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

CODE = (
    "import time, sklearn.base\n"
    "start = time.perf_counter()\n"
    "import skae\n"
    "print(time.perf_counter() - start)\n"
)


def main():
    """Time the import and print the median in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    times = [
        1e3 * float(subprocess.check_output([sys.executable, "-c", CODE]))
        for _ in range(options.runs + 1)
    ][1:]
    report = {
        "median_milliseconds": statistics.median(times),
        "worst_milliseconds": max(times),
    }
    print(json.dumps(report, indent=1))
    if options.out:
        options.out.write_text(json.dumps(report | {"runs": times}, indent=1) + "\n")


if __name__ == "__main__":
    main()
