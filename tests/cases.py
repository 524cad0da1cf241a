"""Cases of :mod:`tests.search`: parameters and tables, drawn from a seed."""

import random

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from tests.helpers import AXES, made_to_fit

# Neighbouring seeds that share what is compiled.
SHARING = 25

# What tables are made of, each ``make(rng, n_rows, n_columns)``.
SHAPES = {
    "normal": lambda rng, n, d: rng.normal(size=(n, d)),
    "correlated": lambda rng, n, d: rng.normal(size=(n, d)) @ (np.eye(d) + 0.5),
    "low rank": lambda rng, n, d: rng.normal(size=(n, 1)) * (1 + np.arange(d)),
    "groups": lambda rng, n, d: (
        rng.normal(size=(n, d)) + 9 * rng.integers(2, size=(n, 1))
    ),
    "uniform": lambda rng, n, d: rng.uniform(size=(n, d)),
    "counts": lambda rng, n, d: rng.poisson(1.0, size=(n, d)).astype(float),
    "heavy tails": lambda rng, n, d: rng.standard_cauchy(size=(n, d)),
    "lognormal": lambda rng, n, d: rng.lognormal(0, 3, size=(n, d)),
}

# What happens to a column; the last is one in which a single training row is wild.
COLUMNS = {
    "plain": lambda x, first: x,
    "constant": lambda x, first: np.full_like(x, 7.1),
    "negative zero": lambda x, first: np.full_like(x, -0.0),
    "nearly constant": lambda x, first: 1 + 1e-7 * x,
    "constant to rounding": lambda x, first: 1 + 1e-15 * x,
    "copy": lambda x, first: first,
    "huge": lambda x, first: 1e30 * x,
    "tiny": lambda x, first: 1e-40 * x,
    "large mean": lambda x, first: 1e8 + x,
    "mostly zero": lambda x, first: np.where(x > 1.5, x, 0.0),
    "one wild": lambda x, first: np.where(np.arange(len(x)) == 1, 1e30, x),
}

# Which training rows there are.
ROWS = {
    "plain": lambda X: X,
    "all the same": lambda X: np.broadcast_to(X[0], X.shape).copy(),
    "pairs": lambda X: np.repeat(X, 2, axis=0)[: len(X)],
    "some far": lambda X: X * np.where(np.arange(len(X)) % 10 == 9, 20.0, 1.0)[:, None],
}

# Which cells of training rows and of new ones are observed, if not all.
GAPS = {
    "none": lambda rng, n, d: np.ones((n, d), bool),
    "few": lambda rng, n, d: rng.random((n, d)) > 0.1,
    "half": lambda rng, n, d: rng.random((n, d)) > 0.5,
    "one cell left": lambda rng, n, d: np.zeros((n, d), bool),
    "lost column": lambda rng, n, d: np.ones((n, d), bool) & (np.arange(d) > 0),
    "apart": lambda rng, n, d: np.arange(n)[:, None] % 2 == np.arange(d) % 2,
}

WEIGHTS = {
    "none": lambda rng, n: None,
    "equal": lambda rng, n: np.full(n, 2.5),
    "counts": lambda rng, n: rng.integers(1, 5, size=n),
    "some zero": lambda rng, n: np.where(np.arange(n) % 3 == 2, 0.0, rng.random(n)),
    "tiny": lambda rng, n: 1e-300 * (0.1 + rng.random(n)),
    "huge": lambda rng, n: 1e300 * (0.1 + rng.random(n)),
    "far apart": lambda rng, n: np.where(np.arange(n) == 0, 1e12, 1.0),
}

CONTAINERS = {
    "array": np.asarray,
    "float32": lambda X: np.where(
        np.abs(X) < 3e38, X, np.where(np.isinf(X), X, 3e38 * np.sign(X))
    ).astype(np.float32),
    "Fortran": np.asfortranarray,
    "sparse": csr_array,
    "frame": lambda X: pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])]),
    "list": np.ndarray.tolist,
}

