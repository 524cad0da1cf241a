"""Compare the detectors on a labelled file."""

from argparse import Namespace
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.metrics import PrecisionRecallDisplay, RocCurveDisplay

from skae import AutoencoderOutlierDetector
from skae._command import columns as of_columns
from skae._command import giveaways, page, tables, verdict
from skae._command.detectors import (
    OURS,
    Measured,
    detectors,
    figures_of,
    measure_in_time,
    table_of,
    told,
)
from skae._command.errors import CommandError
from skae._command.progress import Progress
from skae._command.text import listed, shown, visible
from skae.inspection import (
    FeatureErrorDisplay,
    LatentSpaceDisplay,
    LossCurveDisplay,
    ScoreDistributionDisplay,
    ThresholdCostDisplay,
)

if TYPE_CHECKING:
    from rich.console import Console

# Some of the detectors need time and memory that grow with the square of the rows.
MAX_ROWS, MAX_TRAIN = 50_000, 10_000

# Digits of labels that are compared as numbers.
MAX_DIGITS = 400

# Lines that are told apart in grey.
STYLES = ("-", "--", "-.", ":", (0, (1, 1)), (0, (5, 1, 1, 1)))

CURVES = (
    (
        "ROC curves",
        RocCurveDisplay.from_predictions,
        {"xlabel": "share of inliers flagged", "ylabel": "share of outliers flagged"},
    ),
    (
        "Precision against recall",
        PrecisionRecallDisplay.from_predictions,
        {"xlabel": "share of outliers flagged (recall)", "ylabel": "precision"},
    ),
)


def run(options: Namespace, console: "Console", progress: Progress) -> None:
    """Split, measure every detector, and write what is asked for."""
    rng = np.random.default_rng(options.random_state)
    table = tables.open_table(options.file)
    with progress("reading", table) as advance:
        chunks = tables.chunks(table, verbatim=[options.label])
        rows, n_rows = tables.sample(advance(chunks), MAX_ROWS, rng)
    notes: list[str] = []
    rows, is_outlier, outlier = _labels(rows, options, notes)
    chosen = of_columns.choose(rows, table.decimal, [options.label, *options.drop])
    notes += chosen.notes
    if n_rows > MAX_ROWS:
        notes.append(
            f"{MAX_ROWS:,} of {n_rows:,} rows are compared on, chosen at random"
        )
    X = of_columns.frame(rows, chosen, table.decimal)
    valued = ~of_columns.without_values(X)
    X, is_outlier = X[valued], is_outlier[valued]
    notes += giveaways.note(X, chosen, is_outlier)
    train, test = split(is_outlier, options.contaminated, rng)
    notes.append(
        f"{len(train):,} rows train, {is_outlier[train].sum():,} of them outliers; "
        f"{len(test):,} rows test, {is_outlier[test].sum():,} of them outliers"
    )
    results = {}
    makers = _makers(options, is_outlier[train].mean())
    parts = X.iloc[train], X.iloc[test], is_outlier[test]
    with progress.steps("comparing", len(makers)) as step:
        for name, detector in makers.items():
            step(name)
            masks = isinstance(detector, AutoencoderOutlierDetector)
            pipeline = of_columns.pipeline(chosen, detector, impute=not masks)
            results[name] = measure_in_time(options.time_limit, pipeline, *parts)
            if results[name].pipeline is None:
                notes.append(f"{name} did not end in {options.time_limit:g} s")
    title = f"{table.name}: {shown(options.label)} = {listed(outlier)} is the outlier"
    console.print(table_of(title, results))
    for note in notes:
        console.print(f"- {note}", markup=False, highlight=False)
    words = verdict.of_one(results, is_outlier[test], rng)
    console.print(words, markup=False, highlight=False)
    notes.insert(0, words)
    _report(results, X.iloc[test], is_outlier[test], title, notes, options.report)
    console.print(
        f"Pictures: {visible(options.report)}.", markup=False, highlight=False
    )


def _makers(options: Namespace, share: float) -> dict[str, Any]:
    """Make the detectors, and ours that knows the share of outliers."""
    makers = detectors(options.random_state, missing="mask")
    if 0 < share <= 0.5:
        knowing = told(detectors(options.random_state, missing="mask"), share)[OURS]
        name = f"the same, contamination={share:.2g}"
        makers = {OURS: makers.pop(OURS), name: knowing, **makers}
    return makers


