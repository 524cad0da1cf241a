"""
A squared error is a likelihood
===============================

Who minimises the squared error maximises a Gaussian likelihood, in which all columns
have noise of the same variance, independent of each other. The lecture derives it, and
names what follows: standardise the output, and take logarithms of skewed columns. Does
dropping the assumptions help?

**Data.** :func:`skae.datasets.load_hpc`, of M. Lombardi's `lectures
<https://github.com/lompabo>`_.
"""

# %%
# Residuals ``r = x - h(x)`` of ``d`` columns, of equal variance ``s^2`` each and
# independent, have the negative logarithm of the likelihood
#
# .. code-block:: text
#
#    -log p(r) = (r_1^2 + ... + r_d^2) / (2 s^2) + constant,
#
# so the mean squared error orders rows as this likelihood does. With a covariance ``C``
# in place of the equal variances it is ``r' inverse(C) r / 2 + constant``:
# ``anomaly_score="joint"`` has it, of residual and code together.
#
# On residuals that depend on each other, the two see different things. Computed when
# this page is built:
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.studies.pages import Beside

rng = np.random.default_rng(0)
residuals = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=500)
along, across = np.array([1.5, 1.5]), np.array([1.2, -1.2])
inverse = np.linalg.inv(np.cov(residuals.T))
for name, r in (("along", along), ("across", across)):
    print(f"{name}: squared error {r @ r:.2f}, with covariance {r @ inverse @ r:.2f}")
figure, ax = plt.subplots(figsize=(4, 4), layout="constrained")
ax.plot(*residuals.T, ".", color="#9ecae1", label="usual residuals")
ax.plot(*along, "s", color="black", label="along")
ax.plot(*across, "X", color="#8c1c13", label="across", markersize=9)
ax.set(xlabel="residual of one column", ylabel="of another", aspect="equal")
ax.legend()
plt.show()

# %%
# The supercomputer
# -----------------
#
# .. literalinclude:: /../benchmarks/studies/monitoring.py
#    :pyobject: logarithms
Beside("C5")

# %%
# What we learn
# -------------
#
# Logarithms of skewed columns rank rows better here, by average precision, and the full
# covariance a little; the cost of alarms hardly moves with either, since one threshold
# decides it: anomalies have errors a thousand times the usual, in whatever metric.
# Where deviations are small and columns hang together, the covariance decides, as
# above.
