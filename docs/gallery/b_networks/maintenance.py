"""
Predictive maintenance
======================

The slides cite papers in which codes of sensors feed a classifier of faults: stacked
denoising autoencoders, and sparse ones. Do such codes beat the sensors themselves?

**Data.** :func:`skae.datasets.load_hpc`, the sensors of a supercomputer from M.
Lombardi's `lectures <https://github.com/lompabo>`_, in place of the bearings and motors
of the papers. Networks learn from rows without labels, a linear classifier from the
1,500 rows after them.
"""

# %%
# Each network restores what the one before it makes of the rows:
#
# .. literalinclude:: /../benchmarks/studies/sequences.py
#    :pyobject: stacked
#
# The classifier gets the sensors, their principal components, or codes:
#
# .. literalinclude:: /../benchmarks/studies/sequences.py
#    :pyobject: diagnosed
import matplotlib.pyplot as plt

from benchmarks.studies.pages import Beside
from benchmarks.studies.rows import read

ours = read("B9")["ours"]
names = list(ours)[::-1]
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for figure_name, marker in (("auroc", "o"), ("balanced accuracy", "x")):
    ax.plot([ours[n][figure_name][0] for n in names], names, marker, label=figure_name)
ax.set(xlabel="points")
ax.legend()
plt.show()

# %%
Beside("B9")

# %%
# What we learn
# -------------
#
# Codes condense 159 sensors into a few tens of numbers, in which a linear classifier
# orders new rows far better than on sensors or principal components: those that hardly
# moved in training decide there. Where the classifier puts its threshold is another
# matter; it has seen few labels, and there the sensors are ahead.
