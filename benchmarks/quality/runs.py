"""Runs of detectors on tables: each a line of JSON, and none twice.

A setting ends in " told" where the share of outliers among the training rows is told to
every detector that has the parameter ``contamination``. Detectors whose scores do not
depend on it are not run again: ``benchmarks.quality.summary`` takes their rows from the
setting without that ending.
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks.quality.peers import DETECTORS, MAX_FEATURES
from skae import AutoencoderOutlierDetector

RESULTS = Path(__file__).parents[1] / "results"
KEY = ("set", "detector", "setting", "seed")
TOLD = " told"


class Parts(NamedTuple):
    """Rows to train on, rows to test on, and what training is told, if anything."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    contamination: float | None = None


class Collection(NamedTuple):
    """Tables in a folder of ``SKAE_DATA``, and how settings take them apart."""

    name: str
    parts: Callable[[dict, str, int], Parts]
    settings: tuple[str, ...]
    seeds: tuple[int, ...]

    @property
    def results(self):
        """File that holds the runs."""
        return RESULTS / f"{self.name}.jsonl"


def evaluate(make, parts, seed):
    """ROC AUC and average precision in points, fit and score seconds."""
    scaler = StandardScaler().fit(parts.X_train)
    X_train, X_test = map(scaler.transform, (parts.X_train, parts.X_test))
    detector = make(seed)
    if parts.contamination is not None:
        detector.set_params(contamination=parts.contamination)
    start = time.perf_counter()
    detector.fit(X_train)
    fitted = time.perf_counter()
    scores = -detector.score_samples(X_test)
    return {
        "n_train": len(X_train),
        "n_features": X_train.shape[1],
        "auroc": round(100 * roc_auc_score(parts.y_test, scores), 3),
        "ap": round(100 * average_precision_score(parts.y_test, scores), 3),
        "fit_seconds": round(fitted - start, 4),
        "score_seconds": round(time.perf_counter() - fitted, 4),
    }


def read(path):
    """Rows of a result file, a dict each; none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(paths, makers, parts_of, settings, seeds, out):
    """Run what is missing, a line of JSON for each run."""
    done = {tuple(row[name] for name in KEY) for row in read(out)}
    for seed in seeds:
        for setting in settings:
            for path in paths:
                missing = [
                    name
                    for name in makers
                    if (path.stem, name, setting, seed) not in done
                    and (name.startswith("skae") or not setting.endswith(TOLD))
                ]
                if not missing:
                    continue
                parts = parts_of(dict(np.load(path)), setting, seed)
                for name in missing:
                    if parts.X_train.shape[1] > MAX_FEATURES.get(name, np.inf):
                        continue
                    key = (path.stem, name, setting, seed)
                    result = evaluate(makers[name], parts, seed)
                    row = dict(zip(KEY, key, strict=True)) | result
                    with out.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                    print(*key, result["auroc"], result["ap"], flush=True)


def main(collection, description):
    """Run a benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--settings", nargs="+", default=collection.settings)
    parser.add_argument("--seeds", type=int, nargs="+", default=collection.seeds)
    parser.add_argument("--sets", nargs="+", help="parts of file names")
    parser.add_argument("--detectors", nargs="*", default=list(DETECTORS))
    parser.add_argument("--params", action="append", default=[], metavar="JSON")
    parser.add_argument("--out", type=Path, default=collection.results)
    options = parser.parse_args()
    makers = {name: DETECTORS[name] for name in options.detectors}
    for text in options.params:
        makers[f"skae {text}"] = lambda seed, text=text: AutoencoderOutlierDetector(
            random_state=seed, **json.loads(text)
        )
    folder = options.data or Path(os.environ["SKAE_DATA"]) / collection.name
    paths = [
        path
        for path in sorted(folder.glob("*.npz"))
        if not options.sets or any(part in path.stem for part in options.sets)
    ]
    # Singular covariances and the like are the detectors' own affair.
    warnings.simplefilter("ignore")
    arguments = (options.settings, options.seeds, options.out)
    run(paths, makers, collection.parts, *arguments)
