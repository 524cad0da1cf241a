"""Detection quality on ADBench's classical sets, every detector at its defaults.

    python -m benchmarks.quality.adbench --setting S2 --seeds 0 1 2 --out FILE.json

Settings (rows above 50,000 are subsampled; StandardScaler fitted on training rows):

S1  sets under 1,000 rows are bootstrapped to 1,000 first; train on the first half of
    the normal rows in file order; test on the rest and all anomalies.
S2  train on a random half of the normal rows; test on the rest and all anomalies.
U   bootstrapped as in S1; train on a bootstrap copy of the whole set, test on the set.

The sets are read from the folder ``adbench`` in ``SKAE_DATA``. Labels serve the
measurement alone. ``--params JSON`` adds a variant of the detector.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderOutlierDetector

MAX_ROWS = 50_000
MIN_ROWS = 1_000


class KNeighborsDistance:
    """Distance to the k-th training row, negated."""

    def __init__(self, n_neighbors):
        self.n_neighbors = n_neighbors

    def fit(self, X):
        """Index the training rows."""
        self.index = NearestNeighbors(n_neighbors=self.n_neighbors, n_jobs=-1).fit(X)
        return self

    def score_samples(self, X):
        """Minus the distance to the k-th neighbour."""
        return -self.index.kneighbors(X)[0][:, -1]


DETECTORS = {
    "skae": lambda seed: AutoencoderOutlierDetector(random_state=seed),
    "IsolationForest": lambda seed: IsolationForest(random_state=seed),
    "LOF": lambda seed: LocalOutlierFactor(novelty=True),
    "1-NN": lambda seed: KNeighborsDistance(1),
    "5-NN": lambda seed: KNeighborsDistance(5),
}


def split(X, y, setting, seed):
    """Training rows, test rows and test labels of a setting."""
    rng = np.random.default_rng(seed)
    if setting in ("S1", "U") and len(X) < MIN_ROWS:
        rows = rng.choice(len(X), MIN_ROWS)
        X, y = X[rows], y[rows]
    if len(X) > MAX_ROWS:
        rows = np.sort(rng.choice(len(X), MAX_ROWS, replace=False))
        X, y = X[rows], y[rows]
    if setting == "U":
        return X[rng.choice(len(X), len(X))], X, y
    normal = np.flatnonzero(y == 0)
    if setting == "S2":
        normal = rng.permutation(normal)
    train = normal[: round(len(normal) / 2)]
    test = np.setdiff1d(np.arange(len(X)), train)
    return X[train], X[test], y[test]


def evaluate(make, X_train, X_test, y_test, seed):
    """ROC AUC and average precision in points, fit and score seconds."""
    scaler = StandardScaler().fit(X_train)
    X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    start = time.perf_counter()
    detector = make(seed).fit(X_train)
    fitted = time.perf_counter()
    scores = -detector.score_samples(X_test)
    return {
        "auroc": 100 * roc_auc_score(y_test, scores),
        "ap": 100 * average_precision_score(y_test, scores),
        "fit_seconds": fitted - start,
        "score_seconds": time.perf_counter() - fitted,
    }


def summarise(results):
    """Means over sets, mean ranks and wins of each detector."""
    table = {}
    names = list(next(iter(results.values())))
    for measure in ("auroc", "ap"):
        values = np.array(
            [
                [np.mean([run[measure] for run in runs[name]]) for name in names]
                for runs in results.values()
            ]
        )
        ranks = np.array([rankdata(-row) for row in values])
        for j, name in enumerate(names):
            entry = table.setdefault(name, {})
            entry[measure] = round(float(values[:, j].mean()), 2)
            entry[f"rank_{measure}"] = round(float(ranks[:, j].mean()), 2)
            entry[f"wins_{measure}"] = int((ranks[:, j] == 1).sum())
    for name in names:
        for part in ("fit_seconds", "score_seconds"):
            medians = [
                np.median([run[part] for run in runs[name]])
                for runs in results.values()
            ]
            table[name][f"median_{part}"] = round(float(np.median(medians)), 3)
    return table


def main():
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", choices=["S1", "S2", "U"], default="S2")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", help="parts of file names")
    parser.add_argument("--detectors", nargs="+", default=list(DETECTORS))
    parser.add_argument("--params", action="append", default=[], metavar="JSON")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    makers = {name: DETECTORS[name] for name in options.detectors}
    for text in options.params:
        makers[f"skae {text}"] = lambda seed, text=text: AutoencoderOutlierDetector(
            random_state=seed, **json.loads(text)
        )
    folder = Path(os.environ["SKAE_DATA"]) / "adbench"
    paths = [
        path
        for path in sorted(folder.glob("*.npz"))
        if not options.sets or any(part in path.stem for part in options.sets)
    ]
    results = {}
    for path in paths:
        data = np.load(path)
        runs = results.setdefault(path.stem, {name: [] for name in makers})
        for seed in options.seeds:
            parts = split(data["X"], data["y"], options.setting, seed)
            for name, make in makers.items():
                runs[name].append(evaluate(make, *parts, seed))
        print(
            f"{path.stem:20}",
            *(
                f"{np.mean([r['auroc'] for r in run]):5.1f}/"
                f"{np.mean([r['ap'] for r in run]):4.1f}"
                for run in runs.values()
            ),
            flush=True,
        )
    table = summarise(results)
    for name, entry in table.items():
        print(f"{name}: {entry}")
    if options.out:
        report = {
            "setting": options.setting,
            "seeds": options.seeds,
            "summary": table,
            "runs": results,
        }
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
