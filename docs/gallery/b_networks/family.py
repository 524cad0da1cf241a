"""
The family of autoencoders
==========================

Sparse, contractive, denoising, robust, variational, dense and convolutional: the slides
name them all. Which one detects attacks?

**Data.** :func:`skae.datasets.load_unsw_nb15`; 4,000 normal connections train, 8,000
test, standardised.
"""

# %%
# Each is a parameter or two of one class:
#
# .. literalinclude:: /../benchmarks/studies/network_attacks.py
#    :start-at: CONV = {
#    :end-before: @row("B5"
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.studies.pages import Beside
from benchmarks.studies.rows import read

ours = read("B5")["ours"]
names = list(ours)[::-1]
figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained", sharey=True)
for kind, marker in (("reconstruction", "o"), ("default", "x")):
    axes[0].plot(
        [ours[n][f"{kind} auroc"][0] for n in names],
        np.arange(len(names)),
        marker,
        label=f"{kind} score" if kind == "default" else "reconstruction error",
    )
axes[0].set(xlabel="AUROC", yticks=range(len(names)), yticklabels=names)
axes[0].legend()
axes[1].barh(names, [ours[n]["seconds"][0] for n in names], color="#9ecae1")
axes[1].set(xlabel="seconds of training", xscale="log")
plt.show()

# %%
Beside("B5")

# %%
# One digit is normal
# -------------------
#
# Convolutions look for neighbours, which columns of a table do not have. Pixels do.
# :func:`skae.datasets.load_mnist`: each digit in turn is normal, 70 % of its images
# train, all others test. Mean AUROC over the seven digits on which nothing was chosen:
import json

from benchmarks.studies.rows import ROOT

images = json.loads((ROOT / "benchmarks/results/images.json").read_text())
for name, area in sorted(
    images["mean of the others"].items(), key=lambda item: -item[1]
):
    print(f"{name:24}{area:6.2f}")

# %%
# What we learn
# -------------
#
# By the reconstruction alone the family differs more than by the default score, which
# asks other questions beside it; and so do the prices of its members. Convolutions are
# behind on images too: they restore strokes of any digit, and ones, which have the
# least ink, pass for normal (:doc:`/networks` has the figures).
