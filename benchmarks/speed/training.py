"""Warm fit of the detector beside the shortest JAX loop for the same mathematics.

    python -m benchmarks.speed.training --out benchmarks/results/training_speed.json

Both train a 30-64-32-64-30 ReLU network on 10,000 rows for 10 epochs of batches of 32
with Adam and plain squared error. The bare loop is one compiled scan over an epoch; it
keeps no history, no threshold and no statistics. The two take turns.
"""

import argparse
import itertools
import json
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from skae import AutoencoderOutlierDetector

N_ROWS, N_FEATURES, BATCH, EPOCHS = 10_000, 30, 32, 10
SIZES = (N_FEATURES, 64, 32, 64, N_FEATURES)
OPTIMIZER = optax.adam(1e-3)


def init(seed):
    """He-normal kernels and zero biases."""
    rng = np.random.default_rng(seed)
    return [
        (
            np.float32(np.sqrt(2 / m)) * rng.standard_normal((m, n), np.float32),
            np.zeros(n, np.float32),
        )
        for m, n in itertools.pairwise(SIZES)
    ]


def loss(params, x):
    """Mean squared error of the reconstruction."""
    hidden = x
    for kernel, bias in params[:-1]:
        hidden = jax.nn.relu(hidden @ kernel + bias)
    kernel, bias = params[-1]
    return jnp.mean(jnp.square(hidden @ kernel + bias - x))


@jax.jit
def epoch(params, state, batches):
    """One pass over the batches."""

    def step(carry, x):
        params, state = carry
        updates, state = OPTIMIZER.update(jax.grad(loss)(params, x), state)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, state), batches)[0]


def bare_loop(X, seed):
    """Train and wait for the result."""
    rng = np.random.default_rng(seed)
    params = init(seed)
    state = OPTIMIZER.init(params)
    n_batches = len(X) // BATCH
    for _ in range(EPOCHS):
        order = rng.permutation(len(X))[: n_batches * BATCH]
        batches = X[order].reshape(n_batches, BATCH, N_FEATURES)
        params, state = epoch(params, state, batches)
    jax.block_until_ready(params)


def detector_fit(X, seed):
    """Fit the detector on the same work, threshold included."""
    AutoencoderOutlierDetector(
        hidden_layer_sizes=(64,),
        latent_dim=32,
        activation="relu",
        corruption=None,
        optimizer="adam",
        learning_rate=1e-3,
        learning_rate_schedule="constant",
        batch_size=BATCH,
        max_iter=EPOCHS,
        anomaly_score="reconstruction",
        validation_fraction=0.0,
        random_state=seed,
    ).fit(X)


def seconds(function, *args):
    """Wall time of one call."""
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def main():
    """Run both in turns and print medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    X = np.random.default_rng(0).standard_normal((N_ROWS, N_FEATURES), np.float32)
    runners = {"bare_loop": bare_loop, "detector": detector_fit}
    first = {name: seconds(run, X, 0) for name, run in runners.items()}
    times = {name: [] for name in runners}
    for seed in range(options.runs):
        for name, run in runners.items():
            times[name].append(seconds(run, X, seed))
    pairs = zip(times["detector"], times["bare_loop"], strict=True)
    report = {
        "first_call_seconds": first,
        "median_seconds": {k: statistics.median(v) for k, v in times.items()},
        "median_ratio": statistics.median(a / b for a, b in pairs),
        "runs": times,
    }
    print(json.dumps({k: v for k, v in report.items() if k != "runs"}, indent=1))
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
