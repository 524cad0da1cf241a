"""
Attacks on a network
====================

Two units and five epochs: does so small an autoencoder, trained on normal connections,
restore attacks badly? The slides show distributions of its error, and name three
improvements: a variational bottleneck, a filter of false positives, ensembles.

**Data.** :func:`skae.datasets.load_unsw_nb15`, the official part of 82,332 connections,
of its `publisher <https://research.unsw.edu.au/projects/unsw-nb15-dataset>`_. Text is
one-hot encoded, all columns are scaled to [0, 1]; 30,000 normal connections train.
"""

# %%
# The network of the slides
# -------------------------
#
# .. literalinclude:: /../benchmarks/studies/network_attacks.py
#    :start-after: # Network and training of the slides.
#    :end-before: def encoder
import matplotlib.pyplot as plt

from benchmarks.studies.pages import Beside
from benchmarks.studies.rows import read

found = read("B1")["pictures"]
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
styles = {
    "normal, training": {"color": "#9ecae1", "fill": True},
    "normal, test": {"color": "#08519c"},
    "attacks": {"color": "#8c1c13", "hatch": "//"},
}
for name, shares in found["shares"].items():
    ax.stairs(shares, found["edges"], label=name, **styles[name])
ax.set(xlabel="logarithm (base 10) of the error of a row", ylabel="share of rows")
ax.set_xlim(-2.5, -0.5)
ax.legend()
plt.show()

# %%
Beside("B1")

# %%
# Variational
# -----------
#
# ``bottleneck="variational"`` draws codes in training alone: scores do not vary.
Beside("B2")

# %%
# Ensembles
# ---------
#
# ``n_estimators=20`` averages the scores of 20 networks that differ in their seeds.
ours = read("B4")["ours"]
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for place, of in enumerate(ours.values()):
    middle, low, high = of["auroc"]
    bars = [[middle - low], [high - middle]]
    ax.errorbar(middle, place, xerr=bars, fmt="o", capsize=4, color="#4c72b0")
ax.set(yticks=range(len(ours)), yticklabels=list(ours), xlabel="AUROC over seeds")
plt.show()

# %%
Beside("B4")

# %%
# What we learn
# -------------
#
# A network that restores normal connections tells attacks apart, even one of two units.
# Here its seeds differ by less than a point, so that an ensemble has little luck to
# average away; what two units cannot tell, twenty such networks hardly tell better. The
# second improvement, a filter of false positives, has a page of its own.
