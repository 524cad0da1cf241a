"""
Outputs, losses, penalties, pictures
====================================

Which activation belongs on the output, which loss, which penalty? The slides name ReLU,
sigmoid and linear outputs, squared error and cross-entropy, and L1 and L2 on weights
and code. A network is trained when this page is built; the tables are of more of them.

**Data.** ``sklearn.datasets.load_digits``: 1,797 digits of 8 x 8 pixels, in [0, 1].
"""

# %%
# Sigmoid and cross-entropy
# -------------------------
#
# Pixels in [0, 1] may be taken for probabilities:
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from benchmarks.studies.pages import Beside
from benchmarks.studies.rows import read
from skae import AutoencoderOutlierDetector
from skae.inspection import ReconstructionDisplay

rng = np.random.default_rng(0)
# Pixels that are always white would bring the advice to use a StandardScaler.
X = load_digits().data[rng.permutation(1797)] / 16 + rng.uniform(0, 0.05, (1797, 64))
X = X.clip(0, 1)
train, test = X[:1200], X[1200:]
detector = AutoencoderOutlierDetector(
    hidden_layer_sizes=(128,),
    latent_dim=16,
    activation="relu",
    output_activation="sigmoid",
    loss="binary_cross_entropy",
    corruption=None,
    max_iter=100,
    random_state=0,
).fit(train)
ReconstructionDisplay.from_estimator(detector, test[:8], image_shape=(8, 8))
plt.show()

# %%
# The error of a row says how well it was restored:
errors = np.mean((test - detector.reconstruct(test)) ** 2, axis=1)
figure, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
ax.hist(errors, bins=40, color="#9ecae1", label="new digits")
noise = rng.random((597, 64))
noise_errors = np.mean((noise - detector.reconstruct(noise)) ** 2, axis=1)
ax.hist(noise_errors, bins=40, color="#8c1c13", label="random pixels")
ax.set(xlabel="mean squared error", ylabel="rows")
ax.legend()
plt.show()

# %%
Beside("D2")

# %%
# What else there is
# ------------------
#
# .. literalinclude:: /../benchmarks/studies/codes.py
#    :pyobject: outputs_and_penalties
#    :end-before: ours = {}
ours = read("D1")["ours"]
names = list(ours)[::-1]
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained", sharey=True)
for ax, figure_name in zip(axes, ours[names[0]], strict=True):
    ax.plot([ours[name][figure_name][0] for name in names], names, "o")
    ax.set(xlabel=figure_name)
plt.show()

# %%
Beside("D1")

# %%
# What we learn
# -------------
#
# A penalty on the code makes codes small, one on the weights makes weights small;
# neither costs error beyond the spread over seeds here. The output should be able to
# reach all values of the columns, and no others: a linear one has twice the error of a
# sigmoid on pixels in [0, 1].
