"""
Heartbeats
==========

A beat is a sequence of 140 values. Does a network that reads it step by step find
abnormal ones? The slides name sequence-to-sequence networks.

**Data.** :func:`skae.datasets.load_ecg5000`, from its `publisher
<https://www.timeseriesclassification.com/description.php?Dataset=ECG5000>`_: 292 normal
beats train, 4,499 others test.
"""

# %%
# Beats stay rows; ``network="recurrent"`` reads them as sequences. They are
# standardised by one mean and one deviation of all, since their values share a unit.
#
# .. code-block:: python
#
#    bunch = load_ecg5000()
#    train = bunch.data[bunch.is_train & (bunch.target == 1)]
#    beats = (bunch.data - train.mean()) / train.std()
#    detector = AutoencoderOutlierDetector(
#        network="recurrent", hidden_layer_sizes=(32,), latent_dim=16
#    ).fit(beats[bunch.is_train & (bunch.target == 1)])
import matplotlib.pyplot as plt

from benchmarks.studies.pages import Beside
from benchmarks.studies.rows import read

found = read("B8")["pictures"]
figure, axes = plt.subplots(2, 3, figsize=(9, 4), layout="constrained", sharey=True)
for ax, beat, restored, y in zip(
    axes.flat, found["beats"], found["reconstructions"], found["y"], strict=True
):
    ax.plot(beat, color="#4c72b0", label="beat")
    ax.plot(restored, "--", color="#8c1c13", label="restored")
    ax.set_title("normal" if y == 1 else "abnormal")
axes[0, 0].legend()
plt.show()

# %%
Beside("B8")

# %%
# What we learn
# -------------
#
# These beats are aligned and equally long, so a plain distance to the nearest normal
# beats does as well as any network. Recurrent units earn their price where that is not
# so.
