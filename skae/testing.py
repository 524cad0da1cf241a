"""Tools for the tests of skae and of code that builds on it."""

from skae.core.compilation import count_compilations

__all__ = ["count_compilations"]
