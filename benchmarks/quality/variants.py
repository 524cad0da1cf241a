"""Every kind of autoencoder on the development sets, at the same size and budget.

    SKAE_DATA=DIR python -m benchmarks.quality.variants

Setting S2 of ``benchmarks.quality.adbench`` with at most 4,000 rows to train on and
8,000 to test. One fit gives two scores: the reconstruction error, which shows what the
network has learnt, and the default score. Strengths are round numbers, the same for all
sets. Writes every run, the means over sets and seeds, and a table for the docs.
"""

import argparse
import json
import os
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from benchmarks.quality.adbench import split
from benchmarks.quality.runs import read
from skae import AutoencoderOutlierDetector

MAX_TRAIN, MAX_TEST = 4_000, 8_000
RESULTS = Path(__file__).parents[1] / "results" / "variants.jsonl"
CROSS_ENTROPY = {"loss": "binary_cross_entropy", "output_activation": "sigmoid"}

VARIANTS = {
    "denoising, gaussian (default)": {},
    "plain": {"corruption": None},
    "plain, code 8": {"corruption": None, "latent_dim": 8},
    "linear, code 8": {
        "corruption": None,
        "hidden_layer_sizes": (),
        "latent_dim": 8,
        "activation": "identity",
    },
    "denoising, masking": {"corruption": "masking"},
    "denoising, swap": {"corruption": "swap"},
    "denoising, salt and pepper": {"corruption": "salt_and_pepper"},
    "sparse, L1 1e-3": {"corruption": None, "l1_activity": 1e-3},
    "sparse, KL 1e-2": {"corruption": None, "sparsity": 1e-2, "activation": "sigmoid"},
    "sigmoid": {"corruption": None, "activation": "sigmoid"},
    "contractive, 1e-2": {"corruption": None, "contraction": 1e-2},
    "weights, L2 1e-4": {"corruption": None, "alpha": 1e-4},
    "weights, L1 1e-4": {"corruption": None, "l1_weights": 1e-4},
    "code, L2 1e-2": {"corruption": None, "l2_activity": 1e-2},
    "dropout 0.2": {"corruption": None, "dropout": 0.2},
    "absolute error": {"loss": "absolute_error"},
    "huber": {"loss": "huber"},
    "correntropy": {"loss": "correntropy"},
    "cross-entropy, [0, 1]": CROSS_ENTROPY,
    "trim 0.1": {"trim": 0.1},
    "variational": {"bottleneck": "variational"},
    "variational, ELBO": {"bottleneck": "variational", "anomaly_score": "elbo"},
    "variational, ELBO, code 8": {
        "bottleneck": "variational",
        "anomaly_score": "elbo",
        "latent_dim": 8,
        "corruption": None,
    },
    "adversarial": {"bottleneck": "adversarial"},
    "adversarial, code 8": {
        "bottleneck": "adversarial",
        "latent_dim": 8,
        "corruption": None,
    },
}


def evaluate(parameters, X_train, X_test, y_test, seed):
    """ROC AUC and average precision in points by both scores, and seconds."""
    rng = np.random.default_rng(seed)
    X_train = X_train[rng.permutation(len(X_train))[:MAX_TRAIN]]
    keep = rng.permutation(len(X_test))[:MAX_TEST]
    is_unit = parameters.get("loss") == "binary_cross_entropy"
    scaler = (MinMaxScaler() if is_unit else StandardScaler()).fit(X_train)
    # The bounds of float64 are not met to the last bit.
    X_train = scaler.transform(X_train)
    X_train = X_train.clip(0, 1) if is_unit else X_train
    X_test, y_test = scaler.transform(X_test[keep]), y_test[keep]
    detector = AutoencoderOutlierDetector(random_state=seed, **parameters).fit(X_train)
    scores = {
        "reconstruction": detector.feature_errors(X_test, normalize=False).mean(axis=1),
        "default": -detector.score_samples(X_test),
    }
    return {"seconds": round(sum(detector.history_["epoch_seconds"]), 3)} | {
        f"{name} {figure}": round(100 * function(y_test, score), 3)
        for name, score in scores.items()
        for figure, function in (
            ("auroc", roc_auc_score),
            ("ap", average_precision_score),
        )
    }


def run(paths, variants, seeds, out):
    """Run what is missing, a line of JSON for each run."""
    done = {(row["set"], row["variant"], row["seed"]) for row in read(out)}
    for seed in seeds:
        for path in paths:
            data = np.load(path)
            parts = split(data["X"], data["y"], "S2", seed)
            for name in variants:
                if (path.stem, name, seed) in done:
                    continue
                row = {"set": path.stem, "variant": name, "seed": seed}
                row |= evaluate(VARIANTS[name], *parts, seed)
                with out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            print(seed, path.stem, flush=True)


def table(rows):
    """Means over sets and seeds as Markdown, in the order of VARIANTS."""
    lines = [
        "| autoencoder | reconstruction error: ROC AUC / AP | default score | "
        "seconds of training |",
        "|---|---|---|---|",
    ]
    for name in VARIANTS:
        mine = [row for row in rows if row["variant"] == name]
        if not mine:
            continue
        mean = {
            key: np.mean([row[key] for row in mine])
            for key in mine[0]
            if key not in ("set", "variant", "seed")
        }
        lines.append(
            f"| {name} | {mean['reconstruction auroc']:.1f} / "
            f"{mean['reconstruction ap']:.1f} | {mean['default auroc']:.1f} / "
            f"{mean['default ap']:.1f} | {mean['seconds']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main():
    """Run the benchmark and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    paths = sorted((Path(os.environ["SKAE_DATA"]) / "adbench").glob("*.npz"))
    warnings.simplefilter("ignore")
    run(paths, VARIANTS, options.seeds, options.out)
    text = table(read(options.out))
    options.out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
