"""
Cleaning, enlarging, packing and finding images
===============================================

The slides name uses of autoencoders without figures: embedding, cleaning,
super-resolution, compression, semantic hashing, transfer. A small example of each, with
a number, beside something simpler. (They also name poses of humans, 3-D shapes and
tagging, which are out of scope here.)

**Data.** ``sklearn.datasets.load_digits``: 1,200 digits of 8 x 8 pixels train, 597
test.
"""

# %%
# Cleaning
# --------
#
# A denoising autoencoder restores what it was trained to restore. This is computed when
# the page is built:
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from benchmarks.studies.pages import Beside, show_images
from benchmarks.studies.rows import read
from skae import AutoencoderOutlierDetector

rng = np.random.default_rng(0)
X = load_digits().data[rng.permutation(1797)] / 16
# Pixels that are always white would bring the advice to use a StandardScaler.
X += rng.normal(scale=0.02, size=X.shape)
train, test = X[:1200], X[1200:]
noisy = test + rng.normal(scale=0.3, size=test.shape)
cleaned = (
    AutoencoderOutlierDetector(
        corruption="gaussian", corruption_scale=(0.5, 1.5), max_iter=100, random_state=0
    )
    .fit(train)
    .reconstruct(noisy)
)
for name, images in (("noisy", noisy), ("cleaned", cleaned)):
    print(f"{name}: mean squared error {np.mean((images - test) ** 2):.4f}")

show_images(
    [test[:8], noisy[:8], cleaned[:8]], ["new digit", "noisy", "cleaned"], (7, 2.85)
)

# %%
# Super-resolution
# ----------------
#
# A network whose encoder sees 4 x 4 pixels and whose decoder restores 8 x 8 is an
# autoencoder that loses something first. It is a module of one's own:
#
# .. literalinclude:: /../benchmarks/studies/images.py
#    :pyobject: Enlarging
show_images(
    read("B7")["pictures"]["super-resolution"],
    ["new digit", "cubic, from 4 x 4", "network, from 4 x 4"],
    (7, 2.85),
)

# %%
# Compression
# -----------
#
# The rate is how many numbers are kept of a digit, the distortion what is lost by it.
ours = read("B7")["ours"]
rates = ours["compression, MSE by numbers kept"]
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, style in (("autoencoder", "o-"), ("PCA", "x--")):
    losses = [of[name][0] for of in rates.values()]
    ax.plot(list(map(int, rates)), losses, style, label=name)
ax.set(xscale="log", yscale="log", xlabel="numbers kept", ylabel="mean squared error")
ax.set_xticks(list(map(int, rates)), list(rates))
ax.minorticks_off()
ax.legend()
plt.show()

# %%
# Semantic hashing
# ----------------
#
# Each of 32 units says on which side of its median a digit is: 32 bits, compared by how
# many differ.
#
# .. literalinclude:: /../benchmarks/studies/images.py
#    :pyobject: hashing
#
# Transfer
# --------
#
# A network of the digits 0 to 4 learns to tell 5 to 9 apart from 25 labels;
# ``fine_tune`` is on the page about networks.
#
# .. literalinclude:: /../benchmarks/studies/images.py
#    :pyobject: transfer
#
# All figures
# -----------
for use, of in ours.items():
    if not use.startswith("compression"):
        print(use)
        for name, (middle, low, high) in of.items():
            print(f"    {name:24}{middle:10.4g}  ({low:.4g} to {high:.4g})")

# %%
Beside("B7")