# What must be refused, as changes of table and weights.
FAULTS = {
    "none": lambda X, weight: (X, weight),
    "infinity": lambda X, weight: (with_cell(X, np.inf), weight),
    "row without cells": lambda X, weight: (with_cell(X, np.nan, slice(None)), weight),
    "negative weight": lambda X, weight: (X, np.where(np.arange(len(X)) == 1, -1, 1)),
    "NaN as weight": lambda X, weight: (X, np.full(len(X), np.nan)),
    "no weight": lambda X, weight: (X, np.zeros(len(X))),
    "few weights": lambda X, weight: (X, np.ones(len(X) - 1)),
    "one row": lambda X, weight: (X[:1], None),
    "one dimension": lambda X, weight: (X[0], None),
}

# Values that a case is drawn from, the simplest first. Those of the first part are part
# of compiled programs.
PROGRAM = AXES | {
    "n_features": [3, 1, 2, 5, 12],
    "penalty": [None] * 6 + AXES["penalty"][1:],
    "network": ["dense"] * 3 + AXES["network"],
}
DATA = {
    "max_iter": [1, 2, 3],
    "how": ["fit"] * 4 + ["twice", "partial_fit"],
    "n_estimators": [1, 1, 1, 2],
    "contamination": ["auto", 0.01, 0.1, 0.37, 0.5],
    "trim": ["auto", "auto", 0.0, 0.2, 0.49],
    "validation_fraction": [0.1, 0.0, 0.5, 0.99],
    "early_stopping": [False, True],
    "learning_rate": [2e-3] * 6 + [1e-30, 1e30],
    "corruption_scale": [0.2, (0.05, 1.0), 1e-30],
    "n_rows": [150, 2, 3, 5, 20, 40, 199, 200, 300],
    "shape": list(SHAPES),
    "scale": [1.0] * 6 + [1e-30, 1e-12, 1e-3, 1e3, 1e12, 1e30, 1e200],
    "offset": [0.0] * 6 + [-3.0, 1e4, 1e9],
    "columns": [["plain"]] * 3,
    "rows": ["plain"] * 3 + list(ROWS)[1:],
    "gaps": list(GAPS),
    "weight": ["none"] * 4 + list(WEIGHTS)[1:],
    "container": ["array"] * 2 + list(CONTAINERS)[1:],
    "fault": ["none"] * 40 + list(FAULTS)[1:],
    "onnx": [False] * 3 + [True],
}
SIMPLEST = {name: values[0] for name, values in (PROGRAM | DATA).items()}


def with_cell(X, value, columns=0):
    """Return a copy with the value in the last row."""
    X = X.copy()
    X[-1, columns] = value
    return X


def draw(seed):
    """Case of a seed."""
    program, rng = random.Random(-1 - seed // SHARING), random.Random(seed)
    case = {name: program.choice(values) for name, values in PROGRAM.items()}
    case |= {name: rng.choice(values) for name, values in DATA.items()}
    if rng.random() < 0.5:
        kinds = ["plain", *COLUMNS]
        case["columns"] = [rng.choice(kinds) for _ in range(case["n_features"])]
    return case | {"seed": seed}


def table(case, n_rows, part):
    """Rows without gaps: those of part 0 train, others are new."""
    rng = np.random.default_rng([case["seed"], part])
    X = SHAPES[case["shape"]](rng, n_rows, case["n_features"])
    if part == 0:
        X = ROWS[case["rows"]](X)
    if made_to_fit(case)["loss"] == "binary_cross_entropy":
        return np.clip(0.5 + X / 8, 0, 1)
    kinds = case["columns"] * case["n_features"]
    first = X[:, 0].copy()
    columns = [COLUMNS[kind](x, first) for kind, x in zip(kinds, X.T, strict=False)]
    return np.column_stack(columns) * case["scale"] + case["offset"]


def with_gaps(case, X, part):
    """Rows as the detector may see them: each keeps a cell."""
    if case["missing"] == "error":
        return X
    rng = np.random.default_rng([case["seed"], 1000 + part])
    observed = GAPS[case["gaps"]](rng, *X.shape)
    last = rng.integers(X.shape[1], size=len(X)) if part else np.full(len(X), -1)
    observed[np.arange(len(X)), last] = True
    return np.where(observed, X, np.nan)
