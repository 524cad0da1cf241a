"""
Classes and clusters from codes
===============================

Codes may serve a classifier: a support vector machine on codes, an encoder with a new
layer on top, frozen or tuned, or the autoencoder's loss as a regulariser. They may
serve k-means. Do they beat the pixels?

**Data.** ``sklearn.datasets.load_digits``: 1,200 digits train, of which 100 have
labels, 597 test.
"""

# %%
# A Pipeline
# ----------
#
# The detector is a transformer. Computed when this page is built:
import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.studies.pages import Beside
from benchmarks.studies.rows import read
from skae import AutoencoderOutlierDetector

rng = np.random.default_rng(0)
order = rng.permutation(1797)
X, y = (table[order] for table in load_digits(return_X_y=True))
# Pixels that are always white would bring the advice to use a StandardScaler.
X = X / 16 + rng.normal(scale=0.02, size=X.shape)
encoder = AutoencoderOutlierDetector(
    hidden_layer_sizes=(128,), latent_dim=64, max_iter=60, random_state=0
).fit(X[:1200])
classifier = make_pipeline(StandardScaler(), SVC(C=10))
classifier.fit(encoder.transform(X[:100]), y[:100])
right = classifier.score(encoder.transform(X[1200:]), y[1200:])
print(f"SVM on codes, 100 labels: {right:.1%} of the new digits are right")

# %%
# Frozen, tuned, as a regulariser
# -------------------------------
#
# ``to_module()`` gives the network to Flax, which trains on:
#
# .. literalinclude:: /examples/fine_tuning.py
#    :pyobject: fine_tune
ours = read("D3")["ours"]
names = list(ours)[::-1]
middle, low, high = np.transpose([ours[name] for name in names])
figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
bars = [middle - low, high - middle]
ax.errorbar(middle, range(len(names)), xerr=bars, fmt="o", capsize=4)
ax.set(xlabel="% right", yticks=range(len(names)), yticklabels=names)
plt.show()

# %%
Beside("D3")

# %%
# Clusters
# --------
#
# k-means with ten clusters, held against the classes:
for name, table in (("pixels", X), ("codes", encoder.transform(X))):
    labels = KMeans(10, n_init=10, random_state=0).fit_predict(table)
    print(f"{name}: adjusted Rand index {adjusted_rand_score(y, labels):.2f}")

# %%
Beside("D4")

# %%
# What we learn
# -------------
#
# The slides warn that codes are trained for restoring rows, not for classes or
# clusters. That is what is seen: with a hundred labels of such small images, nothing is
# ahead of a support vector machine on the pixels, and no code clusters better than they
# do. Tuning the encoder is level with training from scratch; on larger images, with a
# network of convolutions, it is ahead (``benchmarks/results/few_labels.json``). Pixels
# are a comparison that belongs beside every code.
