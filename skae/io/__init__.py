"""Save, load and export fitted detectors."""

from skae.io._file import load, save
from skae.io._onnx import to_onnx
from skae.io._skops import TRUSTED_TYPES

__all__ = ["TRUSTED_TYPES", "load", "save", "to_onnx"]
