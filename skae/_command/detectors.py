"""Detectors to compare, and what is measured of them."""

import itertools
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from skae import AutoencoderOutlierDetector
from skae._command import limit
from skae._command.columns import quiet

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = ("ROC AUC", "AP", "fit s", "again s", "score s")

OURS = "AutoencoderOutlierDetector"


class Measured(NamedTuple):
    """Figures of a detector, the outlier positive; and what they were measured of.

    ``again_seconds`` are those of a second fit, NaN where there was none. All figures
    are NaN, and there is no pipeline, where time was up.
    """

    roc_auc: float
    average_precision: float
    fit_seconds: float
    again_seconds: float
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
        OURS: AutoencoderOutlierDetector(random_state=random_state, **parameters),
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


def own_scores(pipeline: Any, X: Any) -> np.ndarray:
    """Scores of new rows."""
    return pipeline.score_samples(X)


def measure(
    pipeline: Any,
    X_train: Any,
    X_test: Any,
    is_outlier: np.ndarray,
    *,
    score: Callable[[Any, Any], np.ndarray] = own_scores,
    again: bool = False,
) -> Measured:
    """Train, score, and measure both; train a second time if ``again``."""
    with quiet():
        start = time.perf_counter()
        pipeline.fit(X_train)
        fitted = time.perf_counter()
        scores = score(pipeline, X_test)
        scored = time.perf_counter()
        if again:
            clone(pipeline).fit(X_train)
    return Measured(
        roc_auc_score(is_outlier, -scores),
        average_precision_score(is_outlier, -scores),
        fitted - start,
        time.perf_counter() - scored if again else math.nan,
        scored - fitted,
        pipeline,
        scores,
    )


def measure_in_time(seconds: float, *arguments: Any) -> Measured:
    """Measure, or give up after so many seconds, with figures that are NaN."""
    try:
        with limit.limited(seconds):
            return measure(*arguments)
    except limit.TimeIsUp:
        return Measured(*(math.nan,) * 5, pipeline=None, scores=np.empty(0))


def figures_of(results: dict[str, Measured]) -> tuple[list[str], np.ndarray]:
    """Headings and figures of a table, without columns that have no figures."""
    figures = np.array([measured.figures for measured in results.values()])
    is_there = ~np.isnan(figures).all(axis=0)
    return list(itertools.compress(HEADINGS, is_there)), figures[:, is_there]


def table_of(title: str, results: dict[str, Measured]) -> "Table":
    """Table of figures, the best of each column in bold."""
    from rich.table import Table
    from rich.text import Text

    # What is between brackets is markup in a str.
    table = Table(title=Text(title, "bold"), title_justify="left")
    table.add_column("detector", no_wrap=True)
    headings, figures = figures_of(results)
    for heading in headings:
        table.add_column(heading, justify="right")
    signs = np.array([-1 if heading.endswith(" s") else 1 for heading in headings])
    best = np.nanmax(figures * signs, axis=0, initial=-np.inf) * signs
    for name, row in zip(results, figures, strict=True):
        cells = [
            f"[bold]{shown_figure(value)}[/bold]"
            if value == top
            else shown_figure(value)
            for value, top in zip(row, best, strict=True)
        ]
        table.add_row(name, *cells)
    return table


def shown_figure(value: float) -> str:
    """Three digits, or a dash for what is not known."""
    return "-" if math.isnan(value) else f"{value:.3f}"
