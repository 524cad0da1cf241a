"""Errors, explanations and p-values in terms of the columns that enter a Pipeline."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skae._frames import like_frame
from skae._parts import entering, parts
from skae._ranges import Int
from skae._ranking import name_features
from skae._tracing import trace
from skae._types import MatrixLike
from skae._validation import check_range


def feature_errors(estimator: Any, X: MatrixLike, normalize: bool = True) -> Any:
    """How much each column contributes to the reconstruction error of each row.

    What the transformers of a Pipeline make from one column, such as the columns of a
    one-hot encoding, counts as this column: squared residuals and usual errors are
    summed. What they make from several, such as a principal component, keeps the name
    that the transformer gives it. What comes out of a transformer that does not tell
    has the transformer's name and a number, such as ``functiontransformer0``: give a
    FunctionTransformer ``feature_names_out="one-to-one"`` where it keeps the columns.
    Of ufuncs, such as ``np.log1p``, that is known.

    Parameters
    ----------
    estimator : object
        Fitted :class:`~skae.AutoencoderOutlierDetector`, or a Pipeline, search or
        meta-estimator around one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, as they enter the estimator.
    normalize : bool, default=True
        Whether to divide by the mean error on training rows, so that 1 is usual.
        False gives squared residuals in squared units of what enters the detector.

    Returns
    -------
    {ndarray, DataFrame} of shape (n_samples, n_columns)
        Errors >= 0, NaN in missing cells. A data frame of the same kind where ``X``
        is one; columns that no transformer passes on are left out.

    Raises
    ------
    TypeError
        If the detector has no feature errors.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import AutoencoderOutlierDetector
    >>> from skae.inspection import feature_errors
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> detector = make_pipeline(
    ...     StandardScaler(), AutoencoderOutlierDetector(random_state=0)
    ... ).fit(X)
    >>> feature_errors(detector, [[0, 9, 0]]).argmax()
    np.int64(1)
    """
    errors, names = named_errors(estimator, X, normalize=normalize)
    return like_frame(errors, X, names)


def explain(
    estimator: Any, X: MatrixLike, n_features: int = 5
) -> list[list[tuple[str, float]]]:
    """Name the columns that make the score of each row, the worst first.

    See :meth:`skae.AutoencoderOutlierDetector.explain`. Of what the transformers of a
    Pipeline make from one column, such as the columns of a one-hot encoding, the one
    that is worst counts. Other names are as in :func:`feature_errors`.

    Parameters
    ----------
    estimator : object
        Fitted :class:`~skae.AutoencoderOutlierDetector`, or a Pipeline, search or
        meta-estimator around one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, as they enter the estimator.
    n_features : int, default=5
        Columns to name for each row, at most all.

    Returns
    -------
    list of list of (str, float)
        For each row, names and parts of the score, at least 0. Missing cells are not
        named.

    Raises
    ------
    TypeError
        If the detector does not explain.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import AutoencoderOutlierDetector
    >>> from skae.inspection import explain
    >>> X = load_wine(as_frame=True).data
    >>> detector = make_pipeline(
    ...     StandardScaler(), AutoencoderOutlierDetector(max_iter=10, random_state=0)
    ... ).fit(X)
    >>> row = X.iloc[:1].assign(alcohol=20.0)
    >>> explain(detector, row, n_features=1)[0][0][0]
    'alcohol'
    """
    check_range("n_features", n_features, Int("[1, inf)"), "explain")
    transformers, detector = detector_with("explain", estimator)
    inputs, names, column = trace(estimator, transformers, X)
    parts = parts_by_column(detector, inputs, column)
    return name_features(parts, names, n_features)


def p_values(estimator: Any, X: MatrixLike) -> NDArray[np.float64]:
    """Conformal p-values of rows as they enter a Pipeline.

    Parameters
    ----------
    estimator : object
        Fitted :class:`~skae.AutoencoderOutlierDetector`, or a Pipeline, search or
        meta-estimator around one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, as they enter the estimator.

    Returns
    -------
    ndarray of shape (n_samples,)
        In (0, 1]; small = rare among normal rows. See
        :meth:`skae.AutoencoderOutlierDetector.p_values`.

    Raises
    ------
    TypeError
        If the detector has no p-values.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import AutoencoderOutlierDetector
    >>> from skae.inspection import p_values
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> detector = make_pipeline(
    ...     StandardScaler(), AutoencoderOutlierDetector(random_state=0)
    ... ).fit(X)
    >>> bool(p_values(detector, [[9, -9, 9]])[0] < 0.05)
    True
    """
    transformers, detector = detector_with("p_values", estimator)
    return detector.p_values(entering(transformers, X))


def named_errors(
    estimator: Any, X: Any, *, normalize: bool = True
) -> tuple[np.ndarray, list[str]]:
    """Errors by column that entered, and the names of these columns."""
    transformers, detector = detector_with("feature_errors", estimator)
    inputs, names, column = trace(estimator, transformers, X)
    return errors_by_column(detector, inputs, column, normalize=normalize), names


def errors_by_column(
    detector: Any, inputs: Any, column: np.ndarray, *, normalize: bool = True
) -> np.ndarray:
    """Errors of a detector's inputs, those of the same column summed up."""
    n_columns = column.max() + 1
    if n_columns == len(column):
        return np.asarray(detector.feature_errors(inputs, normalize=normalize))
    raw = np.asarray(detector.feature_errors(inputs, normalize=False))
    errors = _sums(raw, column)
    if normalize:
        usual = np.where(np.isnan(raw), np.nan, detector._usual_errors())
        errors /= _sums(usual, column)
    return errors


def parts_by_column(detector: Any, inputs: Any, column: np.ndarray) -> np.ndarray:
    """Parts of the scores of a detector's inputs, the worst of each column."""
    order, starts = _runs(column)
    # NaN only where all of a column's inputs are missing.
    return np.fmax.reduceat(detector._explained(inputs)[:, order], starts, axis=1)


def _runs(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order of the inputs by column, and where each column starts."""
    order = np.argsort(column, kind="stable")
    return order, np.searchsorted(column[order], np.arange(column.max() + 1))


def _sums(values: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Sum up the inputs made from each column; NaN where all of them are NaN."""
    order, starts = _runs(column)
    ordered = values[:, order]
    missing = np.isnan(ordered)
    sums = np.add.reduceat(np.where(missing, 0.0, ordered), starts, axis=1)
    sums[np.logical_and.reduceat(missing, starts, axis=1)] = np.nan
    return sums


def detector_with(method: str, estimator: Any) -> tuple[list[Any], Any]:
    """Return the transformers and the detector of an estimator, which has a method."""
    check_is_fitted(estimator)
    transformers, detector = parts(estimator)
    if not hasattr(detector, method):
        raise TypeError(
            f"The 'estimator' parameter must be or hold a detector with {method}, such "
            f"as AutoencoderOutlierDetector. Got {type(detector).__name__}."
        )
    return transformers, detector
