"""Write golden files that are not there yet: ``python -m tests.golden.make``.

Those that are there stay as they are: they must keep loading.
"""

from pathlib import Path

import numpy as np

from skae import AutoencoderOutlierDetector
from skae.io import save
from skae.io._contents import SCHEMA

FOLDER = Path(__file__).parent
CASES = {
    "combined": {
        "anomaly_score": "combined",
        "n_estimators": 2,
        "warm_start": True,
        "random_state": 0,
    },
    "learned": {"n_estimators": 2, "contamination": 0.1, "random_state": 0},
    "cells": {"anomaly_score": "cells", "contamination": 0.1, "random_state": 0},
    "columns": {"anomaly_score": "columns", "random_state": 0},
    "subsets": {"anomaly_score": "subsets", "random_state": 0},
    "joint": {"anomaly_score": "joint", "random_state": np.random.RandomState(0)},
    "latent": {"anomaly_score": "latent", "random_state": 0, "dropout": 0.1},
    "nearest": {"anomaly_score": "nearest", "random_state": 0},
    "mahalanobis": {"anomaly_score": "mahalanobis", "random_state": 0},
    "reconstruction": {"anomaly_score": "reconstruction", "random_state": 0},
    "elbo": {
        "anomaly_score": "elbo",
        "bottleneck": "variational",
        "n_estimators": 2,
        "warm_start": True,
        "random_state": 0,
    },
    "adversarial": {
        "bottleneck": "adversarial",
        "warm_start": True,
        "random_state": 0,
    },
}


def rows(seed):
    """Rows to train on or to score."""
    return np.random.default_rng(seed).normal(size=(60, 3))


def main():
    """Train, save, and note the scores."""
    import pandas as pd

    for name, parameters in CASES.items():
        path = FOLDER / f"schema-{SCHEMA}-{name}.skae"
        if path.exists():
            continue
        detector = AutoencoderOutlierDetector(
            hidden_layer_sizes=(4,), latent_dim=2, max_iter=3, **parameters
        )
        detector.fit(pd.DataFrame(rows(0), columns=["a", "b", "é"]))
        save(detector, path)
        scores = detector.score_samples(pd.DataFrame(rows(1), columns=["a", "b", "é"]))
        np.savetxt(path.with_suffix(".txt"), scores, fmt="%.17g")


if __name__ == "__main__":
    main()
