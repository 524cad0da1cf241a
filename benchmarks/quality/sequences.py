"""ECG5000: trained on normal heartbeats, tested on all.

    SKAE_DATA=DIR python -m benchmarks.quality.sequences --out FILE

Beats are sequences of 140 values, standardised by one mean and one deviation of all.
Medians over seeds.
"""

import argparse
import json
import statistics
import warnings
from pathlib import Path

from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from skae import AutoencoderOutlierDetector
from skae.datasets import load_ecg5000

NETWORKS = {
    "dense": {},
    "conv": {"network": "conv", "hidden_layer_sizes": (16, 32), "latent_dim": 16},
    "recurrent": {
        "network": "recurrent",
        "hidden_layer_sizes": (32,),
        "latent_dim": 16,
    },
}


def load():
    """Return normal beats to train on, beats to test on, and which are outliers."""
    bunch = load_ecg5000()
    X_train = bunch.data[bunch.is_train & (bunch.target == 1)]
    mean, deviation = X_train.mean(), X_train.std()
    X_train, X_test = (
        (X - mean) / deviation for X in (X_train, bunch.data[~bunch.is_train])
    )
    return X_train, X_test, bunch.target[~bunch.is_train] == -1


def nearest_five(X_train, X_test):
    """Mean distance to the five nearest rows."""
    distances, _ = NearestNeighbors(n_neighbors=5).fit(X_train).kneighbors(X_test)
    return distances.mean(axis=1)


def evaluate(parameters, X_train, X_test, is_outlier, seed):
    """ROC AUC in points by the default score and by the reconstruction error."""
    detector = AutoencoderOutlierDetector(random_state=seed, **parameters).fit(X_train)
    scores = {
        "default": -detector.score_samples(X_test),
        "reconstruction": detector.feature_errors(X_test, normalize=False).mean(axis=1),
    }
    return {n: round(100 * roc_auc_score(is_outlier, s), 2) for n, s in scores.items()}


def main():
    """Run every network and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    X_train, X_test, is_outlier = load()
    nearest = roc_auc_score(is_outlier, nearest_five(X_train, X_test))
    report = {"5 nearest neighbours": {"default": round(100 * nearest, 2)}}
    for name, parameters in NETWORKS.items():
        runs = [
            evaluate(parameters, X_train, X_test, is_outlier, seed)
            for seed in options.seeds
        ]
        report[name] = {
            score: statistics.median(run[score] for run in runs) for score in runs[0]
        }
    for name, points in report.items():
        print(name, points)
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
