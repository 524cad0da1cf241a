"""A classifier of digits from 100 labels: fine-tuned, from scratch, and an SVM.

    SKAE_DATA=DIR python -m benchmarks.quality.few_labels --out FILE

The 10,000 test images of MNIST: 7,000 to train on, of which 100 have labels, and 3,000
to judge. What is done with the network, which is convolutional, is in
``docs/examples/fine_tuning.py``. The SVM has the better of two C, chosen on the images
that judge.
"""

import argparse
import json
import runpy
import warnings
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from sklearn.svm import SVC

from skae import AutoencoderOutlierDetector
from skae.datasets import load_mnist

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "fine_tuning.py"
N_LABELS = 100
NETWORK = {
    "network": "conv",
    "input_shape": (28, 28, 1),
    "hidden_layer_sizes": (16, 32),
    "latent_dim": 64,
    "corruption": "masking",
    "corruption_scale": 0.3,
    "max_iter": 12,
}


def evaluate(X, y, seed):
    """Share of new digits that each classifier has right, in per cent."""
    example = runpy.run_path(str(EXAMPLE))
    fine_tune, untrained = example["fine_tune"], example["untrained"]
    order = np.random.default_rng(seed).permutation(len(X))
    train, test = order[: int(0.7 * len(X))], order[int(0.7 * len(X)) :]
    labelled = train[:N_LABELS]
    detector = AutoencoderOutlierDetector(
        anomaly_score="reconstruction", random_state=seed, **NETWORK
    ).fit(X[train])

    def accuracy(network, weight):
        model = fine_tune(
            network, X[labelled], y[labelled], X[train], weight=weight, seed=seed
        )
        parts = np.array_split(X[test].astype(np.float32), 6)
        found = np.concatenate([model(jnp.asarray(part)).argmax(1) for part in parts])
        return np.mean(found == y[test])

    found = {
        "fine-tuned": accuracy(detector.to_module(), 0.0),
        "fine-tuned, with the autoencoder's loss": accuracy(detector.to_module(), 1.0),
        "from scratch": accuracy(untrained(detector.to_module(), seed), 0.0),
        "SVM on pixels": max(
            SVC(C=C).fit(X[labelled], y[labelled]).score(X[test], y[test])
            for C in (1, 10)
        ),
    }
    return {name: round(100 * float(share), 2) for name, share in found.items()}


def main():
    """Run the seeds and print the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12, 13, 14])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    bunch = load_mnist()
    X, y = bunch.data / 255, bunch.target
    runs = {}
    for seed in options.seeds:
        runs[seed] = evaluate(X, y, seed)
        print(seed, runs[seed], flush=True)
    names = runs[options.seeds[0]]
    report = {
        name: {
            "mean": round(np.mean([run[name] for run in runs.values()]), 2),
            "deviation": round(np.std([run[name] for run in runs.values()]), 2),
            "runs": [run[name] for run in runs.values()],
        }
        for name in names
    }
    for name, row in report.items():
        print(f"{name:45}{row['mean']:7.2f} +- {row['deviation']:.2f}")
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
