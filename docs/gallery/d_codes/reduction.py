"""
Fewer dimensions
================

Every autoencoder reduces dimensions in its bottleneck. Does it lose less than PCA or a
truncated SVD of the same width, and do neighbours stay neighbours?

**Data.** ``sklearn.datasets.load_digits``, and
:func:`~skae.datasets.make_sparse_counts`: 1,200 texts of 2,000 words, as a sparse
matrix, most of whose cells are 0.
"""

# %%
# A plane of digits, computed when this page is built:
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from benchmarks.studies.pages import Beside
from benchmarks.studies.rows import read
from skae import AutoencoderOutlierDetector

X, y = load_digits(return_X_y=True)
# Pixels that are always white would bring the advice to use a StandardScaler.
X = X / 16 + np.random.default_rng(0).normal(scale=0.02, size=X.shape)
planes = {
    "autoencoder": AutoencoderOutlierDetector(
        hidden_layer_sizes=(128,),
        latent_dim=2,
        # Two units must reach both signs, which those of ReLU and its like do not.
        activation="elu",
        corruption=None,
        max_iter=200,
        random_state=0,
    ),
    "PCA": PCA(2),
}
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, (name, model) in zip(axes, planes.items(), strict=True):
    plane = model.fit(X).transform(X)
    for digit in range(10):
        ax.plot(*plane[y == digit].T, marker=f"${digit}$", linestyle="", markersize=4)
    ax.set(title=name, xticks=[], yticks=[])
plt.show()

# %%
# Measured
# --------
#
# The share of the variance that is lost, and trustworthiness: whether the ten nearest
# in the code were near before. Sparse matrices are taken as they are, block by block.
#
# .. literalinclude:: /../benchmarks/studies/codes.py
#    :pyobject: reduced
ours = read("D6")["ours"]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for ax, figure_name in zip(axes, ("error", "trustworthiness"), strict=True):
    for method, marker in (("autoencoder", "o"), ("PCA", "x"), ("TruncatedSVD", "+")):
        values = [of[method][figure_name][0] for of in ours.values()]
        ax.plot(values, list(ours), marker, label=method, markersize=8)
    ax.set(xlabel="variance lost" if figure_name == "error" else figure_name)
axes[1].tick_params(labelleft=False)
axes[0].legend()
plt.show()

# %%
Beside("D6")

# %%
# What we learn
# -------------
#
# Two numbers of a network hold more than two directions, of digits and of counts, and
# keep more neighbours. With eight it still loses less of the digits, which lie on
# something curved; where topics add up, as in the counts, a linear method is level.
