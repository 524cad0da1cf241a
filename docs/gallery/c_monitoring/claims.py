"""
Four claims about networks and densities
========================================

The lecture argues that the size of a network does not depend on the number of rows,
that networks cope with many columns, that they are fast at detection, and that
restoring rows may be harder than estimating a density. Each can be measured.

**Data.** :func:`~skae.datasets.make_dependence_outliers`: rows near a curved surface of
five dimensions, and outliers whose values are usual one by one.
"""

# %%
# .. literalinclude:: /../benchmarks/studies/monitoring.py
#    :pyobject: timed
#
# "Network" is a narrow network with the reconstruction error, "default" the defaults of
# the detector, "density" scikit-learn's ``KernelDensity``.
import matplotlib.pyplot as plt

from benchmarks.studies.pages import Beside
from benchmarks.studies.rows import read

ours = read("C6")["ours"]
figure, axes = plt.subplots(2, 3, figsize=(9, 5), layout="constrained")
panels = (
    ("kilobytes", "size, kB", "log"),
    ("milliseconds for 1,000 rows", "ms for 1,000 rows", "log"),
    ("auroc", "AUROC", "linear"),
)
sizes = [case.split(" x ") for case in ours["network"]]
by_rows = [
    case for case, (n, d) in zip(ours["network"], sizes, strict=True) if d == "50"
]
by_columns = sorted(
    (case for case, (n, d) in zip(ours["network"], sizes, strict=True) if n == "4000"),
    key=lambda case: int(case.split(" x ")[1]),
)
for line, cases, place, label in (
    (axes[0], by_rows, 0, "training rows, of 50 columns"),
    (axes[1], by_columns, 1, "columns, of 4,000 rows"),
):
    for ax, (figure_name, title, scale) in zip(line, panels, strict=True):
        for name, style in (("network", "o-"), ("default", "s:"), ("density", "x--")):
            x = [int(case.split(" x ")[place]) for case in cases]
            ax.plot(x, [ours[name][c][figure_name] for c in cases], style, label=name)
        ax.set(xscale="log", yscale=scale, xlabel=label, title=title)
handles, labels = axes[0, 0].get_legend_handles_labels()
figure.legend(handles, labels, loc="outside upper center", ncols=3)
plt.show()

# %%
Beside("C6")

# %%
# What we learn
# -------------
#
# The density keeps all training rows, and looks at each of them for each new row; the
# network keeps its weights. The default score remembers up to 4,096 rows and is in
# between. Which ranks outliers better is another question, that the picture at the
# right answers for these data.
