"""Whether explanations name the features that were tampered with.

    SKAE_DATA=DIR python -m benchmarks.quality.tampering --out FILE.json

Setting S2 of ``benchmarks.quality.adbench``, on the development sets of 30 to 70
columns that are not constant. In each of at most 1,000 normal test rows three features,
chosen at random, are shifted up or down: by 5 standard deviations of their residuals on
the training rows, or by 2 standard deviations of their columns. The figure is how many
of the three are among the first three that ``explain`` names; by chance 0.15 to 0.3.

A shift in units of the residual is smaller the better a network restores its training
rows, so those figures do not compare networks; those in units of the column do.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from sklearn.preprocessing import StandardScaler

from benchmarks.quality.adbench import split
from benchmarks.quality.variants import MAX_TRAIN
from skae import AutoencoderOutlierDetector

MAX_ROWS, N_SHIFTED = 1000, 3
MIN_FEATURES, MAX_FEATURES = 30, 70
DETECTORS = {
    "default": {},
    "reconstruction": {"anomaly_score": "reconstruction"},
    "latent_dim=8, reconstruction": {
        "latent_dim": 8,
        "anomaly_score": "reconstruction",
    },
}


def tamper(X, shift, rng):
    """Shift three random features of each row; return the rows and the features."""
    features = np.array([rng.permutation(X.shape[1])[:N_SHIFTED] for _ in X])
    tampered, rows = X.copy(), np.arange(len(X))[:, None]
    tampered[rows, features] += rng.choice([-1, 1], features.shape) * shift[features]
    return tampered, features


def precision(detector, X, features):
    """How many of the tampered features are named first, on average."""
    found = [
        len({name for name, _ in named} & {f"x{j}" for j in truth})
        for named, truth in zip(detector.explain(X, N_SHIFTED), features, strict=True)
    ]
    return float(np.mean(found))


def evaluate(X, y, parameters, seed):
    """Features found for each kind of shift."""
    X_train, X_test, y_test = split(X, y, "S2", seed)
    scaler = StandardScaler().fit(X_train[:MAX_TRAIN])
    train = scaler.transform(X_train[:MAX_TRAIN])
    normal = scaler.transform(X_test[y_test == 0][:MAX_ROWS])
    varies = train.std(axis=0) > 0
    train, normal = train[:, varies], normal[:, varies]
    detector = AutoencoderOutlierDetector(random_state=seed, **parameters).fit(train)
    residual = (train - detector.reconstruct(train)).std(axis=0)
    return {
        name: precision(detector, *tamper(normal, shift, np.random.default_rng(seed)))
        for name, shift in {
            "5 residual deviations": 5 * residual,
            "2 column deviations": np.full(train.shape[1], 2.0),
        }.items()
    }


def data_sets(folder):
    """Names and tables of the sets that have few enough columns and enough."""
    for path in sorted(folder.glob("*.npz")):
        data = np.load(path)
        n_features = np.count_nonzero(data["X"].std(axis=0))
        if MIN_FEATURES <= n_features <= MAX_FEATURES:
            yield path.stem, data["X"], data["y"]


def main():
    """Run the benchmark and print the medians over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    medians, runs = {}, []
    for name, X, y in data_sets(Path(os.environ["SKAE_DATA"]) / "adbench"):
        for label, parameters in DETECTORS.items():
            found = [evaluate(X, y, parameters, seed) for seed in options.seeds]
            runs += [{"set": name, "detector": label, **row} for row in found]
            median = {k: float(np.median([row[k] for row in found])) for k in found[0]}
            medians.setdefault(label, {})[name] = median
            print(f"{name:16} {label:30}", median, flush=True)
    if options.out:
        report = {"seeds": options.seeds, "median": medians, "runs": runs}
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
