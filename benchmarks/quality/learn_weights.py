"""Learn the weights of the default score on many tables.

    SKAE_DATA=DIR python -m benchmarks.quality.learn_weights measure --cache DIR
    SKAE_DATA=DIR python -m benchmarks.quality.learn_weights learn --cache DIR

``measure`` fits the detector on every table and setting of ``benchmarks.quality
.macrodata`` and ``benchmarks.quality.adbench``, and keeps the evidence of each view of
the test rows; it goes on where it was stopped, and ``--part I N`` does every N-th table
only. ``learn`` takes seconds. The weights, at least 0, minimise the logistic loss over
pairs of an anomaly and a normal row, in which every table counts the same:

clean         clean tables, and contaminated ones at ``INSURANCE``, nobody told;
contaminated  contaminated tables alone. Nobody is told there either: trimmed rows make
    evidence of heavy tails, and weights learnt from it ranked worse.

Weights of the package are those of macrodata alone. ``--out`` has what they give on
tables that they did not see: five folds of macrodata, and all of ADBench; and what
weights of both, in folds over both, give. The first of these go into the results of
``benchmarks.quality.macrodata`` as those of "skae".
"""

import argparse
import json
import os
import warnings
from datetime import date
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks.quality import adbench, macrodata
from benchmarks.quality.macrodata import MACRODATA
from benchmarks.quality.runs import KEY, RESULTS, TOLD, read
from skae import AutoencoderOutlierDetector
from skae.core import model
from skae.core.scores.learned import evidence, views

COLLECTIONS = {
    "macrodata": (macrodata.parts, ("clean", "C", f"C{TOLD}", "small")),
    "adbench": (adbench.parts, ("S2", "U", f"U{TOLD}")),
}
TARGET = Path(model.__file__).parent / "scores" / "learned_weights.py"

FILE = '''"""Weights of the views of "learned". Made by a script; do not edit.

    SKAE_DATA=DIR python -m benchmarks.quality.learn_weights learn --cache DIR

Learnt on {n_tables} tables of macrOData, {date}. Views in order: reconstruction,
nearest, subsets, columns, mahalanobis.
"""

WEIGHTS = {{
    "clean": {clean},
    "contaminated": {contaminated},
}}
'''

# How much a contaminated table counts beside a clean one, where nobody is told: the
# price of outliers that nobody has noticed.
INSURANCE = 1.0

N_PAIRS, RIDGE, N_FOLDS = 1500, 1e-3, 5
MAX_TEST = 20_000


def measure(parts, seed):
    """Evidence of each view of the test rows, by a detector that is told what it is."""
    scaler = StandardScaler().fit(parts.X_train)
    detector = AutoencoderOutlierDetector(anomaly_score="learned", random_state=seed)
    if parts.contamination is not None:
        detector.set_params(contamination=parts.contamination)
    detector.fit(scaler.transform(parts.X_train))
    fitted = detector._model()
    statistics = fitted.members[0].statistics
    few = np.random.default_rng(seed).permutation(len(parts.X_test))[:MAX_TEST]
    (energies,) = model.energies(fitted, scaler.transform(parts.X_test[few]))
    found = evidence(views(energies, statistics))
    return {"evidence": found.astype(np.float32), "y": parts.y_test[few]}


def measure_all(data, cache, part, n_parts, seed=0):
    """Keep the evidence of each table and setting that is not there yet."""
    for name, (parts_of, settings) in COLLECTIONS.items():
        for setting in settings:
            folder = cache / name / setting
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted((data / name).glob("*.npz"))[part::n_parts]:
                if not (folder / path.name).exists():
                    parts = parts_of(dict(np.load(path)), setting, seed)
                    np.savez(folder / path.name, **measure(parts, seed))
                    print(name, setting, path.stem, flush=True)


def read_tables(cache, name, setting):
    """Evidence and labels of each table, by name."""
    paths = sorted((cache / name / setting).glob("*.npz"))
    return {path.stem: dict(np.load(path)) for path in paths}


def pairs(table, rng):
    """Differences of evidence between random anomalies and random normal rows."""
    of_class = (np.flatnonzero(table["y"] == label) for label in (1, 0))
    first, second = (table["evidence"][rng.choice(rows, N_PAIRS)] for rows in of_class)
    return first - second


def learn(tables, shares, seed=0):
    """Weights, at least 0 and 1 in all, that rank anomalies of the tables first."""
    rng = np.random.default_rng(seed)
    differences = np.concatenate([pairs(table, rng) for table in tables])
    scale = differences.std(axis=0) + 1e-9
    differences = differences / scale
    share = np.repeat(np.asarray(shares, float) / np.sum(shares), N_PAIRS) / N_PAIRS

    def loss(w):
        margin = differences @ w
        slope = -share / (1 + np.exp(np.minimum(margin, 50)))
        value = share @ np.logaddexp(0, -margin) + RIDGE * w @ w
        return value, slope @ differences + 2 * RIDGE * w

    n_views = differences.shape[1]
    start, bounds = np.full(n_views, 0.3), [(0, None)] * n_views
    w = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x / scale
    return w / w.sum()


