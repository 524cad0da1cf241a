"""Compare the detectors on real data that is bundled with scikit-learn.

Every detector has its default parameters, stands behind a StandardScaler and sees the
same rows. Half of the normal rows train, the other half and the outliers test. In the
second block a share of outliers is mixed into the training rows, and detectors that
have the parameter ``contamination`` are told how large it is.
"""

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae._command.detectors import detectors, measure, table_of, told
from skae._command.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

CONTAMINATIONS = (0.0, 0.05)

DATA = {
    "breast cancer: malignant = outlier": (load_breast_cancer, 1),
    "digits: 0 normal, 1-9 outliers": (load_digits, 0),
    "wine: class 1 normal, 0 and 2 outliers": (load_wine, 1),
}


def split(
    load: Callable[..., Any], normal_class: int, contamination: float, random_state: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training rows, test rows and which test rows are outliers."""
    X, y = load(return_X_y=True)
    rng = np.random.default_rng(random_state)
    normal = rng.permutation(np.flatnonzero(y == normal_class))
    outliers = rng.permutation(np.flatnonzero(y != normal_class))
    train = normal[: len(normal) // 2]
    n_mixed = round(contamination / (1 - contamination) * len(train))
    test = np.concatenate([normal[len(normal) // 2 :], outliers[n_mixed:]])
    train = np.concatenate([train, outliers[:n_mixed]])
    return X[train], X[test], y[test] != normal_class


def run(options: Namespace, console: "Console", progress: Progress) -> None:
    """Run every detector on every split and print tables."""
    tasks = [
        (name, contamination, split(*source, contamination, options.random_state))
        for contamination in CONTAMINATIONS
        for name, source in DATA.items()
    ]
    n_detectors = len(detectors(options.random_state))
    tables = []
    with progress.steps("comparing", len(tasks) * n_detectors) as step:
        for name, contamination, parts in tasks:
            results = {}
            makers = told(detectors(options.random_state), contamination)
            for detector_name, detector in makers.items():
                step(f"{detector_name} on {name}")
                pipeline = make_pipeline(StandardScaler(), detector)
                results[detector_name] = measure(pipeline, *parts)
            mixed = f"{contamination:.0%}, told" if contamination else "none"
            tables.append(table_of(f"{name} (outliers in training: {mixed})", results))
    for table in tables:
        console.print(table)
    console.print(
        "Average precision counts outliers as positive. Seconds of the first fit of "
        "each width include compilation."
    )
