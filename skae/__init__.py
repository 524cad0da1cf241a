"""Outlier detection with autoencoders for scikit-learn users."""

from skae._detector import AutoencoderOutlierDetector
from skae._programs import keep_programs

__all__ = ["AutoencoderOutlierDetector", "keep_programs"]
__version__ = "0.1.0"
