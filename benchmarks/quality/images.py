"""One digit of MNIST is normal, the others are outliers: ten tasks.

    SKAE_DATA=DIR python -m benchmarks.quality.images --out FILE

The 10,000 test images, pixels in [0, 1]; 70 % of a digit's images to train on, the rest
and all other digits to test. Columns are not standardised: pixels share a unit. The
sizes and the score of the convolutional network were chosen on the digits 2, 4 and 8.
What each reconstruction restores of the variance around the mean training image is
there too, and how well its error tells ones, which have the least ink, and others.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.svm import OneClassSVM

from skae import AutoencoderOutlierDetector
from skae.datasets import load_mnist

CHOSEN_ON = (2, 4, 8)
DENSE = {}
CONV = {
    "network": "conv",
    "input_shape": (28, 28, 1),
    "hidden_layer_sizes": (16, 32),
    "latent_dim": 64,
    "max_iter": 150,
}


def ours(parameters, X_train, X_test):
    """Anomaly of the test rows by three scores of one network, and one by default."""
    latent = AutoencoderOutlierDetector(
        anomaly_score="latent", random_state=0, **parameters
    ).fit(X_train)
    found = {
        "latent": -latent.score_samples(X_test),
        "reconstruction": latent.feature_errors(X_test, normalize=False).mean(axis=1),
    }
    if not parameters:
        default = AutoencoderOutlierDetector(random_state=0).fit(X_train)
        found["default"] = -default.score_samples(X_test)
    return found


def peers(X_train, X_test):
    """Anomaly of the test rows by scikit-learn's detectors."""
    pca = PCA(0.9, random_state=0).fit(X_train)
    pca_wide = PCA(30, random_state=0).fit(X_train)
    found = {
        name: np.square(X_test - p.inverse_transform(p.transform(X_test))).sum(axis=1)
        for name, p in (("PCA, 90 %", pca), ("PCA, 30", pca_wide))
    }
    for name, detector in (
        ("IsolationForest", IsolationForest(random_state=0)),
        ("OneClassSVM", OneClassSVM(nu=0.1)),
    ):
        found[name] = -detector.fit(X_train).score_samples(X_test)
    return found


def points(is_outlier, scores):
    """ROC AUC in points."""
    return round(100 * roc_auc_score(is_outlier, scores), 2)


def restored(error, X_test, y, digit, center):
    """Tell what a reconstruction restores, and by which outliers its error goes."""
    is_outlier, is_one = y != digit, y == 1
    around = np.square(X_test - center).sum(axis=1)
    of_others = ~is_one | ~is_outlier
    found = {
        "% of normal": 100 * (1 - error[~is_outlier].sum() / around[~is_outlier].sum()),
        "% of others": 100 * (1 - error[is_outlier].sum() / around[is_outlier].sum()),
        "AUROC without ones": points(is_outlier[of_others], error[of_others]),
        "rank correlation of error and ink, others": 100
        * spearmanr(error[is_outlier], X_test[is_outlier].sum(axis=1)).statistic,
    }
    if digit != 1:
        ones = is_one | ~is_outlier
        found["AUROC of ones"] = points(is_outlier[ones], error[ones])
    return {name: round(float(value), 2) for name, value in found.items()}


def evaluate(X, y, digit, seed=0):
    """ROC AUC in points of every detector where one digit is normal."""
    order = np.random.default_rng(seed).permutation(len(X))
    X, y = X[order], y[order]
    normal = np.flatnonzero(y == digit)
    train = normal[: int(0.7 * len(normal))]
    X_train = X[train]
    X_test, y_test = np.delete(X, train, axis=0), np.delete(y, train)
    scores = peers(X_train, X_test)
    seconds = {}
    for name, parameters in (("dense", DENSE), ("conv", CONV)):
        start = time.perf_counter()
        found = ours(parameters, X_train, X_test)
        seconds[name] = round(time.perf_counter() - start, 1)
        scores |= {f"{name}, {score}": s for score, s in found.items()}
    errors = {
        "dense": scores["dense, reconstruction"] * X.shape[1],
        "conv": scores["conv, reconstruction"] * X.shape[1],
        "PCA, 30": scores["PCA, 30"],
    }
    center = X_train.mean(axis=0)
    return {
        "auroc": {name: points(y_test != digit, s) for name, s in scores.items()},
        "restored": {
            name: restored(error, X_test, y_test, digit, center)
            for name, error in errors.items()
        },
        "seconds": seconds,
    }


def main():
    """Run the ten tasks and print the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    bunch = load_mnist()
    X, y = bunch.data / 255, bunch.target
    tasks = {}
    for digit in range(10):
        tasks[digit] = evaluate(X, y, digit)
        print(digit, tasks[digit], flush=True)

    def mean(digits):
        return {
            name: round(np.mean([tasks[d]["auroc"][name] for d in digits]), 2)
            for name in tasks[0]["auroc"]
        }

    others = [digit for digit in tasks if digit not in CHOSEN_ON]
    report = {"tasks": tasks, "mean": mean(tasks), "mean of the others": mean(others)}
    report["restored, mean of the others but 1"] = {
        name: {
            figure: round(
                np.mean([tasks[d]["restored"][name][figure] for d in others if d != 1]),
                2,
            )
            for figure in of
        }
        for name, of in tasks[0]["restored"].items()
    }
    for name in ("mean", "mean of the others", "restored, mean of the others but 1"):
        print(name, report[name])
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