def learn_both(settings, leave_out=()):
    """Weights for clean and for contaminated training rows, without some tables.

    ``settings`` are the tables of two: clean, and contaminated where nobody is told.
    """
    clean, contaminated = (
        [table for name, table in of.items() if name not in leave_out]
        for of in settings
    )
    shares = [1.0] * len(clean) + [INSURANCE] * len(contaminated)
    return {
        "clean": learn(clean + contaminated, shares),
        "contaminated": learn(contaminated, [1.0] * len(contaminated)),
    }


def figures(table, weights):
    """ROC AUC and average precision in points."""
    scores = table["evidence"] @ weights
    measures = roc_auc_score, average_precision_score
    return [100 * measure(table["y"], scores) for measure in measures]


def in_folds(settings):
    """Weights for each table that were learnt without it."""
    names = np.array(sorted(settings[0]))
    fold = np.random.default_rng(1).permutation(len(names)) % N_FOLDS
    by_fold = [learn_both(settings, set(names[fold == k])) for k in range(N_FOLDS)]
    return {name: by_fold[f] for name, f in zip(names, fold, strict=True)}


def judged(cache, weights_of):
    """Figures of every table and setting by the weights that are given for it."""

    def judge(name, setting):
        kind = "contaminated" if setting.endswith(TOLD) else "clean"
        return {
            table: figures(found, weights_of(table)[kind])
            for table, found in read_tables(cache, name, setting).items()
        }

    return {
        name: {setting: judge(name, setting) for setting in settings}
        for name, (_, settings) in COLLECTIONS.items()
    }


def means(judgement):
    """Means over the tables of each setting."""
    return {
        f"{name}, {setting}": np.mean(list(of.values()), axis=0).round(2).tolist()
        for name, settings in judgement.items()
        for setting, of in settings.items()
        if of
    }


def write_runs(judgement, data, path):
    """Put figures of macrodata among the runs of the other detectors."""
    lines = [json.dumps(row) for row in read(path) if row["detector"] != "skae"]
    for setting, of in judgement["macrodata"].items():
        for table, (auroc, ap) in of.items():
            arrays = dict(np.load(data / "macrodata" / f"{table}.npz"))
            n_train, n_features = macrodata.parts(arrays, setting, 0).X_train.shape
            key = (table, "skae", setting, 0)
            row = dict(zip(KEY, key, strict=True))
            row |= {"n_train": n_train, "n_features": n_features}
            row |= {"auroc": round(auroc, 3), "ap": round(ap, 3)}
            lines.append(json.dumps(row))
    path.write_text("\n".join(lines) + "\n")


def report(cache, out, data, runs):
    """Learn, judge on tables that were not seen, and write all of it."""
    of_macrodata, of_adbench = (
        [read_tables(cache, name, setting) for setting in settings[:2]]
        for name, (_, settings) in COLLECTIONS.items()
    )
    weights = learn_both(of_macrodata)
    of_table = in_folds(of_macrodata)
    of_both = [a | b for a, b in zip(of_macrodata, of_adbench, strict=True)]
    of_table_of_both = in_folds(of_both)
    unseen = {
        "macrodata in folds, ADBench by macrodata": judged(
            cache, lambda table: of_table.get(table, weights)
        ),
        "both in folds": judged(cache, lambda table: of_table_of_both[table]),
    }
    for name, judgement in unseen.items():
        print(name, json.dumps(means(judgement), indent=1))
    weights = {name: tuple(w.round(3).tolist()) for name, w in weights.items()}
    print(weights)
    result = {"weights": weights, "means": {n: means(of) for n, of in unseen.items()}}
    out.write_text(json.dumps(result | {"tables": unseen}) + "\n")
    write_runs(unseen["macrodata in folds, ADBench by macrodata"], data, runs)
    n_tables = len(of_macrodata[0])
    TARGET.write_text(FILE.format(n_tables=n_tables, date=date.today(), **weights))


def main():
    """Measure, or learn from what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("measure", "learn"))
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1))
    parser.add_argument("--out", type=Path, default=RESULTS / "learned_weights.json")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    data = Path(os.environ["SKAE_DATA"])
    if options.action == "measure":
        measure_all(data, options.cache, *options.part)
    else:
        report(options.cache, options.out, data, MACRODATA.results)


if __name__ == "__main__":
    main()
