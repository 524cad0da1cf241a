"""Pictures of a supercomputer's signals, as in M. Lombardi's lecture.

SKAE_DATA=DIR python docs/examples/monitoring.py FOLDER
"""

import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderOutlierDetector
from skae.inspection import AlarmSignalDisplay, FeatureErrorDisplay
from skae.metrics import AlarmCost
from skae.model_selection import TunedThresholdDetector


def main(folder):
    """Fit, tune the threshold, and draw into PNG files; return the worst signals."""
    plt.style.use(Path(__file__).parents[1] / "pictures.mplstyle")
    path = Path(os.environ["SKAE_DATA"]) / "hpc" / "hpc.csv.gz"
    # begin: alarms
    table = pd.read_csv(path)
    X, y = table.iloc[:, 1:-1], np.where(table["anomaly"] == 0, 1, -1)
    rows = np.arange(len(X))
    detector = TunedThresholdDetector(
        make_pipeline(StandardScaler(), AutoencoderOutlierDetector(random_state=0)),
        objective=AlarmCost(false_alarm=1, missed=5, tolerance=12),
        cv=[(rows[:3000], rows[3000:4500])],
        refit=False,
    ).fit(X, y)
    _, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
    AlarmSignalDisplay.from_estimator(detector, X, y, ax=ax)
    # end: alarms
    plt.savefig(Path(folder) / "alarms.png")

    # begin: signals
    display = FeatureErrorDisplay.from_estimator(detector, X, y)
    # end: signals
    plt.savefig(Path(folder) / "signals.png")

    # begin: heatmap
    _, ax = plt.subplots(figsize=(5.6, 5.2), layout="constrained")
    FeatureErrorDisplay.from_estimator(
        detector, X, y, kind="heatmap", name="skae", ax=ax
    )
    # end: heatmap
    plt.savefig(Path(folder) / "heatmap.png")
    plt.close("all")
    return display.features_


if __name__ == "__main__":
    print(", ".join(main(sys.argv[1])))
