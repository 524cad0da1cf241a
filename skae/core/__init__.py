"""Pure functions over pytrees: networks, training and scoring in JAX.

Nothing here knows scikit-learn or the estimator. The shell imports these modules
lazily, so that ``import skae`` does not import JAX.
"""
