"""Detection quality on the tables of macrOData, every detector at its defaults.

    SKAE_DATA=DIR python -m benchmarks.quality.macrodata
    python -m benchmarks.quality.summary benchmarks/results/macrodata.jsonl

249 tables: 130 of OddBench, whose anomalies have a meaning, and 119 of OvRBench, one
class against the rest. The split into training and test rows is their own. Settings:

clean  normal rows train.
C      anomalies are among the training rows: 5 % of them, but at most half of the
       anomalies, moved there from the test rows; nobody is told.
C told      the same, with contamination=0.05.
small       clean, but for the first 100 training rows alone.
small C     both.

The folder ``macrodata`` in ``SKAE_DATA``, or ``--data``, holds npz files with
``X_train``, ``X_test`` and ``y_test`` (1 = anomaly). The other options are those of
``benchmarks.quality.adbench``.
"""

import numpy as np

from benchmarks.quality import runs
from benchmarks.quality.runs import TOLD, Collection, Parts

SHARE = 0.05
SMALL_ROWS = 100


def parts(data, setting, seed):
    """Rows of a setting, and what is told."""
    X_train, X_test, y_test = data["X_train"], data["X_test"], data["y_test"]
    told = SHARE if setting.endswith(TOLD) else None
    if setting.startswith("small"):
        X_train = X_train[:SMALL_ROWS]
    if setting.removesuffix(TOLD).endswith("C"):
        anomalies = np.random.default_rng(seed).permutation(np.flatnonzero(y_test))
        n_moved = round(SHARE / (1 - SHARE) * len(X_train))
        moved = anomalies[: min(n_moved, len(anomalies) // 2)]
        X_train = np.r_[X_train, X_test[moved]]
        X_test, y_test = np.delete(X_test, moved, 0), np.delete(y_test, moved)
    return Parts(X_train, X_test, y_test, told)


MACRODATA = Collection(
    "macrodata", parts, ("clean", "C", f"C{TOLD}", "small", "small C"), (0,)
)

if __name__ == "__main__":
    runs.main(MACRODATA, __doc__)
