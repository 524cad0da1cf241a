"""Check the threshold of contamination="auto" on rows of known distributions.

    python -m benchmarks.quality.false_alarms --out benchmarks/results/false_alarms.json

For each number of rows, distribution and number of columns: the share of new normal
rows that is flagged (the promise is 5 %), and the share with a p-value of at most 0.01,
0.05 and 0.1 (the promise is at most that); means over seeds, each with a table, a
detector and 2,000 new rows of its own. Runs go to a file beside ``--out`` line by line,
and are not repeated; ``--part I N`` does every N-th seed only.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderOutlierDetector

N_ROWS = (50, 100, 200, 230, 300, 400, 1000)
N_COLUMNS = (2, 10, 50)
N_NEW = 2000
LEVELS = (0.01, 0.05, 0.1)


def gaussian(rng, n_rows, mixing):
    """Correlated Gaussian rows."""
    return rng.normal(size=(n_rows, len(mixing))) @ mixing


def t(rng, n_rows, mixing):
    """Rows of Student's t with 3 degrees of freedom in each direction."""
    return rng.standard_t(3, size=(n_rows, len(mixing))) @ mixing


def mixture(rng, n_rows, mixing):
    """Gaussian rows around three centres."""
    centres = 4 * np.random.default_rng(1).normal(size=(3, len(mixing)))
    return gaussian(rng, n_rows, mixing) + centres[rng.integers(3, size=n_rows)]


DISTRIBUTIONS = {make.__name__: make for make in (gaussian, t, mixture)}


def measure(distribution, n_rows, n_columns, seed):
    """Shares of new rows that are flagged, and that have p-values of some levels."""
    rng = np.random.default_rng([seed, n_rows, n_columns])
    mixing = rng.normal(size=(n_columns, n_columns)) / np.sqrt(n_columns)
    make = DISTRIBUTIONS[distribution]
    X, new = make(rng, n_rows, mixing), make(rng, N_NEW, mixing)
    scaler = StandardScaler().fit(X)
    detector = AutoencoderOutlierDetector(random_state=seed).fit(scaler.transform(X))
    p_values = detector.p_values(scaler.transform(new))
    flagged = detector.predict(scaler.transform(new)) == -1
    return [flagged.mean(), *((p_values <= level).mean() for level in LEVELS)]


def main():
    """Run what is missing, and print the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--rows", type=int, nargs="+", default=N_ROWS)
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("I", "N"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    path = options.out.with_suffix(".jsonl")
    lines = path.read_text().splitlines() if path.exists() else []
    found = {tuple(key): shares for key, shares in map(json.loads, lines)}
    part, n_parts = options.part
    seeds = range(part, options.seeds, n_parts)
    for key in product(seeds, DISTRIBUTIONS, options.rows, N_COLUMNS):
        if key not in found:
            seed, *table = key
            found[key] = measure(*table, seed)
            with path.open("a") as file:
                file.write(json.dumps([key, found[key]]) + "\n")
    means = {}
    for table in product(DISTRIBUTIONS, options.rows, N_COLUMNS):
        runs = [shares for (_, *other), shares in found.items() if other == list(table)]
        name = "{}, {} rows, {} columns".format(*table)
        means[name] = [len(runs), *np.mean(runs, axis=0).round(4).tolist()]
        print(name, means[name])
    names = ["runs", "flagged", *(f"p <= {level}" for level in LEVELS)]
    options.out.write_text(json.dumps({"columns": names, "means": means}, indent=1))


if __name__ == "__main__":
    main()
