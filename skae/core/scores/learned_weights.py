"""Weights of the views of "learned". Made by a script; do not edit.

    SKAE_DATA=DIR python -m benchmarks.quality.learn_weights learn --cache DIR

Learnt on 249 tables of macrOData, 2026-11-27. Views in order: reconstruction,
nearest, subsets, columns, mahalanobis.
"""

WEIGHTS = {
    "clean": (0.221, 0.177, 0.357, 0.156, 0.089),
    "contaminated": (0.116, 0.069, 0.42, 0.237, 0.158),
}
