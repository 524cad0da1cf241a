"""Published figures beside ours, on the data sets that both have.

    python -m benchmarks.quality.published --tables DIR

``DIR`` holds the tables of Livernoche et al., "On Diffusion Modeling for Anomaly
Detection" (ICLR 2024), whose protocols S1 and U follow, as ``dte_semi_auroc.csv``,
``dte_semi_ap.csv``, ``dte_unsup_auroc.csv`` and ``dte_unsup_ap.csv``: a row for each
data set, a column for each method. Ours are the means over seeds of
``benchmarks.quality.adbench``.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from benchmarks.quality.adbench import ADBENCH
from benchmarks.quality.runs import RESULTS, read
from benchmarks.quality.summary import MEASURES, by_detector

TABLES = {"S1": "semi", "U": "unsup"}


def short_name(stem):
    """Name of a data set in the published tables."""
    return stem.split("_", 1)[1].lower()


def published(folder, setting, measure):
    """Figures of each method by data set."""
    with (folder / f"dte_{TABLES[setting]}_{measure}.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {
        method: {row["dataset"].lower(): float(row[method]) for row in rows}
        for method in rows[0]
        if method != "dataset"
    }


def compare(folder, runs, setting):
    """Means of ROC AUC and average precision over the sets that both have."""
    means = {}
    for measure in MEASURES:
        ours = {
            f"{name} (here)": {
                short_name(stem): np.mean([run[measure] for run in of_set])
                for stem, of_set in of_detector.items()
            }
            for name, of_detector in by_detector(runs, setting).items()
        }
        theirs = published(folder, setting, measure)
        shared = set(ours["skae (here)"]) & set(next(iter(theirs.values())))
        for name, figures in (ours | theirs).items():
            if shared <= set(figures):
                mean = np.mean([figures[key] for key in shared])
                means.setdefault(name, []).append(round(float(mean), 2))
    return {"sets": len(shared), "means": means}


def main():
    """Print and write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=ADBENCH.results)
    parser.add_argument("--out", type=Path, default=RESULTS / "published.json")
    options = parser.parse_args()
    runs = read(options.runs)
    report = {s: compare(options.tables, runs, s) for s in TABLES}
    for setting, part in report.items():
        print(f"{setting}, {part['sets']} sets")
        for name, pair in sorted(part["means"].items(), key=lambda item: -item[1][0]):
            print(f"{name:36s} {pair[0]:6.2f} / {pair[1]:5.2f}")
    options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
