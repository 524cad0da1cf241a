"""The main job: compare the detector with scikit-learn's on bundled real data.

    python -m skae

Every detector has its default parameters, stands behind a StandardScaler and sees the
same rows. Half of the normal rows train, the other half and the outliers test; in the
second block a stated share of outliers is mixed into the training rows.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skae import AutoencoderOutlierDetector

CONTAMINATIONS = (0.0, 0.05)

DATA = {
    "breast cancer: malignant = outlier": (load_breast_cancer, 1),
    "digits: 0 normal, 1-9 outliers": (load_digits, 0),
    "wine: class 1 normal, 0 and 2 outliers": (load_wine, 1),
}


def detectors(random_state):
    """Detectors to compare, each with its default parameters."""
    return {
        "AutoencoderOutlierDetector": AutoencoderOutlierDetector(
            random_state=random_state
        ),
        "IsolationForest": IsolationForest(random_state=random_state),
        "LocalOutlierFactor": LocalOutlierFactor(novelty=True),
        "OneClassSVM": OneClassSVM(),
        "EllipticEnvelope": EllipticEnvelope(random_state=random_state),
    }


def split(load, normal_class, contamination, random_state):
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


def measure(detector, X_train, X_test, is_outlier):
    """ROC AUC and average precision with the outlier positive, and seconds."""
    pipeline = make_pipeline(StandardScaler(), clone(detector))
    with warnings.catch_warnings():
        # EllipticEnvelope warns of the constant pixels of the digits.
        warnings.filterwarnings("ignore", "The covariance matrix", UserWarning)
        start = time.perf_counter()
        pipeline.fit(X_train)
        fitted = time.perf_counter()
        scores = -pipeline.score_samples(X_test)
    return (
        roc_auc_score(is_outlier, scores),
        average_precision_score(is_outlier, scores),
        fitted - start,
        time.perf_counter() - fitted,
    )


def table_of(title, results):
    """Table of one data set, the best figure of each column in bold."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("detector")
    for heading in ("ROC AUC", "avg. precision", "fit s", "score s"):
        table.add_column(heading, justify="right")
    values = np.array(list(results.values()))
    best = np.r_[values[:, :2].max(axis=0), values[:, 2:].min(axis=0)]
    for name, row in results.items():
        cells = [
            f"[bold]{value:.3f}[/bold]" if value == top else f"{value:.3f}"
            for value, top in zip(row, best, strict=True)
        ]
        table.add_row(name, *cells)
    return table


def compare(console, random_state):
    """Run every detector on every split, with a progress bar, and print tables."""
    from rich.progress import Progress

    tasks = [
        (name, contamination, split(*source, contamination, random_state))
        for contamination in CONTAMINATIONS
        for name, source in DATA.items()
    ]
    makers = detectors(random_state)
    tables = []
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("comparing", total=len(tasks) * len(makers))
        for name, contamination, parts in tasks:
            results = {}
            for detector_name, detector in makers.items():
                progress.update(bar, description=f"{detector_name} on {name}")
                results[detector_name] = measure(detector, *parts)
                progress.advance(bar)
            mixed = f"{contamination:.0%} outliers" if contamination else "none"
            tables.append(table_of(f"{name} (outliers in training: {mixed})", results))
    for table in tables:
        console.print(table)
    console.print(
        "Average precision counts outliers as positive. Seconds of the first fit of "
        "each width include compilation."
    )


def main(arguments=None):
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m skae",
        description="Compare AutoencoderOutlierDetector with scikit-learn's detectors "
        "on real data bundled with scikit-learn.",
    )
    parser.add_argument(
        "--random-state", type=int, default=0, help="seed of splits and detectors"
    )
    options = parser.parse_args(arguments)
    if not 0 <= options.random_state < 2**32:
        parser.error(
            f"--random-state must be in [0, 2**32). Got {options.random_state}."
        )
    try:
        from rich.console import Console
    except ImportError:
        parser.error("this command needs rich: pip install 'skae[cli]'")
    compare(Console(), options.random_state)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
