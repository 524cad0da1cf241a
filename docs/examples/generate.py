"""Digits drawn from two generative autoencoders, above the nearest training digits."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from skae import AutoencoderOutlierDetector


def main():
    """Fit, sample and draw."""
    X = load_digits().data / 16
    # Pixels that are always white would bring the advice to use a StandardScaler.
    X = X + np.random.default_rng(0).normal(scale=0.02, size=X.shape)
    neighbours = NearestNeighbors(n_neighbors=1).fit(X)
    rows = []
    for bottleneck, beta in (("variational", 4.0), ("adversarial", 1.0)):
        detector = AutoencoderOutlierDetector(
            bottleneck=bottleneck,
            beta=beta,
            latent_dim=8,
            output_activation="sigmoid",
            corruption=None,
            max_iter=300,
            random_state=0,
        ).fit(X)
        samples = detector.sample(8, random_state=1)
        nearest = X[neighbours.kneighbors(samples)[1][:, 0]]
        rows += [(bottleneck, samples), ("nearest digit", nearest)]
    figure, axes = plt.subplots(len(rows), 8, figsize=(5, 2.6))
    for row, (name, images) in zip(axes, rows, strict=True):
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axis, image in zip(row, images, strict=True):
            axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
    figure.tight_layout(pad=0.4)


if __name__ == "__main__":
    main()
    plt.show()
