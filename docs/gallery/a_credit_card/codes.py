"""
Latent maps, dead units and sparse codes
========================================

What does a code look like, and can frauds be seen in it? The text draws maps of the
code and histograms of its units by class, and then forces the code to be sparse.

**Data.** :func:`skae.datasets.load_creditcard`, standardised. Drawn are 600 normal test
rows and all 492 frauds.
"""

# %%
# A map
# -----
#
# .. code-block:: python
#
#    detector.fit(train, X_val=validation)
#    LatentSpaceDisplay.from_estimator(detector, test, y)
#
# The code has 16 units; the map shows its two main directions.
import matplotlib.pyplot as plt

from benchmarks.studies.pages import Beside
from benchmarks.studies.rows import read
from skae.inspection import LatentSpaceDisplay

found = read("A6")["pictures"]
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
LatentSpaceDisplay.from_predictions(found["y"], found["codes"], ax=ax)
plt.show()

# %%
# Unit by unit
# ------------
#
# A unit of ReLU that is 0 for every row is dead: it takes no part in restoring
# anything, and no gradient ever wakes it up.
LatentSpaceDisplay.from_predictions(found["y"], found["codes"], kind="units")
plt.show()

# %%
Beside("A6")

# %%
# A sparse code
# -------------
#
# 128 units, a code of 12 and 128 units, with and without an L1 penalty of 1e-4 on the
# code:
#
# .. literalinclude:: /../benchmarks/studies/credit_card.py
#    :pyobject: sparse_code
#    :end-before: return {
Beside("A7")

# %%
# What we learn
# -------------
#
# A map is two of sixteen directions, chosen for the spread of rows and not for frauds.
# The error uses all columns and separates better than distances on the map. Sparsity
# makes codes easier to read; what it does to detection is in the table.
