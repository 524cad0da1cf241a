"""Detection quality on ADBench's classical sets, every detector at its defaults.

    SKAE_DATA=DIR python -m benchmarks.quality.adbench
    python -m benchmarks.quality.summary

Settings (rows above 50,000 are subsampled; StandardScaler fitted on training rows):

S1  sets under 1,000 rows are bootstrapped to 1,000 first; train on the first half of
    the normal rows in file order; test on the rest and all anomalies. For comparison
    with published figures only: copies of training rows are among those tested.
S2  train on a random half of the normal rows; test on the rest and all anomalies.
U   bootstrapped as in S1; train on a bootstrap copy of the whole set, test on the set.
U told  the same, with the share of anomalies in the set, at most 0.5, told.
I   train on the whole set, and test on it.
I told  the same, with the share of anomalies told.

The folder ``adbench`` in ``SKAE_DATA``, or ``--data``, holds npz files with ``X`` and
``y`` (1 = anomaly). Labels serve the measurement alone. Every run is a line of JSON in
``--out``; what is there already is not run again, so a benchmark that was stopped goes
on where it was. ``--params JSON`` adds a variant of the detector.

EllipticEnvelope is not run on more than 1,000 columns; it and OneClassSVM train on at
most 10,000 rows. PyOD's detectors need ``pip install --group benchmarks``.
"""

import numpy as np

from benchmarks.quality import runs
from benchmarks.quality.runs import TOLD, Collection, Parts

MAX_ROWS = 50_000
MIN_ROWS = 1_000


def parts(data, setting, seed):
    """Rows of a setting, and what is told."""
    X, y = data["X"], data["y"]
    told = min(0.5, float(y.mean())) if setting.endswith(TOLD) else None
    return Parts(*split(X, y, setting.removesuffix(TOLD), seed), told)


def split(X, y, setting, seed):
    """Training rows, test rows and test labels of a setting."""
    rng = np.random.default_rng(seed)
    if setting in ("S1", "U") and len(X) < MIN_ROWS:
        rows = rng.choice(len(X), MIN_ROWS)
        X, y = X[rows], y[rows]
    if len(X) > MAX_ROWS:
        rows = np.sort(rng.choice(len(X), MAX_ROWS, replace=False))
        X, y = X[rows], y[rows]
    if setting == "I":
        return X, X, y
    if setting == "U":
        return X[rng.choice(len(X), len(X))], X, y
    normal = np.flatnonzero(y == 0)
    if setting == "S2":
        normal = rng.permutation(normal)
    train = normal[: round(len(normal) / 2)]
    test = np.setdiff1d(np.arange(len(X)), train)
    return X[train], X[test], y[test]


ADBENCH = Collection("adbench", parts, ("S1", "S2", "U", f"U{TOLD}"), (0, 1, 2))

if __name__ == "__main__":
    runs.main(ADBENCH, __doc__)
