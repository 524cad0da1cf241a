"""Style and class of digits, apart: an adversarial autoencoder of one's own.

The code is a style, which the encoder finds, beside the class, which is a column of the
table and passes through. A class is spread over a tenth of the standard Gaussian, so
that the whole code can have it as its prior: then the style cannot tell of the class. A
column of the picture is a style, a row a class.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from flax import nnx
from scipy.stats import norm
from sklearn.datasets import load_digits

from skae import AutoencoderOutlierDetector

N_CLASSES, N_PIXELS, STYLE = 10, 64, 4


class StyleNetwork(nnx.Module):
    """Pixels to style and back; the last column is the class."""

    def __init__(self, n_features, rngs):
        self.read = nnx.Linear(N_PIXELS + N_CLASSES, 256, rngs=rngs)
        self.to_style = nnx.Linear(256, STYLE, rngs=rngs)
        self.write = nnx.Linear(STYLE + N_CLASSES, 256, rngs=rngs)
        self.to_pixels = nnx.Linear(256, n_features - 1, rngs=rngs)

    def encode(self, x):
        pixels, place = x[:, :-1], x[:, -1:]
        hidden = nnx.gelu(self.read(jnp.hstack([pixels, one_hot(place)])))
        return jnp.hstack([self.to_style(hidden), place])

    def decode(self, code):
        style, place = code[:, :-1], code[:, -1:]
        hidden = nnx.gelu(self.write(jnp.hstack([style, one_hot(place)])))
        return jnp.hstack([nnx.sigmoid(self.to_pixels(hidden)), place])


def one_hot(place):
    """Class of a place on the Gaussian, as a row of ten."""
    number = jnp.floor(N_CLASSES * jax.scipy.stats.norm.cdf(place[:, 0]))
    return nnx.one_hot(jnp.clip(number, 0, N_CLASSES - 1).astype(int), N_CLASSES)


def place(classes, share=0.5):
    """Places on the Gaussian at a share of the way through the tenth of each class."""
    return norm.ppf((classes + share) / N_CLASSES)


def main():
    """Fit, and draw the grid."""
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    # Pixels that are always white would bring the advice to use a StandardScaler.
    X = X / 16 + rng.normal(scale=0.02, size=X.shape)
    share = rng.uniform(0.01, 0.99, size=len(y))
    detector = AutoencoderOutlierDetector(
        network=StyleNetwork,
        bottleneck="adversarial",
        corruption=None,
        max_iter=300,
        random_state=0,
    ).fit(np.column_stack([X, place(y, share)]))
    styles = rng.normal(size=(12, STYLE))
    figure, axes = plt.subplots(N_CLASSES, 12, figsize=(5, 4.7))
    for number, row in enumerate(axes):
        codes = np.column_stack([styles, np.full(12, place(number))])
        images = detector.inverse_transform(codes)[:, :-1]
        row[0].set_ylabel(number, rotation=0, ha="right", va="center")
        for axis, image in zip(row, images, strict=True):
            axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
    figure.supxlabel("style")
    figure.supylabel("class")
    figure.tight_layout(pad=0.4)


if __name__ == "__main__":
    main()
    plt.show()
