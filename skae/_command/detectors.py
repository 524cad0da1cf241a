"""Detectors to compare, and what is measured of them."""

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from skae import AutoencoderOutlierDetector
from skae._command.columns import quiet

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = ("ROC AUC", "avg. precision", "fit s", "score s")


class Measured(NamedTuple):
    """Figures of a detector, the outlier positive; and what they were measured of."""

    roc_auc: float
    average_precision: float
    fit_seconds: float
    score_seconds: float
    pipeline: Any
    scores: np.ndarray

    @property
    def figures(self) -> tuple[Any, ...]:
        """Those of the table, in the order of ``HEADINGS``."""
        return self[: len(HEADINGS)]


def detectors(random_state: int, **parameters: Any) -> dict[str, Any]:
    """Detectors to compare, each with its default parameters."""
    return {
        "AutoencoderOutlierDetector": AutoencoderOutlierDetector(
            random_state=random_state, **parameters
        ),
        "IsolationForest": IsolationForest(random_state=random_state),
        "LocalOutlierFactor": LocalOutlierFactor(novelty=True),
        "OneClassSVM": OneClassSVM(),
        "EllipticEnvelope": EllipticEnvelope(random_state=random_state),
    }


def told(detectors: dict[str, Any], share: float) -> dict[str, Any]:
    """Tell the share of outliers among the training rows to those that can be told."""
    for detector in detectors.values():
        if share and "contamination" in detector.get_params():
            detector.set_params(contamination=share)
    return detectors


def measure(
    pipeline: Any, X_train: Any, X_test: Any, is_outlier: np.ndarray
) -> Measured:
    """Train, score, and measure both."""
    with quiet():
        start = time.perf_counter()
        pipeline.fit(X_train)
        fitted = time.perf_counter()
        scores = pipeline.score_samples(X_test)
    return Measured(
        roc_auc_score(is_outlier, -scores),
        average_precision_score(is_outlier, -scores),
        fitted - start,
        time.perf_counter() - fitted,
        pipeline,
        scores,
    )


def table_of(title: str, results: dict[str, Measured]) -> "Table":
    """Table of figures, the best of each column in bold."""
    from rich.table import Table
    from rich.text import Text

    # What is between brackets is markup in a str.
    table = Table(title=Text(title, "bold"), title_justify="left")
    table.add_column("detector")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    values = np.array([measured.figures for measured in results.values()])
    best = np.r_[values[:, :2].max(axis=0), values[:, 2:].min(axis=0)]
    for name, measured in results.items():
        cells = [
            f"[bold]{value:.3f}[/bold]" if value == top else f"{value:.3f}"
            for value, top in zip(measured.figures, best, strict=True)
        ]
        table.add_row(name, *cells)
    return table
