"""The work that is timed. Names are permanent, so that results stay comparable."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Scenario:
    """A task on random rows with a symmetric ReLU autoencoder, Adam, plain error.

    ``hidden`` are the widths of the hidden layers before the code.
    """

    task: str  # "fit", "score" or "grid"
    n_rows: int = 10_000
    n_features: int = 30
    hidden: tuple[int, ...] = (64,)
    latent: int = 32
    batch_size: int = 32
    epochs: int = 10
    peers: tuple[str, ...] = ("skae", "bare", "pyod", "keras-jax", "keras-torch", "mlp")
    cold: bool = False  # a fresh process for each run, imports included

    @property
    def sizes(self):
        """Widths of all layers, input and output included."""
        half = (self.n_features, *self.hidden, self.latent)
        return half + half[-2::-1]

    def rows(self):
        """Return the data."""
        rng = np.random.default_rng(0)
        return rng.standard_normal((self.n_rows, self.n_features), np.float32)


FIT = Scenario("fit")
SCORE = Scenario("score", n_rows=100_000, epochs=1)
DEFAULT = replace(FIT, n_rows=1_000, peers=("skae-default",))
# As small as tables of medicine are: its rows are scored by networks of five folds.
SMALL = replace(DEFAULT, n_rows=71, n_features=13)
FEW = ("skae", "bare", "pyod", "mlp")

SCENARIOS = {
    "fit-10k": replace(FIT, peers=(*FIT.peers, "iforest", "lof")),
    "fit-100k": replace(FIT, n_rows=100_000, epochs=2),
    "fit-batch-512": replace(FIT, batch_size=512),
    "fit-500-16-500": replace(FIT, n_features=500, hidden=(), latent=16, epochs=2),
    "cold-1k": replace(FIT, n_rows=1_000, cold=True),
    "cold-10k": replace(FIT, cold=True),
    "score-100k": replace(SCORE, peers=(*FIT.peers, "iforest", "lof")),
    "score-1": replace(SCORE, n_rows=1, peers=(*FIT.peers, "iforest", "lof")),
    "score-1-default": replace(SCORE, n_rows=1, peers=("skae-default", "iforest")),
    "score-100k-default": replace(SCORE, peers=("skae-default", "iforest")),
    "fit-1k-default": replace(DEFAULT, peers=("skae-default", "bare-default")),
    "fit-71x13-default": SMALL,
    "cold-1k-default": replace(DEFAULT, cold=True),
    "cold-71x13-default": replace(SMALL, cold=True),
    "grid": replace(FIT, task="grid", cold=True, peers=("skae", "pyod")),
}

# Rows that a detector is trained on before it scores.
TRAINING_ROWS = 2_000

GRID = {"latent": [8, 16, 32], "learning_rate": [3e-4, 1e-3, 3e-3, 1e-2]}
GRID_FOLDS = 3

SWEEPS = {
    "n_rows": (1_000, 3_000, 10_000, 30_000, 100_000),
    "n_features": (10, 30, 100, 300, 1_000),
    "hidden": ((16,), (64,), (256,), (1_024,)),
    "batch_size": (8, 32, 128, 512, 2_048),
}

for axis, values in SWEEPS.items():
    for value in values:
        shown = value[0] if isinstance(value, tuple) else value
        SCENARIOS[f"sweep-{axis}-{shown}"] = replace(
            FIT, epochs=2, peers=FEW, **{axis: value}
        )
