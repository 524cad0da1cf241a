"""Compare how ``score`` and ROC AUC rank configurations.

    python -m benchmarks.quality.label_free_score --out FILE.json

For each development set (setting S2, at most 4,000 training rows) eleven
configurations are trained on four fifths of the training rows. The label-free figure
is taken on the last fifth, the ROC AUC on the test rows. Printed: Spearman's
correlation of the two over configurations, mean and share of positive ones over sets,
for several noise levels and for mean and median over rows; and the mean ROC AUC of the
configuration that each figure picks, beside the average and the best configuration.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks.quality.adbench import split
from skae import AutoencoderOutlierDetector

MAX_TRAIN, MAX_TEST = 4_000, 8_000

CONFIGURATIONS = {
    "default": {},
    "code 2": {"latent_dim": 2},
    "code 8": {"latent_dim": 8},
    "code 32": {"latent_dim": 32},
    "narrow": {"hidden_layer_sizes": (16,), "latent_dim": 8},
    "linear, code 4": {
        "hidden_layer_sizes": (),
        "latent_dim": 4,
        "activation": "identity",
    },
    "no noise": {"corruption": None},
    "no noise, code 4": {"corruption": None, "latent_dim": 4},
    "slow": {"learning_rate": 1e-4},
    "absolute error": {"loss": "absolute_error"},
    "ten epochs": {"max_iter": 10},
}
NOISES = (0.0, 0.25, 0.5, 1.0)
AVERAGES = {"median": np.median, "mean": np.mean}


def denoising_errors(detector, X, noise):
    """Mean squared error of each row restored from noise."""
    rng = np.random.default_rng(0)
    noisy = X + noise * rng.standard_normal(X.shape)
    return np.mean((X - detector.reconstruct(noisy)) ** 2, axis=1)


def evaluate(X_train, X_test, y_test, seed):
    """ROC AUC and all label-free figures of each configuration."""
    rng = np.random.default_rng(seed)
    X_train = X_train[rng.permutation(len(X_train))[:MAX_TRAIN]]
    keep = rng.permutation(len(X_test))[:MAX_TEST]
    X_test, y_test = X_test[keep], y_test[keep]
    scaler = StandardScaler().fit(X_train)
    X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    cut = len(X_train) // 5
    rows = {}
    for name, parameters in CONFIGURATIONS.items():
        detector = AutoencoderOutlierDetector(random_state=seed, **parameters)
        detector.fit(X_train[cut:])
        row = {"auroc": 100 * roc_auc_score(y_test, -detector.score_samples(X_test))}
        for noise in NOISES:
            errors = denoising_errors(detector, X_train[:cut], noise)
            for average, function in AVERAGES.items():
                row[f"{average}, noise {noise}"] = -float(function(errors))
        rows[name] = row
    return rows


def main():
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results = {}
    for path in sorted((Path(os.environ["SKAE_DATA"]) / "adbench").glob("*.npz")):
        data = np.load(path)
        parts = split(data["X"], data["y"], "S2", options.seed)
        results[path.stem] = evaluate(*parts, options.seed)
        print(path.stem, flush=True)
    table = {}
    aurocs = np.array(
        [[r["auroc"] for r in rows.values()] for rows in results.values()]
    )
    for figure in list(next(iter(results.values()))["default"])[1:]:
        values = np.array(
            [[r[figure] for r in rows.values()] for rows in results.values()]
        )
        correlations = [
            spearmanr(a, b).statistic for a, b in zip(values, aurocs, strict=True)
        ]
        picked = aurocs[np.arange(len(values)), values.argmax(axis=1)]
        table[figure] = {
            "mean_spearman": round(float(np.nanmean(correlations)), 3),
            "share_positive": round(float(np.mean(np.array(correlations) > 0)), 3),
            "auroc_of_pick": round(float(picked.mean()), 2),
        }
        print(figure, table[figure])
    table["auroc"] = {
        "average_configuration": round(float(aurocs.mean()), 2),
        "default": round(float(aurocs[:, 0].mean()), 2),
        "best_configuration": round(float(aurocs.max(axis=1).mean()), 2),
    }
    print(table["auroc"])
    if options.out:
        report = {"seed": options.seed, "summary": table, "sets": results}
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
