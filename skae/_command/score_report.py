"""Report of scored rows."""

import numpy as np
import pandas as pd

from skae._command import page
from skae.inspection import (
    AlarmSignalDisplay,
    FeatureErrorDisplay,
    LatentSpaceDisplay,
    LossCurveDisplay,
    ScoreDistributionDisplay,
)

# Rows that the report names.
N_NAMED = 50


def write_report(pipeline, scored, name, notes, path):
    """Write the page of a scored file."""
    n_flagged, n_rows = scored.is_flagged.sum(), len(scored.scores)
    html = page.page(
        f"Outliers in {name}",
        page.paragraph(
            f"{n_flagged:,} of {n_rows:,} rows are flagged: their scores are below the "
            f"threshold {scored.offset:.4g}. The lower a score, the more abnormal the "
            "row."
        ),
        page.bullets(notes),
        page.heading("The most abnormal rows"),
        page.paragraph(
            "p-value: share of the rows held out from training with a score as low. "
            "Why: the columns that are restored worst, with their values and how many "
            "times the usual error."
        ),
        page.table(
            ["rank", "row", "score", "p-value", "why"],
            [
                (rank, row + 1, scored.scores[row], scored.p_values[row], why)
                for rank, row in enumerate(scored.worst_rows[:N_NAMED], 1)
                for why in [", ".join(scored.reasons(row))]
            ],
        ),
        *_pictures_of_scores(scored),
        *_pictures_of_rows(pipeline, scored),
        page.heading("Training"),
        page.picture(
            lambda ax: LossCurveDisplay.from_estimator(pipeline, ax=ax),
            "Loss of the training rows and of the rows held out, epoch by epoch.",
        ),
    )
    page.write(html, path)


def _pictures_of_scores(scored):
    known = scored.scores[~np.isnan(scored.scores)]
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
            lambda ax: AlarmSignalDisplay.from_predictions(
                None, known, threshold=scored.offset, ax=ax
            ),
            "Anomaly signal, minus the score, of the rows in the order of the file. "
            "Dots are rows that are flagged.",
        ),
    )


def _pictures_of_rows(pipeline, scored):
    worst = scored.worst_rows
    flagged = worst[scored.is_flagged[worst]]
    others = scored.others.index.to_numpy()
    # NaN is no lower than the threshold: rows without a score have no place here.
    others = others[scored.scores[others] >= scored.offset]
    rows = pd.concat([scored.top.loc[flagged], scored.others.loc[others]])
    y = np.r_[-np.ones(len(flagged)), np.ones(len(others))]
    if not len(rows):
        return ()
    shown = (
        f"{len(flagged):,} flagged rows and {len(others):,} others, chosen at random"
    )
    parts = [
        page.heading("Columns"),
        page.picture(
            lambda ax: FeatureErrorDisplay.from_estimator(pipeline, rows, y, ax=ax),
            f"Mean errors of the worst columns, of {shown}.",
            size=(7.2, 4.8),
        ),
    ]
    if len(flagged):
        parts.append(
            page.picture(
                lambda ax: FeatureErrorDisplay.from_estimator(
                    pipeline, scored.top.loc[flagged], kind="heatmap", ax=ax
                ),
                f"Errors of the {len(flagged):,} most abnormal flagged rows, the most "
                "abnormal to the left.",
                size=(7.2, 4.8),
            )
        )
    return (
        *parts,
        page.picture(
            lambda ax: LatentSpaceDisplay.from_estimator(pipeline, rows, y, ax=ax),
            f"Map of the codes of {shown}.",
            size=(7.2, 4.8),
        ),
    )
