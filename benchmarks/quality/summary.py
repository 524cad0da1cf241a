"""Tables and a picture of what the benchmarks of detection quality measured.

    python -m benchmarks.quality.summary --markdown tables.md
    python -m benchmarks.quality.summary benchmarks/results/macrodata.jsonl

``--rows`` and ``--columns`` take tables below these numbers of training rows and of
columns alone. For each setting and detector: mean and median over sets of ROC AUC and
average precision (each set the mean of its seeds), mean rank, number of sets won,
median seconds, and the difference to the reference with its paired bootstrap interval
over sets (80 %). A detector counts as better or worse where 0 is outside the interval,
and as level with the reference where it is inside.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from benchmarks.quality.adbench import ADBENCH
from benchmarks.quality.runs import TOLD, read

MEASURES = ("auroc", "ap")

# What the settings are, in words.
TITLES = {
    "clean": "clean: normal rows train",
    "small": "small: 100 normal rows train",
    "C": "C: 5 % of the training rows are outliers",
    "C told": "C told: and contamination says so",
    "S2": "S2: half of the normal rows train",
    "U": "U: all rows train, outliers included",
}
RESAMPLES = 10_000


def by_detector(rows, setting):
    """Group the runs by detector and set.

    Where some are told, the others are those of the setting without that ending.
    """
    values = {}
    untold = setting.removesuffix(TOLD)
    for row in rows:
        is_other = row["setting"] == untold and not row["detector"].startswith("skae")
        if row["setting"] == setting or is_other:
            runs = values.setdefault(row["detector"], {}).setdefault(row["set"], [])
            runs.append(row)
    return values


def interval(differences, *, level=0.8, seed=0):
    """Bootstrap interval of the mean over sets."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(differences), size=(RESAMPLES, len(differences)))
    means = np.asarray(differences)[picks].mean(axis=1)
    return np.quantile(means, [(1 - level) / 2, (1 + level) / 2])


def verdict(low, high):
    """Whether the reference is better, level or worse."""
    return "better" if low > 0 else "worse" if high < 0 else "level"


def summarise(rows, setting, reference="skae"):
    """Make the table of one setting, a dict for each detector, the reference first."""
    values = by_detector(rows, setting)
    names = sorted(values, key=lambda name: name != reference)
    sets = sorted(values[reference])
    # Detectors that were not run on all sets are not ranked.
    ranked = [name for name in names if set(values[name]) >= set(sets)]
    table = {name: {"sets": len(values[name])} for name in names}
    for measure in MEASURES:
        means = {
            name: {s: np.mean([r[measure] for r in runs]) for s, runs in of.items()}
            for name, of in values.items()
        }
        grid = np.array([[means[name][s] for name in ranked] for s in sets])
        ranks = np.array([rankdata(-row) for row in grid])
        for j, name in enumerate(ranked):
            table[name][f"rank_{measure}"] = round(float(ranks[:, j].mean()), 2)
            table[name][f"wins_{measure}"] = int((ranks[:, j] == 1).sum())
        for name in names:
            common = [s for s in sets if s in means[name]]
            own = np.array([means[name][s] for s in common])
            entry = table[name]
            entry[measure] = round(float(own.mean()), 2)
            entry[f"median_{measure}"] = round(float(np.median(own)), 2)
            if name != reference:
                ahead = np.array([means[reference][s] for s in common]) - own
                low, high = interval(ahead)
                entry[f"reference_ahead_{measure}"] = round(float(ahead.mean()), 2)
                entry[f"interval_{measure}"] = [
                    round(float(low), 2),
                    round(float(high), 2),
                ]
                entry[f"reference_is_{measure}"] = verdict(low, high)
    for name in names:
        runs = [run for of in values[name].values() for run in of]
        for part in ("fit_seconds", "score_seconds"):
            # Figures that come from cached energies have no seconds.
            runs_of = [[r.get(part) for r in of] for of in values[name].values()]
            known = [np.median(of) for of in runs_of if None not in of]
            median = round(float(np.median(known)), 3) if known else None
            table[name][f"median_{part}"] = median
        # Seeds that all sets have been run with.
        seeds = sorted(
            set.intersection(*({r["seed"] for r in of} for of in values[name].values()))
        )
        by_seed = [np.mean([r["auroc"] for r in runs if r["seed"] == s]) for s in seeds]
        table[name]["seeds"] = seeds
        table[name]["sd_over_seeds_auroc"] = round(float(np.std(by_seed)), 2)
    return table


def markdown(setting, table):
    """Table of one setting, best ROC AUC first."""
    lines = [
        f"### {TITLES.get(setting, setting)}",
        "",
        "| detector | ROC AUC | AP | mean ranks | ROC AUC below skae (80 %) "
        "| AP below skae (80 %) | fit s | seeds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, entry in sorted(table.items(), key=lambda item: -item[1]["auroc"]):
        ranks = " / ".join(f"{entry.get(f'rank_{m}', '-')}" for m in MEASURES)
        behind = (
            "{} ({} to {}), skae is {}".format(
                entry[f"reference_ahead_{m}"],
                *entry[f"interval_{m}"],
                entry[f"reference_is_{m}"],
            )
            if f"interval_{m}" in entry
            else ""
            for m in MEASURES
        )
        seconds = entry["median_fit_seconds"]
        cells = (
            f"{name} ({entry['sets']} sets)" if "rank_auroc" not in entry else name,
            f"{entry['auroc']:.2f}",
            f"{entry['ap']:.2f}",
            ranks,
            *behind,
            "-" if seconds is None else f"{seconds:.2f}",
            str(len(entry["seeds"])),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def draw(tables):
    """Draw the mean rank of every detector in every setting."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(tables), figsize=(5, 4.2 * len(tables)), layout="constrained"
    )
    for axis, (setting, table) in zip(np.atleast_1d(axes), tables.items(), strict=True):
        ranked = {n: e["rank_auroc"] for n, e in table.items() if "rank_auroc" in e}
        names = sorted(ranked, key=ranked.get, reverse=True)
        colors = ["C1" if name.startswith("skae") else "C0" for name in names]
        # Without the signs of JSON.
        labels = [re.sub(r'"anomaly_score": |[{}"]', "", name) for name in names]
        bars = axis.barh(labels, [ranked[name] for name in names], color=colors)
        axis.bar_label(bars, fmt="%.1f", padding=2)
        axis.set(title=setting, xlabel="mean rank by ROC AUC (1 is best)")
        # Room for the numbers.
        axis.set_xlim(0, 1.2 * max(ranked.values()))
    return figure


def main():
    """Print the tables; write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="*", type=Path, default=[ADBENCH.results])
    parser.add_argument("--reference", default="skae")
    parser.add_argument("--rows", type=float, default=np.inf)
    parser.add_argument("--columns", type=float, default=np.inf)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    rows = [
        row
        for path in options.results
        for row in read(path)
        if row["n_train"] < options.rows and row.get("n_features", 0) < options.columns
    ]
    measured = (row for row in rows if row["detector"] == options.reference)
    settings = sorted({row["setting"] for row in measured})
    tables = {name: summarise(rows, name, options.reference) for name in settings}
    text = "\n".join(markdown(setting, table) for setting, table in tables.items())
    print(text)
    if options.markdown:
        options.markdown.write_text(text)
    if options.out:
        options.out.write_text(json.dumps(tables, indent=1) + "\n")


if __name__ == "__main__":
    main()
