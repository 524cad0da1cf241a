"""
New digits, and style apart from class
======================================

A variational autoencoder learns a distribution that can be drawn from. An adversarial
one can learn a code whose parts mean different things. The slides show pictures of
both; here digits are drawn when this page is built.

**Data.** ``sklearn.datasets.load_digits``: 1,797 digits of 8 x 8 pixels.
"""

# %%
# Drawing
# -------
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from benchmarks.studies.pages import Beside, show_images
from benchmarks.studies.rows import read
from skae import AutoencoderOutlierDetector

X, y = load_digits(return_X_y=True)
# Pixels that are always white would bring the advice to use a StandardScaler.
X = X / 16 + np.random.default_rng(0).normal(scale=0.02, size=X.shape)
detector = AutoencoderOutlierDetector(
    bottleneck="variational",
    beta=4.0,
    latent_dim=8,
    output_activation="sigmoid",
    corruption=None,
    max_iter=300,
    random_state=0,
).fit(X)
samples = detector.sample(12, random_state=1)

# %%
# Above the digits of the training rows that are most like them:
nearest = X[
    NearestNeighbors(n_neighbors=1).fit(X).kneighbors(samples, return_distance=False)
][:, 0]

show_images([samples, nearest], ["drawn", "nearest"], (9, 1.7))

# %%
# Style apart from class
# ----------------------
#
# The network gets the class as a column, beside the pixels, and passes it through; the
# discriminator of the adversarial bottleneck keeps the style from telling of it. The
# network is a module of its own:
#
# .. literalinclude:: /examples/style_grid.py
#    :pyobject: StyleNetwork
#
# A column of the picture is a style, a row a class:
show_images(read("B6")["pictures"]["grid"], range(10), (7.2, 6))

# %%
# Beside the text
# ---------------
Beside("B6")

# %%
# What we learn
# -------------
#
# A sample is good if it is neither a copy nor noise: then it is as far from the nearest
# training digit as a new digit is. Of a style alone a classifier can hardly guess the
# class, while it can of the style of a network with a plain bottleneck.
