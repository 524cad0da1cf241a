"""
Films that somebody may like
============================

AutoRec is an autoencoder of incomplete rows: of films with a column for each user, or
of users with a column for each film. It restores the ratings that are missing. How far
off is it?

**Data.** :func:`skae.datasets.load_movielens`, 100,000 ratings from 1 to 5, of their
`publisher <https://grouplens.org/datasets/movielens/100k/>`_. A tenth of them is
hidden.
"""

# %%
# ``missing="mask"`` takes losses over the known cells alone:
#
# .. literalinclude:: /examples/autorec.py
#    :pyobject: AutoRec
import matplotlib.pyplot as plt

from benchmarks.studies.pages import Beside
from benchmarks.studies.rows import read

ours = read("D5")["ours"]
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for kind, marker in (("item-based", "o"), ("user-based", "x")):
    methods = list(ours[kind])[::-1]
    errors = [ours[kind][method][0] for method in methods]
    ax.plot(errors, methods, marker, label=kind)
ax.set(xlabel="root mean squared error of hidden ratings")
ax.legend()
plt.show()

# %%
Beside("D5")

# %%
# What we learn
# -------------
#
# Biases of users and films explain most of what can be explained. What a network
# restores beyond them is a little more than a linear factorisation does.
