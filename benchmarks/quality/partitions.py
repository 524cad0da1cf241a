"""Whether a table in partitions is learnt as well as in one piece.

    SKAE_DATA=DIR python -m benchmarks.quality.partitions --out FILE.json
    ... --seeds 10 --sets 10_cover unsw_nb15 --numbers 8 \
        --steps 20 50 200 1000 --out STEPS.json

Setting S2 of ``benchmarks.quality.adbench`` on four sets, with the defaults. The rows
that train are dealt to partitions at random, or sorted by the column of the largest
variance before scaling, so that partitions differ. Differences are to the detector
that has all rows, of the same seed. What is in ``--out`` already is not run again.
The second form shows what ``local_steps`` costs in detection.
"""

import argparse
import itertools
import json
import os
from pathlib import Path

import dask
import dask.array as da
import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks.quality import alarm_filter
from benchmarks.quality.adbench import split
from skae import AutoencoderOutlierDetector
from skae.dask import DaskAutoencoderOutlierDetector

NUMBERS, SORTED = (2, 8, 32), 8


def load(name):
    """Rows and labels, 1 for anomalies."""
    folder = Path(os.environ["SKAE_DATA"])
    if name == "unsw_nb15":
        table, y, _ = alarm_filter.load()
        X = alarm_filter.prepare(table, np.flatnonzero(y == 1))
        return X, (y == -1).astype(int)
    if name == "creditcard":
        data = np.load(folder / name / "creditcard.npz", allow_pickle=True)
        return data["X"], data["y"]
    data = np.load(folder / "adbench" / f"{name}.npz")
    return data["X"], data["y"]


SETS = ("32_shuttle", "10_cover", "creditcard", "unsw_nb15")


def figures(detector, X, y):
    """ROC AUC and average precision in percent."""
    scores = -detector.score_samples(X)
    return 100 * roc_auc_score(y, scores), 100 * average_precision_score(y, scores)


def in_parts(X, number, seed, steps):
    """Fit on so many partitions of rows as they stand."""
    chunks = tuple(len(part) for part in np.array_split(np.arange(len(X)), number))
    table = da.from_array(X, chunks=(chunks, (X.shape[1],)))
    detector = DaskAutoencoderOutlierDetector(random_state=seed, local_steps=steps)
    return detector.fit(table)


def measure(name, seed, numbers, steps):
    """Figures of one set and seed."""
    X, X_test, y = split(*load(name), "S2", seed)
    by_column = np.argsort(X[:, np.argmax(X.var(axis=0))], kind="stable")
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    local = AutoencoderOutlierDetector(random_state=seed).fit(X)
    runs = [{"set": name, "seed": seed, "parts": "1", "is": figures(local, X_test, y)}]
    # The rows of S2 are in random order.
    orders = {str(number): (X, number) for number in numbers}
    if SORTED in numbers:
        orders[f"{SORTED} sorted"] = (X[by_column], SORTED)
    for (parts, (rows, number)), n_steps in itertools.product(orders.items(), steps):
        ours = in_parts(rows, number, seed, n_steps)
        found = figures(ours.to_local(), X_test, y)
        difference = np.subtract(found, runs[0]["is"]).tolist()
        runs.append(
            {
                "set": name,
                "seed": seed,
                "parts": parts,
                "steps": n_steps,
                "rounds": ours.n_iter_,
                "loss": ours.history_["validation_loss"][-1],
                "is": found,
                "difference": difference,
            }
        )
        print(name, seed, parts, n_steps, ours.n_iter_, np.round(found, 2), flush=True)
    return runs


def main():
    """Run the benchmark and print mean differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS)
    parser.add_argument("--steps", nargs="+", default=["auto"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    steps = [n if n == "auto" else int(n) for n in options.steps]
    runs = []
    if options.out and options.out.exists():
        runs = json.loads(options.out.read_text())["runs"]
    known = {(run["set"], run["seed"]) for run in runs}
    with dask.config.set(scheduler="synchronous"):
        for seed, name in itertools.product(options.seeds, options.sets):
            if (name, seed) not in known:
                runs += measure(name, seed, options.numbers, steps)
                report = {"difference": summary(runs), "runs": runs}
                if options.out:
                    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print("mean difference of ROC AUC and average precision:", summary(runs))


def summary(runs):
    """Mean differences by the number of partitions and the steps of a round."""
    found = {}
    for run in runs:
        if "difference" in run:
            kind = f"{run['parts']}, steps {run['steps']}"
            found.setdefault(kind, []).append(run["difference"])
    return {kind: np.mean(of, axis=0).round(2).tolist() for kind, of in found.items()}


if __name__ == "__main__":
    main()
