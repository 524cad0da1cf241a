"""Hold two versions of the package against each other, bit for bit.

    python -m benchmarks.bits dump before.npz     # in a checkout of the old version
    python -m benchmarks.bits dump after.npz      # in one of the new version
    python -m benchmarks.bits compare before.npz after.npz

``dump`` fits detectors for a few epochs, each score with each bottleneck and a value
of most other axes, and keeps what they say of rows: scores, reconstructions, codes,
feature errors, calibration scores and the offset.
``compare`` exits with 1 where an array is not equal to the last bit. A change of layout
must pass it on one machine and set of versions; a change of method cannot.
"""

import argparse
import itertools
import sys
import warnings

import numpy as np

from skae import AutoencoderOutlierDetector

SCORES = (
    "combined",
    "joint",
    "latent",
    "mahalanobis",
    "nearest",
    "reconstruction",
    "columns",
    "subsets",
    "learned",
    "cells",
    "elbo",
)
BOTTLENECKS = ("plain", "variational", "adversarial")
# The last width has a covariance of low rank.
WIDTHS = (1, 6, 1030)

# Beside every score and bottleneck at every width: one value of each further axis.
OTHERS = {
    "few rows": {"n_rows": 80},
    "few rows, trimmed": {"n_rows": 80, "trim": 0.2, "contamination": 0.1},
    "trimmed": {"trim": 0.25, "contamination": 0.05},
    "early stopping": {"early_stopping": True, "max_iter": 20, "n_iter_no_change": 2},
    "conv": {"network": "conv", "input_shape": (3, 2)},
    "recurrent": {"network": "recurrent", "bottleneck": "variational"},
    "masking": {"corruption": "masking", "corruption_scale": 0.2},
    "swap": {"corruption": "swap", "corruption_scale": (0.1, 0.3)},
    "salt": {"corruption": "salt_and_pepper", "corruption_scale": 0.2},
    "clean": {"corruption": None},
    "sparse": {"sparsity": 0.01, "activation": "sigmoid", "l1_activity": 1e-3},
    "contraction": {"contraction": 0.01, "alpha": 1e-4, "l1_weights": 1e-4},
    "wide contraction": {"contraction": 0.01, "latent_dim": 9, "n_features": 10},
    "dropout": {"dropout": 0.2, "l2_activity": 1e-3},
    "huber": {"loss": "huber", "optimizer": "sgd", "learning_rate": 1e-2},
    "entropy": {"loss": "binary_cross_entropy", "output_activation": "sigmoid"},
    "correntropy": {"loss": "correntropy", "optimizer": "adam"},
    "constant rate": {"learning_rate_schedule": "constant"},
    "default": {"hidden_layer_sizes": (256,), "latent_dim": 128, "n_rows": 700},
    "large": {"hidden_layer_sizes": (200,), "latent_dim": 100, "n_features": 40},
}


def table(n_rows, n_features, *, masked, seed=0):
    """Rows in [0, 1] of two groups; some cells of some rows are missing if asked."""
    rng = np.random.default_rng(seed)
    rows = 0.2 * rng.random((n_rows, n_features)) + 0.8 * rng.integers(
        0, 2, size=(n_rows, 1)
    )
    if masked and n_features > 1:
        missing = rng.random(rows.shape) < 0.1
        missing[:, 0] = False
        rows[missing] = np.nan
    return rows


def says(detector, n_features, *, masked):
    """Return what a fitted detector says of rows near and far."""
    near = table(70, n_features, masked=masked, seed=1)
    far = table(5, n_features, masked=masked, seed=2) * 100
    rows = np.vstack([near, far, table(9, n_features, masked=False, seed=3)])
    return {
        "scores": detector.score_samples(rows),
        "reconstructions": detector.reconstruct(rows),
        "codes": detector.transform(rows),
        "errors": detector.feature_errors(rows),
        "calibration": detector.calibration_scores_,
        "offset": np.array(detector.offset_),
        "score": np.array(detector.score(rows)),
        "loss": np.array(detector.history_["loss"]),
    }


def cases():
    """Names and parameters of detectors, with rows and columns to train on."""
    for score, bottleneck, masked, width in itertools.product(
        SCORES, BOTTLENECKS, (False, True), WIDTHS
    ):
        if score != "elbo" or bottleneck == "variational":
            yield (
                f"{score}, {bottleneck}, {'masked' if masked else 'complete'}, {width}",
                {
                    "anomaly_score": score,
                    "bottleneck": bottleneck,
                    "missing": "mask" if masked else "error",
                    "n_features": width,
                },
            )
    yield from OTHERS.items()
    for score, masked in itertools.product(SCORES, (False, True)):
        bottleneck = "variational" if score == "elbo" else "plain"
        yield (
            f"stream, {score}, {'masked' if masked else 'complete'}",
            {
                "anomaly_score": score,
                "bottleneck": bottleneck,
                "missing": "mask" if masked else "error",
                "batches": 3,
            },
        )


def fitted(parameters):
    """Fit a detector in one go, or batch by batch."""
    parameters = {
        "hidden_layer_sizes": (8,),
        "latent_dim": 4,
        "max_iter": 3,
        "n_estimators": 2,
        "random_state": 0,
    } | parameters
    n_rows = parameters.pop("n_rows", 240)
    n_features = parameters.pop("n_features", 6)
    n_batches = parameters.pop("batches", 0)
    masked = parameters.get("missing") == "mask"
    detector = AutoencoderOutlierDetector(**parameters)
    rows = table(n_rows, n_features, masked=masked)
    if n_batches:
        for batch in np.array_split(rows, n_batches):
            detector.partial_fit(batch)
    else:
        detector.fit(rows)
    return says(detector, n_features, masked=masked)


def dump(path):
    """Write what all detectors say."""
    arrays = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, parameters in cases():
            said = fitted(dict(parameters))
            arrays |= {f"{name}/{what}": array for what, array in said.items()}
            print(name, flush=True)
    np.savez(path, **arrays)


def compare(before, after):
    """Print which arrays differ; return how many."""
    with np.load(before) as old, np.load(after) as new:
        names = sorted({*old, *new})
        different = [
            name
            for name in names
            if name not in old
            or name not in new
            or not np.array_equal(old[name], new[name], equal_nan=True)
        ]
    for name in different:
        print("differs:", name)
    print(f"{len(names) - len(different)} of {len(names)} arrays are equal")
    return len(different)


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, dest="command")
    commands.add_parser("dump").add_argument("path")
    comparison = commands.add_parser("compare")
    comparison.add_argument("before")
    comparison.add_argument("after")
    options = parser.parse_args()
    if options.command == "dump":
        dump(options.path)
    else:
        sys.exit(compare(options.before, options.after) > 0)


if __name__ == "__main__":
    main()
