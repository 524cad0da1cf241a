"""Mean squared residual and displacement."""

from typing import Any

import numpy as np
from jax import Array

from skae.core.blocks import Block
from skae.core.gaussian import Statistics, root_mean_squares
from skae.core.sample import Restored, Sample
from skae.core.scores.energy import Energy


def measure(rows: Block, own: Statistics) -> Array:
    """Root of the mean squared residual and displacement."""
    del own
    return root_mean_squares(rows.residual, rows.away, observed=rows.observed)


def usual(sample: Sample, restored: Restored, own: Statistics) -> np.ndarray:
    """Mean squared residuals of training rows, which the network has seen."""
    del own
    observed = True if sample.observed is None else sample.observed
    return restored.squared.mean(axis=1, where=observed)


def variance(ball: Statistics) -> float:
    """Mean variance of the features."""
    return np.square(ball["scale"], dtype=np.float64).mean()


def onnx(g: Any, rows: Any, own: Statistics) -> str:
    """ONNX form of :func:`measure`."""
    del own
    return g.hypot(g.root_mean_square(rows.residual), g.root_mean_square(rows.away))


RECONSTRUCTION = Energy(measure, usual=usual, variance=variance, onnx=onnx)
