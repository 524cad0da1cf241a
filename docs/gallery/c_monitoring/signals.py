"""
Which signals are wrong
=======================

An autoencoder gives an error for each column, so it tells what to look at. In the
lecture the errors of anomalies are concentrated on 10 to 20 of 159 signals: on
instructions per second ("ips"), then on utilisation ("util").

**Data.** :func:`skae.datasets.load_hpc`, of M. Lombardi's `lectures
<https://github.com/lompabo>`_.
"""

# %%
# .. code-block:: python
#
#    detector.fit(X[:3000], X_val=X[3000:4500])
#    errors = detector.feature_errors(X, normalize=False)
#    FeatureErrorDisplay.from_predictions(y, errors, feature_names=names)
#
# The 20 largest mean errors over all anomalies; a bar for anomalies, a bar for other
# rows:
import matplotlib.pyplot as plt

from benchmarks.studies.pages import Beside
from benchmarks.studies.rows import read
from skae.inspection import FeatureErrorDisplay

found = read("C4")["pictures"]
display = FeatureErrorDisplay.from_predictions(
    found["y"], found["errors"], feature_names=found["names"]
)
# Of standardised signals, 1 is the variance in training.
display.ax_.set_xlabel("mean squared error")
plt.show()

# %%
# Over time, in stretches of about 30 rows:
figure, ax = plt.subplots(figsize=(9, 4.6), layout="constrained")
FeatureErrorDisplay.from_predictions(
    found["y"], found["errors"], feature_names=found["names"], kind="heatmap", ax=ax
)
ax.set_xlabel("stretch of rows")
figure.axes[-1].set_ylabel("squared error")
plt.show()

# %%
Beside("C4")

# %%
# What we learn
# -------------
#
# Few signals carry the error, and they are the ones that an expert would expect of a
# processor whose frequency is held fast: how many instructions it does, and how busy it
# is. On raw residuals, as here, signals that hardly moved in training lead; with
# ``normalize=True``, the default, each signal is in units of its usual error.
