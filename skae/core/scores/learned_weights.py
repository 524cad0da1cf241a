"""Weights of the views of ``learned``. Made by a script; do not edit.

    SKAE_DATA=DIR python -m benchmarks.quality.learn_weights

Energies in order: reconstruction, nearest, subsets, columns.
"""

WEIGHTS = {
    "clean": (0.25, 0.15, 0.18, 0.42, 0.0),
    "contaminated": (0.34, 0.0, 0.27, 0.39, 0.0),
}
