"""Every picture of skae.inspection on data bundled with scikit-learn.

python docs/examples/pictures.py FOLDER
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderOutlierDetector
from skae.inspection import (
    FeatureErrorDisplay,
    LatentSpaceDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    ScoreDistributionDisplay,
    ThresholdCostDisplay,
)
from skae.metrics import AlarmCost


def main(folder):
    """Fit, and draw into PNG files."""

    def save(name):
        plt.savefig(Path(folder) / f"{name}.png", dpi=110)
        plt.close()

    # begin: detector
    data = load_breast_cancer(as_frame=True)
    X, y = data.data, np.where(data.target == 1, 1, -1)  # malignant is the outlier
    benign = X[y == 1]
    detector = make_pipeline(
        StandardScaler(), AutoencoderOutlierDetector(random_state=0)
    ).fit(benign[:250])
    X, y = X.drop(index=benign.index[:250]), np.delete(y, benign.index[:250])
    # end: detector

    # begin: loss
    LossCurveDisplay.from_estimator(detector)
    # end: loss
    save("loss")

    # begin: scores
    forest = IsolationForest(random_state=0).fit(benign[:250])
    _, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    ScoreDistributionDisplay.from_estimator(detector, X, y, ax=left, name="Pipeline")
    ScoreDistributionDisplay.from_estimator(forest, X, y, ax=right)
    # end: scores
    save("scores")

    # begin: costs
    cost = AlarmCost(false_alarm=1, missed=5)
    ThresholdCostDisplay.from_estimator(detector, X, y, objective=cost)
    # end: costs
    save("costs")

    # begin: map
    LatentSpaceDisplay.from_estimator(detector, X, y)
    # end: map
    save("map")

    # begin: units
    narrow = make_pipeline(
        StandardScaler(),
        AutoencoderOutlierDetector(latent_dim=8, activation="relu", random_state=0),
    ).fit(benign[:250])
    LatentSpaceDisplay.from_estimator(narrow, X, y, kind="units")
    # end: units
    save("units")

    # begin: errors
    FeatureErrorDisplay.from_estimator(detector, X, y, n_features=12)
    # end: errors
    save("errors")

    # begin: reconstruction
    digits = load_digits()
    zeros = digits.data[digits.target == 0]
    others = digits.data[digits.target != 0]
    detector = AutoencoderOutlierDetector(latent_dim=16, random_state=0)
    noisy = zeros + np.random.default_rng(0).normal(scale=0.5, size=zeros.shape)
    detector.fit(noisy)
    rows = np.r_[zeros[:4], others[:4]]
    ReconstructionDisplay.from_estimator(detector, rows, image_shape=(8, 8))
    # end: reconstruction
    save("reconstruction")


if __name__ == "__main__":
    main(sys.argv[1])
