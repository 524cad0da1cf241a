"""Compare the detectors on real data that is bundled with scikit-learn.

Every detector has its default parameters, stands behind a StandardScaler and sees the
same rows. Half of the normal rows train, the other half and the outliers test. In the
second block a share of outliers is mixed into the training rows, and detectors that
have the parameter ``contamination`` are told how large it is. The third looks like use:
a table whose own outliers are looked for, and rows that are scored as they come.
"""

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae._command import verdict
from skae._command.detectors import detectors, measure, own_scores, table_of, told
from skae._command.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

SHARE = 0.05
CONTAMINATIONS = (0.0, SHARE)

# Rows of the stream.
N_STREAMED = 100

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


class Task(NamedTuple):
    """Rows to train on, rows to score, and which of these are outliers."""

    block: str
    title: str
    share: float
    parts: tuple[np.ndarray, np.ndarray, np.ndarray]
    score: Callable[[Any, Any], np.ndarray] = own_scores


def tasks_of(random_state: int) -> list[Task]:
    """Make all tasks, block by block."""
    tasks = [
        Task(
            f"{share:.0%} outliers train, told" if share else "normal rows train",
            name + (f", and {share:.0%} train, told" if share else ""),
            share,
            split(*source, share, random_state),
        )
        for share in CONTAMINATIONS
        for name, source in DATA.items()
    ]
    block = "in use"
    name, source = next(iter(DATA.items()))
    X, _, _ = split(*source, SHARE, random_state)
    # Training rows come first, then the outliers that were mixed in.
    is_outlier = np.arange(len(X)) >= round(len(X) * (1 - SHARE))
    title = f"{name}: one table with {SHARE:.0%} outliers, told, scored itself"
    tasks.append(Task(block, title, SHARE, (X, X, is_outlier), scores_of_training_rows))
    name, source = list(DATA.items())[-1]
    X, test, is_outlier = split(*source, 0.0, random_state)
    rows = np.random.default_rng(random_state).permutation(len(test))[:N_STREAMED]
    title = f"{name}: {N_STREAMED} new rows scored as they come, one by one"
    tasks.append(Task(block, title, 0.0, (X, test[rows], is_outlier[rows]), one_by_one))
    return tasks


def scores_of_training_rows(pipeline: Any, X: np.ndarray) -> np.ndarray:
    """Scores of the rows that trained, for which LocalOutlierFactor has its own."""
    own = getattr(pipeline[-1], "negative_outlier_factor_", None)
    return pipeline.score_samples(X) if own is None else own


def one_by_one(pipeline: Any, X: np.ndarray) -> np.ndarray:
    """Scores of a row at a time."""
    return np.concatenate([pipeline.score_samples(row[None]) for row in X])


def run(options: Namespace, console: "Console", progress: Progress) -> None:
    """Run every detector on every task, and print tables and what they say."""
    tasks = tasks_of(options.random_state)
    n_detectors = len(detectors(options.random_state))
    blocks: dict[str, list[verdict.Results]] = {}
    tables = []
    with progress.steps("comparing", len(tasks) * n_detectors) as step:
        for task in tasks:
            results = {}
            makers = told(detectors(options.random_state), task.share)
            for name, detector in makers.items():
                step(f"{name} on {task.title}")
                pipeline = make_pipeline(StandardScaler(), detector)
                results[name] = measure(
                    pipeline, *task.parts, score=task.score, again=True
                )
            tables.append(table_of(task.title, results))
            blocks.setdefault(task.block, []).append(results)
    for table in (*tables, verdict.table_of_ranks(blocks)):
        console.print(table)
    console.print(
        "AP, average precision, counts outliers as positive. The first fit of each "
        "width compiles programs, unless they are kept from the last time.\n"
    )
    for line in verdict.of_blocks(blocks):
        console.print(f"- {line}", markup=False, highlight=False)
