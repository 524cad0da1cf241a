"""Cost of alarms in supercomputer monitoring, for detectors with tuned thresholds.

    python -m benchmarks.quality.hpc --out FILE.json

Protocol of M. Lombardi's lecture: columns standardised by rows 0 to 2,999, which also
train; the threshold is tuned on rows 3,000 to 4,499; the rest is the test. A false
alarm costs 1, a missed anomalous row 5, with a tolerance of 12 rows. The lecture
reports (validation, test) 266, 265 for a kernel density and 264, 265 for a network of
159-64-159. The oracle is the best threshold for the test rows.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderOutlierDetector
from skae.datasets import load_hpc
from skae.metrics import AlarmCost
from skae.model_selection import TunedThresholdDetector

TRAIN, TUNE = slice(0, 3000), slice(3000, 4500)
TEST = slice(4500, None)
COST = AlarmCost(false_alarm=1, missed=5, tolerance=12)
LECTURE = {
    "hidden_layer_sizes": (),
    "latent_dim": 64,
    "activation": "relu",
    "corruption": None,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "learning_rate_schedule": "constant",
    "batch_size": 32,
    "max_iter": 20,
    "early_stopping": True,
    "n_iter_no_change": 3,
    "anomaly_score": "reconstruction",
}


def load():
    """Standardised rows and labels, in the order of time."""
    bunch = load_hpc()
    # As one block in C order, the sums of the scaler have the bits that they had.
    X = np.ascontiguousarray(bunch.data.to_numpy())
    return StandardScaler().fit(X[TRAIN]).transform(X), bunch.target


def density(X, bandwidths):
    """Kernel density of the bandwidth that is likeliest on rows left out."""
    search = GridSearchCV(KernelDensity(), {"bandwidth": bandwidths})
    return search.fit(X[TRAIN]).best_estimator_


def networks(X):
    """Make the networks, from a seed, and what their fit gets."""
    return {
        "skae": (lambda seed: AutoencoderOutlierDetector(random_state=seed), {}),
        "159-64-159 of the lecture": (
            lambda seed: AutoencoderOutlierDetector(random_state=seed, **LECTURE),
            {"X_val": X[TUNE]},
        ),
    }


def peers(X):
    """Make scikit-learn's detectors, from a seed, and what their fit gets."""
    return {
        "LocalOutlierFactor": (lambda seed: LocalOutlierFactor(novelty=True), {}),
        "IsolationForest": (lambda seed: IsolationForest(random_state=seed), {}),
    }


def costs(X, y, detector, fit_params):
    """Costs on the rows tuned on and on the test, and the oracle's on the test."""
    rows = np.arange(len(y))
    tuned = TunedThresholdDetector(
        detector, objective=COST, cv=[(rows[TRAIN], rows[TUNE])], refit=False
    ).fit(X, y, **fit_params)
    _, oracle = COST.curve(y[TEST], tuned.score_samples(X[TEST]))
    return {
        "train": COST.cost(y[TRAIN], tuned.predict(X[TRAIN])),
        "validation": -tuned.best_score_,
        "test": COST.cost(y[TEST], tuned.predict(X[TEST])),
        "oracle_test": float(oracle.min()),
    }


def main():
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    X, y = load()
    summary, all_runs = {}, {}
    kernel = density(X, np.geomspace(0.3, 30, 15))
    detectors = networks(X) | {"KernelDensity": (lambda seed: kernel, {})} | peers(X)
    for name, (make, fit_params) in detectors.items():
        runs = [costs(X, y, make(seed), fit_params) for seed in options.seeds]
        for run in runs:
            run["sum"] = run["validation"] + run["test"]
        all_runs[name] = runs
        summary[name] = {k: float(np.median([r[k] for r in runs])) for k in runs[0]}
        print(f"{name:28}", summary[name], flush=True)
    if options.out:
        report = {"seeds": options.seeds, "median": summary, "runs": all_runs}
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
