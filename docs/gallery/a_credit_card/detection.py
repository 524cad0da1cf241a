"""
Detection of frauds, measured
=============================

The text judges by eye whether frauds are apart. Here they are counted, beside the
detectors of scikit-learn on the same split.

**Data.** :func:`skae.datasets.load_creditcard`, standardised; 10,000 normal rows train,
a fifth of the normal rows and all frauds test.
"""

# %%
# .. literalinclude:: /../benchmarks/studies/credit_card.py
#    :pyobject: detection
#    :end-before: ours =
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.studies.pages import Beside
from benchmarks.studies.rows import read
from skae.inspection import ScoreDistributionDisplay

found = read("A8")
figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained", sharey=True)
titles = {
    "auroc": "AUROC",
    "ap": "average precision",
    "recall at 1 %": "recall at 1 % false alarms",
}
names = list(found["ours"])[::-1]
for ax, (figure_name, title) in zip(axes, titles.items(), strict=True):
    middle, low, high = np.transpose([found["ours"][n][figure_name] for n in names])
    bars = [middle - low, high - middle]
    ax.errorbar(middle, range(len(names)), xerr=bars, fmt="o", capsize=4)
    ax.set(title=title, yticks=range(len(names)), yticklabels=names)
plt.show()

# %%
# The scores of the default detector, of 1,500 normal rows and all frauds:
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ScoreDistributionDisplay.from_predictions(
    found["pictures"]["y"], found["pictures"]["scores"], ax=ax
)
plt.show()

# %%
Beside("A8")

# %%
# What we learn
# -------------
#
# An eye on a picture does not tell one false alarm in a hundred from one in ten, and
# the area under the ROC curve hardly does. Choose the figure that your alarms are paid
# by.
