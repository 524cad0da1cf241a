"""Fits and scores of tables that are spread over the workers of a Dask cluster."""

from skae._optional import optional

optional("dask", "dask")
optional("distributed", "dask")

from skae.dask._detector import DaskAutoencoderOutlierDetector  # noqa: E402

__all__ = ["DaskAutoencoderOutlierDetector"]
