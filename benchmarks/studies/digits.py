"""The digits of scikit-learn, as several studies take them."""

import functools

import numpy as np
from sklearn.datasets import load_digits

# Units of few must reach both signs, which those of ReLU and its like do not.
REDUCING = {"activation": "elu", "max_iter": 200}


@functools.cache
def digits(seed):
    """1,200 digits to train on, 597 to test on, in [0, 1], and their classes."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    train, test = order[:1200], order[1200:]
    return X[train] / 16, X[test] / 16, y[train], y[test]
