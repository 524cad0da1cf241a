"""Outlier detection with autoencoders for scikit-learn users."""

from skae._detector import AutoencoderOutlierDetector

__all__ = ["AutoencoderOutlierDetector"]
__version__ = "0.1.0"
