"""Peak memory of the default detector by rows, columns and width of the network.

    python -m benchmarks.speed.memory --out benchmarks/results/memory.json

Each table is fitted and scored in a process of its own, whose anonymous memory
(RssAnon) is sampled all the while. "before" is what the process holds with the table
made and all packages imported; the table itself takes 8 bytes a number of that.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.speed.growth import anonymous_megabytes, watched
from skae import AutoencoderOutlierDetector

# Rows, columns, width of the hidden layer.
CASES = (
    (1_000, 30, 256),
    (100_000, 30, 256),
    (1_000_000, 30, 256),
    (1_000, 300, 256),
    (1_000, 3_000, 256),
    (10_000, 3_000, 256),
    (1_000, 30, 2_048),
    (1_000, 3_000, 2_048),
)


def measure(n_rows, n_columns, width):
    """Print the megabytes of one case as JSON."""
    import skae.core.fitting  # noqa: F401

    X = np.random.default_rng(0).standard_normal((n_rows, n_columns))
    before = round(anonymous_megabytes())
    detector = AutoencoderOutlierDetector(
        hidden_layer_sizes=(width,), max_iter=1, random_state=0
    )
    _, fit = watched(lambda: detector.fit(X))
    _, score = watched(lambda: detector.score_samples(X))
    print(json.dumps({"before": before, "fit": fit, "score": score}))


def main():
    """Run each case in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", type=int, nargs=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.case:
        measure(*options.case)
        return
    runs = []
    for case in CASES:
        command = [sys.executable, "-m", "benchmarks.speed.memory", "--case"]
        result = subprocess.run(
            [*command, *map(str, case)], check=True, capture_output=True, text=True
        )
        row = dict(zip(("rows", "columns", "width"), case, strict=True))
        row |= json.loads(result.stdout.splitlines()[-1])
        print(row, flush=True)
        runs.append(row)
    if options.out:
        options.out.write_text(json.dumps({"megabytes": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
