"""False alarms in network traffic, before and after a second stage.

    SKAE_DATA=... python -m benchmarks.quality.alarm_filter --out FILE.json

UNSW-NB15, the official part of 82,332 connections, 45,332 of them attacks. The
detector, with its defaults, is trained on 15,000 normal rows; an AlarmFilter around it,
with its defaults, on labelled rows drawn from the others: 2,000 or 200 of any kind, or,
as attacks are rarer elsewhere, the normal ones of the 2,000 (about 650) and 35 attacks.
All other rows test.

"ratio" compares the false alarms of the filter with those of the detector at a lower
threshold, of the same recall. "lax" is the filter around a detector that flags a fifth
of normal rows, at the recall of the detector at its own threshold. "predict" lets the
classifier's own prediction decide (max_recall_loss=None).

The same classifier trained on the labelled rows without any detector, "alone", is
judged at the recall of the detector. Labels of all kinds of attacks tell more than
normal rows do: there it is ahead of both stages. It may be blind to a kind that it has
no labels of: "new kinds" leaves one of the five most frequent kinds out of the labels,
judges by the recall on it, and gives the classifier alone as many false alarms as the
filter has.

The defaults of AlarmFilter were chosen on seeds 10 to 12, with the same numbers of
labels.
"""

import argparse
import copy
import json
from pathlib import Path

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import AutoencoderOutlierDetector
from skae.datasets import load_unsw_nb15
from skae.model_selection import AlarmFilter

N_TRAIN, N_LABELLED, N_FEW, N_ATTACKS = 15_000, 2000, 200, 35
KINDS = ["Generic", "Exploits", "Fuzzers", "DoS", "Reconnaissance"]


def load():
    """Rows, text in columns 0 to 2; labels; and kinds of attacks."""
    bunch = load_unsw_nb15()
    return bunch.data.to_numpy(dtype=object), bunch.target, bunch.kind


def prepare(table, train):
    """One-hot encode and standardise all rows by those that train."""
    text, numbers = slice(0, 3), slice(3, None)
    transformer = make_column_transformer(
        (OneHotEncoder(min_frequency=10, handle_unknown="infrequent_if_exist"), text),
        (StandardScaler(), numbers),
        sparse_threshold=0,
    )
    return transformer.fit(table[train]).transform(table)


def false_alarms(y, scores, recall):
    """Count normal rows that score as low as the share ``recall`` of the attacks."""
    attacks = np.sort(scores[y == -1])
    return int((scores[y == 1] <= attacks[round(recall * len(attacks)) - 1]).sum())


def measure(y, flagged):
    """Recall and false alarms."""
    return {
        "recall": float(flagged[y == -1].mean()),
        "false_alarms": int(flagged[y == 1].sum()),
    }


def alone(X, y, rows, seed):
    """Score all rows by the classifier without a detector."""
    classifier = ExtraTreesClassifier(random_state=seed).fit(X[rows], y[rows])
    return classifier.predict_proba(X)[:, 1]


def compare(X, y, detector, labelled, test, seed):
    """Figures of the detector, the filter and the classifier alone."""
    scores = detector.decision_function(X[test])
    result = {"detector": measure(y[test], scores < 0)}
    recall = result["detector"]["recall"]
    lax = copy.deepcopy(detector).calibrate(contamination=0.2)
    filters = {"filter": (detector, {}), "lax": (lax, {})}
    filters["predict"] = (detector, {"max_recall_loss": None})
    for name, (stage, parameters) in filters.items():
        frozen = FrozenEstimator(stage)
        second = AlarmFilter(frozen, random_state=seed, **parameters)
        filtered = second.fit(X[labelled], y[labelled]).decision_function(X[test])
        result[name] = row = measure(y[test], filtered < 0)
        if name == "lax":
            row["at_recall"] = false_alarms(y[test], filtered, recall)
        else:
            row["moved"] = false_alarms(y[test], scores, row["recall"])
            row["ratio"] = row["false_alarms"] / row["moved"]
    result["alone"] = {
        "at_recall": false_alarms(y[test], alone(X, y, labelled, seed)[test], recall)
    }
    return result


def new_kind(X, y, detector, labelled, test, kinds, kind, seed):
    """Recall on attacks of a kind without labels."""
    known, wanted = labelled[kinds[labelled] != kind], kinds[test] == kind
    second = AlarmFilter(FrozenEstimator(detector), random_state=seed)
    alarms = second.fit(X[known], y[known]).predict(X[test]) == -1
    n_false = alarms[y[test] == 1].sum()
    scores = alone(X, y, known, seed)[test]
    threshold = np.sort(scores[y[test] == 1])[n_false]
    return {
        "detector": float((detector.predict(X[test][wanted]) == -1).mean()),
        "filter": float(alarms[wanted].mean()),
        "alone": float((scores[wanted] < threshold).mean()),
    }


def run(table, y, kinds, seed):
    """All figures of a seed."""
    rng = np.random.default_rng(seed)
    train = rng.permutation(np.flatnonzero(y == 1))[:N_TRAIN]
    X = prepare(table, train)
    detector = AutoencoderOutlierDetector(random_state=seed).fit(X[train])
    others = rng.permutation(np.setdiff1d(np.arange(len(y)), train))
    labelled, test = others[:N_LABELLED], others[N_LABELLED:]
    attacks = labelled[y[labelled] == -1][:N_ATTACKS]
    draws = {
        "2,000": labelled,
        "200": labelled[:N_FEW],
        "few attacks": np.r_[labelled[y[labelled] == 1], attacks],
    }
    result = {
        name: compare(X, y, detector, rows, test, seed) for name, rows in draws.items()
    }
    result["new kinds"] = {
        kind: new_kind(X, y, detector, labelled, test, kinds, kind, seed)
        for kind in KINDS
    }
    return result


def median(runs):
    """Medians of nested figures."""
    if isinstance(runs[0], dict):
        return {name: median([run[name] for run in runs]) for name in runs[0]}
    return float(np.median(runs))


def main():
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    table, y, kinds = load()
    runs = [run(table, y, kinds, seed) for seed in options.seeds]
    summary = median(runs)
    for labels, rows in summary.items():
        for name, row in rows.items():
            figures = ", ".join(f"{k} {v:.4g}" for k, v in row.items())
            print(f"{labels:12} {name:15} {figures}")
    if options.out:
        report = {"seeds": options.seeds, "median": summary, "runs": runs}
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
