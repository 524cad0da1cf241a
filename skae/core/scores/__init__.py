"""Scores by name. An energy is one file here, and a score is one line."""

from skae.core.scores.columns import COLUMNS
from skae.core.scores.combining import SOFT_MAXIMUM
from skae.core.scores.elbo import ELBO
from skae.core.scores.energy import Score as Score
from skae.core.scores.joint import JOINT
from skae.core.scores.latent import LATENT
from skae.core.scores.learned import BROKEN_CELLS, LEARNED
from skae.core.scores.mahalanobis import MAHALANOBIS
from skae.core.scores.nearest import NEAREST
from skae.core.scores.reconstruction import RECONSTRUCTION
from skae.core.scores.subsets import SUBSETS

SCORES: dict[str, Score] = {
    "reconstruction": Score((RECONSTRUCTION,)),
    "joint": Score((JOINT,)),
    "latent": Score((LATENT,)),
    "nearest": Score((NEAREST,)),
    "mahalanobis": Score((MAHALANOBIS,)),
    # The global energy stands last.
    "combined": Score((RECONSTRUCTION, NEAREST, MAHALANOBIS), SOFT_MAXIMUM),
    "elbo": Score((ELBO,)),
    "columns": Score((COLUMNS,)),
    "subsets": Score((SUBSETS,)),
    # In the order of the weights.
    "learned": Score((RECONSTRUCTION, NEAREST, SUBSETS, COLUMNS, MAHALANOBIS), LEARNED),
    "cells": Score(
        (RECONSTRUCTION, NEAREST, SUBSETS, COLUMNS, MAHALANOBIS), BROKEN_CELLS
    ),
}
