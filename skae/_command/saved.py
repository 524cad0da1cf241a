"""Fitted Pipelines in files, by skops."""

from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from skae import AutoencoderOutlierDetector
from skae._command.errors import CommandError, writing


def save(pipeline, path):
    """Write a fitted Pipeline to a file."""
    import skops.io

    with writing(path):
        skops.io.dump(pipeline, path)


def load(path):
    """Read a Pipeline that ``save`` wrote; refuse everything else."""
    import skops.io

    from skae.io import TRUSTED_TYPES

    try:
        pipeline = skops.io.load(path, trusted=TRUSTED_TYPES)
    except Exception as error:
        # Files of any content come here, and skops raises what it runs into.
        line = " ".join(str(error).split())
        raise CommandError(f"{path} is no saved model: {line}") from error
    is_ours = (
        isinstance(pipeline, Pipeline)
        and len(pipeline) == 2
        and isinstance(pipeline[0], ColumnTransformer)
        and [name for name, *_ in pipeline[0].transformers] == ["numbers", "categories"]
        and isinstance(pipeline[1], AutoencoderOutlierDetector)
    )
    if not is_ours:
        raise CommandError(f"{path} is no model that `python -m skae score` saved.")
    return pipeline
