"""What the tests of several modules share; fixtures are in conftest.py."""

import hashlib
import json
import struct

import numpy as np
import pytest
from hypothesis import settings

from skae.core.bottlenecks import BOTTLENECKS
from skae.core.config import (
    Features,
    Hyperparameters,
    NetworkConfig,
    Plan,
    TrainingConfig,
)
from skae.core.corruptions import CORRUPTIONS
from skae.core.losses import LOSSES
from skae.core.networks import ACTIVATIONS, NETWORKS
from skae.core.optimizers import OPTIMIZERS
from skae.core.penalties import PENALTIES
from skae.core.scores import SCORES
from skae.io import load
from skae.io._container import DIGEST, NO_DIGEST

# Parameters of an IsolationForest that fits in a blink.
SMALL_FOREST = {"n_estimators": 20, "random_state": 0}

# Examples of a test that trains or scores with a network for each.
FEW = settings(max_examples=15)


def slow_but(quick, values):
    """Parameters of a test, of which all but the quick ones are slow."""
    return [
        value if value in quick else pytest.param(value, marks=pytest.mark.slow)
        for value in values
    ]


def slow_rows_but(quick, rows):
    """Rows of parameters of a test, of which all but the quick ones are slow."""
    return [
        row if row in quick else pytest.param(*row, marks=pytest.mark.slow)
        for row in rows
    ]


# scikit-learn's checks

MINI_BATCHES = (
    "Mini-batches of weighted rows differ from mini-batches of repeated rows; the "
    "equality of the objective is tested in test_training."
)
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": MINI_BATCHES,
    "check_sample_weight_equivalence_on_sparse_data": MINI_BATCHES,
}
SMALL = {
    "hidden_layer_sizes": (16,),
    "latent_dim": 4,
    "max_iter": 20,
    "anomaly_score": "reconstruction",
}


# Trainings of the core

NETWORK = NetworkConfig(4, (6,), 3, (6,), "tanh", "identity")


def configure(**changes):
    values = {
        "loss": "squared_error",
        "corruption": None,
        "is_masked": False,
        "penalties": (),
        "dropout": False,
        "optimizer": "adam",
        "learning_rate_schedule": "constant",
        "batch_size": 8,
    }
    return TrainingConfig(**values | changes)


def hyperparameters(dtype=np.float32, **penalty_strengths):
    return Hyperparameters(
        *map(dtype, (0.01, 0.0, 0.0, 0.1, 0.1)),
        {name: dtype(value) for name, value in penalty_strengths.items()},
        *map(dtype, (0.05, 1, 0, 10)),
    )


def features(dtype=np.float32, **changes):
    values = {"center": 0, "scale": 1, "low": -2, "high": 2}
    made = Features(**{k: np.full(4, v, dtype) for k, v in values.items()})
    return made._replace(**changes)


def plan(max_epochs=None, **changes):
    return Plan(
        NETWORK,
        configure(**changes),
        hyperparameters(),
        score="reconstruction",
        trim=0.0,
        validation_fraction=0.1,
        max_epochs=max_epochs,
        patience=None,
        tol=0.0,
    )


def bottleneck_for(score):
    """A bottleneck that a score can have."""
    return next(name for name in BOTTLENECKS if SCORES[score].suits(name))


# Values of the detector's axes, to be combined

AXES = {
    "network": sorted(NETWORKS),
    "hidden_layer_sizes": [(), (5,), (6, 5)],
    "latent_dim": [1, 4],
    "activation": sorted(ACTIVATIONS),
    "corruption": [None, *CORRUPTIONS],
    "corruption_scale": [0.2, (0.1, 0.9)],
    "loss": sorted(LOSSES),
    "penalty": [None, *PENALTIES],
    "dropout": [0.0, 0.2],
    "bottleneck": list(BOTTLENECKS),
    "optimizer": sorted(OPTIMIZERS),
    "early_stopping": [False, True],
    "warm_start": [False, True],
    "n_estimators": [1, 2],
    "anomaly_score": sorted(SCORES),
    "contamination": ["auto", 0.1],
    "trim": [0.0, 0.2],
    "missing": ["error", "mask"],
}


def made_to_fit(row):
    """Make a row of values a set of parameters that belong together."""
    row = dict(row)
    if row["network"] == "recurrent" and not row["hidden_layer_sizes"]:
        row["hidden_layer_sizes"] = (4,)
    penalty = row.pop("penalty")
    if row["anomaly_score"] == "elbo":
        row["bottleneck"] = "variational"
    elif penalty == "sparsity":
        row["bottleneck"] = "plain"
    if row["bottleneck"] == "variational":
        row["loss"] = "squared_error"
    if penalty == "sparsity" and row["bottleneck"] == "plain":
        row["activation"] = "sigmoid"
    if penalty and (penalty != "sparsity" or row["bottleneck"] == "plain"):
        row[penalty] = 1e-3
    if row["loss"] == "binary_cross_entropy":
        row["output_activation"] = "sigmoid"
    return row


# Files of detectors


def parts(data):
    """Header and payload of a file's bytes."""
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def sealed(header, payload):
    """Bytes with a right digest, as a hostile writer would make them."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return resealed(struct.pack("<Q", len(text)) + text + payload)


def resealed(data):
    """Put the right digest into bytes that have a place for one."""
    found = DIGEST.search(data)
    if not found:
        return data
    start, end = data[: found.start(1)], data[found.end(1) :]
    digest = hashlib.sha256(start + NO_DIGEST.encode() + end).hexdigest()
    return start + digest.encode() + end


def refused(data, path, match="cannot be loaded"):
    path.write_bytes(data)
    with pytest.raises(ValueError, match=match):
        load(path)
