"""Detection quality on ADBench's classical sets, every detector at its defaults.

    python -m benchmarks.quality.adbench --data DIR
    python -m benchmarks.quality.summary

Settings (rows above 50,000 are subsampled; StandardScaler fitted on training rows):

S1  sets under 1,000 rows are bootstrapped to 1,000 first; train on the first half of
    the normal rows in file order; test on the rest and all anomalies.
S2  train on a random half of the normal rows; test on the rest and all anomalies.
U   bootstrapped as in S1; train on a bootstrap copy of the whole set, test on the set.

``--data`` is a folder of npz files with ``X`` and ``y`` (1 = anomaly), by default the
folder ``adbench`` in ``SKAE_DATA``. Labels serve the measurement alone. Every run is a
line of JSON in ``--out``; what is there already is not run again, so a benchmark that
was stopped goes on where it was. ``--params JSON`` adds a variant of the detector.

EllipticEnvelope is not run on more than 1,000 columns; it and OneClassSVM train on at
most 10,000 rows. PyOD's detectors need ``pip install --group benchmarks``.
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks.quality.peers import DETECTORS, MAX_FEATURES
from skae import AutoencoderOutlierDetector

MAX_ROWS = 50_000
MIN_ROWS = 1_000
RESULTS = Path(__file__).parents[1] / "results" / "adbench.jsonl"
KEY = ("set", "detector", "setting", "seed")


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
        "n_train": len(X_train),
        "auroc": round(100 * roc_auc_score(y_test, scores), 3),
        "ap": round(100 * average_precision_score(y_test, scores), 3),
        "fit_seconds": round(fitted - start, 4),
        "score_seconds": round(time.perf_counter() - fitted, 4),
    }


def read(path):
    """Rows of a result file, a dict each; none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(paths, makers, settings, seeds, out):
    """Run what is missing, a line of JSON for each run."""
    done = {tuple(row[name] for name in KEY) for row in read(out)}
    for seed in seeds:
        for setting in settings:
            for path in paths:
                missing = [
                    name
                    for name in makers
                    if (path.stem, name, setting, seed) not in done
                ]
                if not missing:
                    continue
                data = np.load(path)
                parts = split(data["X"], data["y"], setting, seed)
                for name in missing:
                    if data["X"].shape[1] > MAX_FEATURES.get(name, np.inf):
                        continue
                    key = (path.stem, name, setting, seed)
                    result = evaluate(makers[name], *parts, seed)
                    row = dict(zip(KEY, key, strict=True)) | result
                    with out.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                    print(*key, result["auroc"], result["ap"], flush=True)


def main():
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--settings", nargs="+", default=["S1", "S2", "U"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", help="parts of file names")
    parser.add_argument("--detectors", nargs="*", default=list(DETECTORS))
    parser.add_argument("--params", action="append", default=[], metavar="JSON")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    makers = {name: DETECTORS[name] for name in options.detectors}
    for text in options.params:
        makers[f"skae {text}"] = lambda seed, text=text: AutoencoderOutlierDetector(
            random_state=seed, **json.loads(text)
        )
    folder = options.data or Path(os.environ["SKAE_DATA"]) / "adbench"
    paths = [
        path
        for path in sorted(folder.glob("*.npz"))
        if not options.sets or any(part in path.stem for part in options.sets)
    ]
    # Singular covariances and the like are the detectors' own affair.
    warnings.simplefilter("ignore")
    run(paths, makers, options.settings, options.seeds, options.out)


if __name__ == "__main__":
    main()
