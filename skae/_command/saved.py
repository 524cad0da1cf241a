"""Fitted Pipelines in files, by skops."""

from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from skae import AutoencoderOutlierDetector, thresholds
from skae._command import columns as of_columns
from skae._command.errors import CommandError, writing


def save(pipeline: Any, path: Path) -> None:
    """Write a fitted Pipeline to a file."""
    import skops.io

    with writing(path) as part:
        skops.io.dump(pipeline, part)


def load(path: Path) -> Pipeline:
    """Read a Pipeline that ``save`` wrote; refuse everything else."""
    import skops.io

    from skae.io import TRUSTED_TYPES

    try:
        pipeline = skops.io.load(path, trusted=TRUSTED_TYPES)
        _try(pipeline)
    except Exception as error:
        # Files of any content come here, and raise whatever they run into.
        line = " ".join(str(error).split())
        raise CommandError(
            f"{path} is no model that `python -m skae score` saved: {line}"
        ) from error
    return pipeline


def _try(pipeline: Any) -> None:
    """Do what scoring does, with a made-up row."""
    if not (
        isinstance(pipeline, Pipeline)
        and len(pipeline) == 2
        and isinstance(pipeline[0], ColumnTransformer)
        and isinstance(pipeline[1], AutoencoderOutlierDetector)
    ):
        raise TypeError("it holds something else.")
    # Earlier versions kept none.
    if getattr(pipeline, "decimal_", ".") not in (".", ","):
        raise ValueError(
            f"decimal_ must be a point or a comma. Got {pipeline.decimal_}."
        )
    columns = of_columns.columns_of(pipeline)
    row = of_columns.made_up(columns)
    row[columns.numbers] = 0.0
    for name in columns.dates:
        row[name] = pd.Timestamp(0)
    detector = pipeline[1]
    scores = pipeline.decision_function(row)
    thresholds.conformal_p_values(scores, detector.calibration_scores_)
    detector.explain(pipeline[0].transform(row))
