"""The plot of the front page: detectors on 249 tables, by their committed figures."""

from pathlib import Path

import matplotlib.pyplot as plt

import benchmarks
from benchmarks.quality.summary import read, summarise

RESULTS = Path(benchmarks.__path__[0]) / "results" / "macrodata.jsonl"
SETTINGS = {"clean": "normal rows train", "C": "5 % outliers train, nobody told"}


def main():
    """Draw the mean ROC AUC of the detectors that were run on all tables."""
    rows = list(read(RESULTS))
    tables = {name: summarise(rows, name, "skae") for name in SETTINGS}
    n_sets = tables["clean"]["skae"]["sets"]
    detectors = [n for n, e in tables["clean"].items() if e["sets"] == n_sets]
    detectors.sort(key=lambda name: tables["clean"][name]["auroc"])
    figure, ax = plt.subplots(layout="constrained")
    styles = (("o", "#4c9bd6"), ("D", "#9c2c00"))
    for (marker, color), (setting, label) in zip(styles, SETTINGS.items(), strict=True):
        means = [tables[setting][name]["auroc"] for name in detectors]
        ax.plot(means, detectors, marker, color=color, label=label)
    ax.grid(axis="y", alpha=0.4)
    ax.set_xlabel(f"mean ROC AUC over {n_sets} tables, in points")
    figure.legend(loc="outside upper center", ncols=2, columnspacing=1)
    return figure
