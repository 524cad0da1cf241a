"""Report of scored rows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skae._command import page, whole_rows
from skae._command.scored import Scored
from skae._command.text import shown
from skae.inspection import (
    AlarmSignalDisplay,
    FeatureErrorDisplay,
    LatentSpaceDisplay,
    LossCurveDisplay,
    ScoreDistributionDisplay,
)

# Rows that the report names: before the pictures, and behind them.
N_FIRST, N_NAMED = 10, 50


P_VALUE = "p-value: share of the rows held out from training with a score as low. "

# How the legends of pictures of labelled rows read where flags take labels' place.
NAMES = {"inliers": "not flagged", "outliers": "flagged"}


def write_report(
    pipeline: Any,
    scored: Scored,
    rows: pd.DataFrame,
    name: str,
    row_id: str | None,
    notes: list[str],
    path: Path,
) -> None:
    """Write the page of a scored file; ``rows`` has the worst as in the file."""
    n_flagged = int(scored.is_flagged.sum())
    numbers = scored.worst_rows[: int(np.clip(n_flagged, N_FIRST, N_NAMED))]
    html = page.page(
        f"Outliers in {name}",
        page.paragraph(
            f"{scored.flagged_share}: their "
            f"scores are below the threshold {scored.offset:.4g}. The lower a score, "
            "the more abnormal the row."
        ),
        page.heading("The most abnormal rows"),
        page.paragraph(
            ("" if scored.p_values is None else P_VALUE)
            + "Why: the cells that do not fit the rest of their row, and what was "
            "expected there. What only follows from them is not named."
        ),
        page.table(
            [
                *("rank", "row"),
                *([shown(row_id)] if row_id is not None else []),
                *("flagged", "score"),
                *(() if scored.p_values is None else ("p-value",)),
                "why",
            ],
            [
                _line(
                    scored, rank, row, [] if row_id is None else [rows.at[row, row_id]]
                )
                for rank, row in enumerate(numbers[:N_FIRST], 1)
            ],
        ),
        page.bullets(notes),
        *_pictures_of_scores(scored),
        *_pictures_of_rows(pipeline, scored),
        page.heading("Training"),
        page.picture(
            lambda ax: LossCurveDisplay.from_estimator(pipeline, ax=ax),
            "Loss of the training rows and of the rows held out, epoch by epoch.",
        ),
        page.heading("The most abnormal rows as they stand in the file"),
        page.paragraph("The cells that make a row abnormal are marked."),
        whole_rows.table(scored, rows, numbers),
    )
    page.write(html, path)


def _line(
    scored: Scored, rank: int, row: int, row_id: Sequence[Any]
) -> tuple[Any, ...]:
    return (
        rank,
        int(row) + 1,
        *map(shown, row_id),
        "yes" if scored.is_flagged[row] else "no",
        float(scored.scores[row]),
        *(() if scored.p_values is None else (float(scored.p_values[row]),)),
        "; ".join(scored.reasons(row)),
    )


def _pictures_of_scores(scored: Scored) -> tuple[str, ...]:
    known = scored.scores[scored.has_score]
    numbers = np.flatnonzero(scored.has_score) + 1

    def draw_signal(ax: Any) -> None:
        AlarmSignalDisplay.from_predictions(
            None, known, threshold=scored.offset, time=numbers, ax=ax
        )
        ax.set_xlabel("row")

    return (
        page.heading("Scores"),
        page.picture(
            lambda ax: ScoreDistributionDisplay.from_predictions(
                None, known, threshold=scored.offset, ax=ax
            ),
            f"Histogram of the scores of {len(known):,} rows, with the threshold: "
            f"{scored.is_flagged.sum():,} are below.",
        ),
        page.picture(
            draw_signal,
            "Anomaly signal, minus the score, of the rows in the order of the file. "
            "Dots are rows that are flagged.",
        ),
    )


def _pictures_of_rows(pipeline: Any, scored: Scored) -> tuple[str, ...]:
    worst = scored.worst_rows
    flagged = worst[scored.is_flagged[worst]]
    others = scored.others.index.to_numpy()
    # NaN is no lower than the threshold: rows without a score have no place here.
    others = others[scored.scores[others] >= scored.offset]
    rows = pd.concat([scored.top.loc[flagged], scored.others.loc[others]])
    y = np.r_[-np.ones(len(flagged)), np.ones(len(others))]
    if not len(rows):
        return ()
    shown = f"{len(flagged):,} flagged rows and {len(others):,} others"
    parts = [
        page.heading("Columns"),
        page.picture(
            _of_flags(FeatureErrorDisplay, pipeline, rows, y),
            f"Mean errors of the worst columns, of {shown}. A few extreme rows may "
            "rule a mean.",
            size=(7.2, 4.8),
        ),
    ]
    if len(flagged):
        parts.append(_heat_map(pipeline, scored.top.loc[flagged]))
    return (
        *parts,
        page.picture(
            _of_flags(LatentSpaceDisplay, pipeline, rows, y),
            f"Map of the codes of {shown}.",
            size=(7.2, 4.8),
        ),
    )


def _of_flags(display: Any, pipeline: Any, rows: Any, y: Any) -> Callable[[Any], None]:
    """Picture of rows whose flags stand for labels, and are called so."""

    def draw(ax: Any) -> None:
        shown = display.from_estimator(pipeline, rows, y, ax=ax)
        for axes in shown.figure_.axes:
            legend = axes.get_legend()
            for text in legend.get_texts() if legend else ():
                for label, flag in NAMES.items():
                    text.set_text(text.get_text().replace(label, flag))

    return draw


def _heat_map(pipeline: Any, rows: pd.DataFrame) -> str:
    def draw(ax: Any) -> None:
        FeatureErrorDisplay.from_estimator(pipeline, rows, kind="heatmap", ax=ax)
        ax.set_xlabel("flagged rows by rank, from 0")

    return page.picture(
        draw,
        f"Errors of the {len(rows):,} most abnormal flagged rows, the most abnormal to "
        "the left. Missing cells are white.",
        size=(7.2, 4.8),
    )