def _labels(
    rows: pd.DataFrame, options: Namespace, notes: list[str]
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Rows with a label, whether they are outliers, and the label of outliers."""
    if options.label not in rows.columns:
        raise CommandError(
            f"there is no column {options.label!r}. The columns are: "
            f"{listed(rows.columns)}."
        )
    labelled = rows[options.label].notna()
    if not labelled.all():
        notes.append(f"{(~labelled).sum():,} rows without a label are left out")
        rows = rows[labelled]
    label = rows[options.label].astype("str").map(_name)
    counts = label.value_counts()
    found = listed([f"{shown(value)} ({n:,})" for value, n in counts.items()])
    outlier = [_name(value) for value in options.outlier or ()]
    reason = "as --outlier says" if outlier else "the rarer of two values"
    outlier = outlier or _rarest(counts, options.label, found)
    unknown = [value for value in outlier if value not in counts.index]
    if unknown:
        raise CommandError(
            f"no row has {options.label} = {unknown[0]}. The values are: {found}."
        )
    is_outlier = label.isin(outlier).to_numpy()
    if is_outlier.all() or not is_outlier.any():
        raise CommandError(
            f"{options.label} needs inliers and outliers. The values are: {found}."
        )
    notes.append(
        f"{shown(options.label)} = {listed(outlier)} is the outlier, {reason}: {found}"
    )
    return rows, is_outlier, outlier


def _name(label: str) -> str:
    """Name of a label: 1 and 1.0 are the same, and so is 1e0."""
    label = label.strip()
    try:
        number = Decimal(label)
    except InvalidOperation:
        return label
    # Others would be words, or would take many digits.
    if "_" in label or not number.is_finite() or abs(number.adjusted()) > MAX_DIGITS:
        return label
    digits = f"{number or abs(number):f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _rarest(counts: pd.Series, name: str, found: str) -> list[str]:
    if len(counts) != 2 or counts.iloc[0] == counts.iloc[1]:
        raise CommandError(
            f"--outlier must say which values of {name} are outliers, unless one of "
            f"two is rarer. The values are: {found or 'none'}."
        )
    return [counts.index[1]]


def split(
    is_outlier: np.ndarray, contaminated: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on: half of the inliers, or of all rows; and rows to test on."""
    order = rng.permutation(len(is_outlier))
    candidates = order if contaminated else order[~is_outlier[order]]
    train = candidates[: min((len(candidates) + 1) // 2, MAX_TRAIN)]
    test = np.setdiff1d(order, train)
    for name, kind in (("outlier", is_outlier), ("inlier", ~is_outlier)):
        if not kind[test].any():
            raise CommandError(f"there are too few {name}s: none is left to test on.")
    if len(train) < 10:
        raise CommandError(
            f"training needs 10 rows. Half of those that may train are {len(train)}."
        )
    return np.sort(train), test


def _report(
    results: dict[str, Measured],
    X: pd.DataFrame,
    is_outlier: np.ndarray,
    title: str,
    notes: list[str],
    path: Path,
) -> None:
    headings, figures = figures_of(results)
    names = list(results)
    results = {key: found for key, found in results.items() if found.pipeline}
    curves = [
        page.picture(
            lambda ax, draw=draw, axes=axes: _curves(
                draw, axes, ax, is_outlier, results
            ),
            f"{kind} of all detectors, with the outlier as the positive class.",
            size=(7.2, 4.8),
        )
        for kind, draw, axes in CURVES
    ]
    html = page.page(
        f"Detectors on {title}",
        page.bullets(notes),
        page.table(
            ["detector", *headings],
            [(name, *row) for name, row in zip(names, figures.tolist(), strict=True)],
        ),
        page.paragraph("The first fit of a process includes compilation."),
        *curves,
        *_pictures(results.get(OURS), X, np.where(is_outlier, -1, 1)),
    )
    page.write(html, path)


def _pictures(ours: Measured | None, X: pd.DataFrame, y: np.ndarray) -> tuple[str, ...]:
    if ours is None:
        return ()
    offset = ours.pipeline[-1].offset_
    return (
        page.heading(OURS),
        page.picture(
            lambda ax: ScoreDistributionDisplay.from_predictions(
                y, ours.scores, threshold=offset, ax=ax
            ),
            "Histograms of the scores of inliers and outliers, with the threshold.",
        ),
        page.picture(
            lambda ax: ThresholdCostDisplay.from_predictions(
                y, ours.scores, threshold=offset, ax=ax
            ),
            "F1 score of the outliers for every threshold, and the threshold of the "
            "detector.",
        ),
        page.picture(
            lambda ax: FeatureErrorDisplay.from_estimator(ours.pipeline, X, y, ax=ax),
            "Mean errors of the columns that are restored worst, for inliers and "
            "outliers.",
            size=(7.2, 4.8),
        ),
        page.picture(
            lambda ax: LatentSpaceDisplay.from_estimator(ours.pipeline, X, y, ax=ax),
            "Map of the codes of inliers and outliers.",
            size=(7.2, 4.8),
        ),
        page.picture(
            lambda ax: LossCurveDisplay.from_estimator(ours.pipeline, ax=ax),
            "Loss of the training rows and of the rows held out, epoch by epoch.",
        ),
    )


def _curves(
    draw: Callable[..., Any],
    axes: dict[str, str],
    ax: Any,
    is_outlier: np.ndarray,
    results: dict[str, Measured],
) -> None:
    for style, (name, measured) in zip(STYLES, results.items(), strict=False):
        draw(is_outlier, -measured.scores, ax=ax, name=name, curve_kwargs={"ls": style})
    ax.set(**axes)
    ax.legend(fontsize="small")
