"""Check the promises of thresholds and p-values on fresh normal rows.

    python -m benchmarks.quality.thresholds --out FILE.json

On each ADBench set (setting S2 of ``benchmarks.quality.adbench``, medians over seeds):

auto       share of the test's normal rows that ``contamination="auto"`` flags; the
           promise is 5 %.
calibrate  the same after ``calibrate(X, false_positive_rate=0.01)`` on half of the
           test's normal rows, where that half has at least 1,000; measured on the rest.
ks         p of a two-sample Kolmogorov-Smirnov test between p-values of fresh normal
           rows and of calibration rows, four times as many.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from scipy.stats import ks_2samp
from sklearn.preprocessing import StandardScaler

from benchmarks.quality.adbench import split
from skae import AutoencoderOutlierDetector


def measure(X, y, seed):
    """All three figures of one set; None where rows are too few."""
    X_train, X_test, y_test = split(X, y, "S2", seed)
    scaler = StandardScaler().fit(X_train)
    detector = AutoencoderOutlierDetector(random_state=seed)
    detector.fit(scaler.transform(X_train))
    normal = scaler.transform(X_test[y_test == 0])
    normal = np.random.default_rng(seed).permutation(normal)
    row = {
        "n_train": len(X_train),
        "auto": float((detector.predict(normal) == -1).mean()),
        "calibrate": None,
    }
    half = len(normal) // 2
    if half >= 1000:
        detector.calibrate(normal[:half], false_positive_rate=0.01)
        row["calibrate"] = float((detector.predict(normal[half:]) == -1).mean())
    fifth = len(normal) // 5
    fresh, calibration = normal[:fifth], normal[fifth:]
    detector.calibrate(calibration, contamination=0.05)
    p_values = [detector.p_values(rows) for rows in (fresh, calibration)]
    row["ks"] = float(ks_2samp(*p_values).pvalue)
    return row


def main():
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    folder = Path(os.environ["SKAE_DATA"]) / "adbench"
    sets = {}
    for path in sorted(folder.glob("*.npz")):
        data = np.load(path)
        runs = [measure(data["X"], data["y"], seed) for seed in options.seeds]
        sets[path.stem] = {
            name: None
            if value is None
            else float(np.median([run[name] for run in runs]))
            for name, value in runs[0].items()
        }
        print(f"{path.stem:20}", sets[path.stem], flush=True)
    large = [row for row in sets.values() if row["n_train"] >= 500]
    rates = [row["calibrate"] for row in sets.values() if row["calibrate"] is not None]
    summary = {
        "auto within 0.025 to 0.1": sum(0.025 <= r["auto"] <= 0.1 for r in large),
        "of sets with 500 training rows": len(large),
        "calibrate within 0.003 to 0.03": sum(0.003 <= r <= 0.03 for r in rates),
        "of sets with 1,000 calibration rows": len(rates),
        "ks above 0.01": sum(row["ks"] > 0.01 for row in sets.values()),
        "of sets": len(sets),
    }
    print(json.dumps(summary, indent=1))
    if options.out:
        report = {"seeds": options.seeds, "summary": summary, "sets": sets}
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
