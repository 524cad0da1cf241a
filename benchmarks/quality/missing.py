"""Missing cells in the test rows of the development sets.

    SKAE_DATA=DIR python -m benchmarks.quality.missing

Setting S2 of ``benchmarks.quality.adbench``, with at most 4,000 complete rows to train
on and 8,000 to test. Then 30 % of the test cells are lost at random (a row keeps one
cell at least), and each fitted detector scores them as they are (``missing="mask"``;
IsolationForest has its own way) and with the training mean in their place. Writes every
run and a table for the docs.
"""

import argparse
import json
import os
import warnings
from pathlib import Path

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks.quality.adbench import split
from benchmarks.quality.runs import read
from benchmarks.quality.variants import MAX_TEST, MAX_TRAIN
from skae import AutoencoderOutlierDetector

SHARE = 0.3
RESULTS = Path(__file__).parents[1] / "results" / "missing.jsonl"

DETECTORS = {
    "default": {},
    "reconstruction": {"anomaly_score": "reconstruction"},
    "nearest": {"anomaly_score": "nearest"},
    "mahalanobis": {"anomaly_score": "mahalanobis"},
    "joint": {"anomaly_score": "joint"},
    "latent": {"anomaly_score": "latent"},
    "IsolationForest": None,
}
TABLES = ("complete", "missing", "mean imputed")


def lose(X, share, rng):
    """Lose a share of the cells, but one in each row at most all."""
    lost = rng.random(X.shape) < share
    lost[np.arange(len(X)), rng.integers(X.shape[1], size=len(X))] = False
    return np.where(lost, np.nan, X)


def evaluate(name, X_train, X_test, y_test, seed):
    """ROC AUC and average precision in points for each of the three tables."""
    rng = np.random.default_rng(seed)
    X_train = X_train[rng.permutation(len(X_train))[:MAX_TRAIN]]
    keep = rng.permutation(len(X_test))[:MAX_TEST]
    scaler = StandardScaler().fit(X_train)
    X_train, X_test = scaler.transform(X_train), scaler.transform(X_test[keep])
    y_test = y_test[keep]
    parameters = DETECTORS[name]
    detector = (
        IsolationForest(random_state=seed)
        if parameters is None
        else AutoencoderOutlierDetector(random_state=seed, missing="mask", **parameters)
    )
    detector.fit(X_train)
    incomplete = lose(X_test, SHARE, rng)
    row = {}
    # The mean of standardised columns is 0.
    for table, X in zip(
        TABLES, (X_test, incomplete, np.nan_to_num(incomplete)), strict=True
    ):
        scores = -detector.score_samples(X)
        row[f"{table} auroc"] = round(100 * roc_auc_score(y_test, scores), 3)
        row[f"{table} ap"] = round(100 * average_precision_score(y_test, scores), 3)
    return row


def table(rows):
    """Means over sets and seeds as Markdown."""
    lines = [
        "| detector | complete: ROC AUC / AP | 30 % missing, as they are | "
        "mean imputed |",
        "|---|---|---|---|",
    ]
    for name in DETECTORS:
        mine = [row for row in rows if row["detector"] == name]
        if mine:
            cells = [
                " / ".join(
                    f"{np.mean([row[f'{table} {figure}'] for row in mine]):.1f}"
                    for figure in ("auroc", "ap")
                )
                for table in TABLES
            ]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main():
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    done = {(row["set"], row["detector"], row["seed"]) for row in read(options.out)}
    for seed in options.seeds:
        for path in sorted((Path(os.environ["SKAE_DATA"]) / "adbench").glob("*.npz")):
            data = np.load(path)
            parts = split(data["X"], data["y"], "S2", seed)
            for name in DETECTORS:
                if (path.stem, name, seed) in done:
                    continue
                row = {"set": path.stem, "detector": name, "seed": seed}
                row |= evaluate(name, *parts, seed)
                with options.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            print(seed, path.stem, flush=True)
    text = table(read(options.out))
    options.out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
