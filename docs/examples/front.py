"""The picture of README and front page: where rows of two columns are outliers.

python docs/examples/front.py FILE
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from skae import AutoencoderOutlierDetector


def main():
    """Fit two moons, and draw the threshold around them with new rows on both sides."""
    X, _ = make_moons(1000, noise=0.07, random_state=0)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    detector = AutoencoderOutlierDetector(random_state=0).fit(X)
    new = np.random.default_rng(1).uniform((-2.4, -2.2), (2.4, 2.2), size=(120, 2))
    grid = np.stack(
        np.meshgrid(np.linspace(-2.6, 2.6, 200), np.linspace(-2.4, 2.4, 200))
    )
    score = detector.decision_function(grid.reshape(2, -1).T).reshape(200, 200)
    flagged = detector.predict(new) == -1

    figure, ax = plt.subplots(layout="constrained")
    levels = np.quantile(score, np.linspace(0, 1, 9))
    ax.contourf(*grid, score, levels=levels, cmap="Blues", alpha=0.7)
    ax.contour(*grid, score, levels=[0], colors="black", linestyles="dashed")
    ax.plot(*X.T, ".", color="#4c9bd6", markersize=3, label="training rows")
    ax.plot(*new[~flagged].T, "o", color="#1f5f8b", label="new, normal")
    ax.plot(*new[flagged].T, "x", color="#9c2c00", label="new, outliers")
    ax.plot([], [], "k--", label="threshold")
    ax.set(xticks=[], yticks=[], xlabel="one column", ylabel="another column")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


if __name__ == "__main__":
    main().savefig(sys.argv[1])
