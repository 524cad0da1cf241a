"""
Depth, code size, loss and separation
=====================================

Does a deeper network have a lower loss, and does it separate frauds better? Does a
wider code? The text trains several networks and says: depth has no relation to either;
more units in the code lower the loss and separate better.

**Data.** :func:`skae.datasets.load_creditcard`, standardised; normal rows are parted
60/20/20, frauds test.
"""

# %%
# Each network is fitted from three seeds, with three splits. Its error and its code are
# both asked how well they tell frauds apart:
#
# .. literalinclude:: /../benchmarks/studies/credit_card.py
#    :pyobject: separation
#
# Depth
# -----
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.studies.pages import Beside
from benchmarks.studies.rows import read

FIGURES = {
    "validation loss": "loss",
    "auroc": "AUROC of the error",
    "ap": "average precision",
    "auroc of codes": "AUROC of the code",
}


def draw(name):
    """Medians of three seeds, with lowest and highest."""
    ours = read(name)["ours"]
    _, axes = plt.subplots(2, 2, figsize=(8, 5), layout="constrained")
    places = np.arange(len(ours))
    for ax, (figure_name, title) in zip(axes.flat, FIGURES.items(), strict=True):
        middle, low, high = np.transpose([of[figure_name] for of in ours.values()])
        bars = [middle - low, high - middle]
        ax.errorbar(places, middle, bars, fmt="o", capsize=4, color="#4c72b0")
        ax.set_title(title)
        ax.set_xticks(places, [of.replace(" hidden", "\nhidden") for of in ours])
        ax.margins(x=0.2)
    plt.show()


draw("A4")

# %%
Beside("A4")

# %%
# Code size
# ---------
draw("A5")

# %%
Beside("A5")

# %%
# What we learn
# -------------
#
# One run of each network, as in the text, cannot tell a relation from luck: the spread
# over three seeds is drawn for that. That a wider code has a lower loss is close to a
# law, since each network of a narrow code is also one of a wide code. That it therefore
# separates better is not: errors and codes are two different things to separate by, and
# what restores everything tells nothing apart.
