"""Compare scikit-learn's scorers of detectors with skae's, on rare outliers.

    python -m benchmarks.quality.builtin_scorers --out FILE.json

IsolationForest on 980 normal rows and 20 weak outliers in 5 dimensions, contamination
0.02; medians over seeds. A detector whose scores are noise stands beside it.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.ensemble import IsolationForest
from sklearn.metrics import get_scorer

from skae.metrics import (
    outlier_average_precision_scorer,
    outlier_f1_scorer,
    outlier_roc_auc_scorer,
)

SCORERS = {
    "f1": outlier_f1_scorer,
    "average_precision": outlier_average_precision_scorer,
    "roc_auc": outlier_roc_auc_scorer,
}


class Noise(OutlierMixin, BaseEstimator):
    """Scores that have nothing to do with the rows."""

    def fit(self, X, y=None):
        """Learn nothing."""
        self.scores_ = np.random.default_rng(0).normal(size=len(X))
        self.offset_ = np.quantile(self.scores_, 0.02)
        return self

    def score_samples(self, X):
        """Noise."""
        return self.scores_

    def decision_function(self, X):
        """Noise less its threshold."""
        return self.scores_ - self.offset_

    def predict(self, X):
        """Labels of noise."""
        return np.where(self.decision_function(X) >= 0, 1, -1)


def main():
    """Run the comparison and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    runs = {}
    for seed in options.seeds:
        rng = np.random.default_rng(seed)
        X = np.r_[rng.normal(size=(980, 5)), rng.normal(1.2, 1, size=(20, 5))]
        y = np.r_[np.ones(980), -np.ones(20)].astype(int)
        detectors = {
            "IsolationForest": IsolationForest(contamination=0.02, random_state=seed),
            "noise": Noise(),
        }
        for name, detector in detectors.items():
            detector.fit(X)
            for metric, scorer in SCORERS.items():
                row = runs.setdefault(name, {}).setdefault(metric, {})
                for kind, used in (("built-in", get_scorer(metric)), ("skae", scorer)):
                    row.setdefault(kind, []).append(float(used(detector, X, y)))
    medians = {
        name: {
            metric: {kind: round(float(np.median(v)), 3) for kind, v in row.items()}
            for metric, row in rows.items()
        }
        for name, rows in runs.items()
    }
    print(json.dumps(medians, indent=1))
    if options.out:
        report = {"seeds": options.seeds, "median": medians}
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
