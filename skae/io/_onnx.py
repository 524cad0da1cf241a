"""Export to ONNX."""

import copy
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skae._detector import AutoencoderOutlierDetector
from skae.io._optional import optional
from skae.model_selection import TunedThresholdDetector

# The first set of operators with Gelu; in ONNX Runtime since version 1.17.
OPSET = 20


def to_onnx(estimator, X):
    """Export a fitted detector, or a Pipeline that ends in one, to an ONNX model.

    Parameters
    ----------
    estimator : AutoencoderOutlierDetector, TunedThresholdDetector or Pipeline
        Fitted. A tuned threshold becomes that of the model. The other steps of a
        Pipeline must be estimators that skl2onnx knows, such as StandardScaler,
        SimpleImputer, OneHotEncoder and ColumnTransformer.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        At least one row of the kind that the model will get. It gives the inputs their
        names and types: an array makes one input ``X``, a data frame one per column.

    Returns
    -------
    onnx.ModelProto
        A model with two outputs, as skl2onnx makes them of scikit-learn's outlier
        detectors: ``label`` of shape (n_samples, 1), +1 for inliers and -1 for
        outliers, and ``scores`` of the same shape, the decision function: negative
        for outliers. Scores are float64 for float64 inputs and float32 otherwise.

    Raises
    ------
    ImportError
        If skl2onnx is not installed (``pip install skae[onnx]``).
    TypeError
        If ``estimator`` is something else.
    ValueError
        If a step cannot be exported; the message names it.

    Notes
    -----
    Rows with NaN, which the detector refuses, get the label -1 and NaN as a score.
    The default score compares every row with up to 4,096 others: pass large tables in
    batches of some thousand rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import AutoencoderOutlierDetector
    >>> from skae.io import to_onnx
    >>> X = np.random.default_rng(0).normal(size=(300, 4))
    >>> detector = AutoencoderOutlierDetector(max_iter=5)
    >>> model = to_onnx(make_pipeline(StandardScaler(), detector).fit(X), X)
    >>> [output.name for output in model.graph.output]
    ['label', 'scores']
    """
    estimator = _exportable(estimator)
    skl2onnx = optional("skl2onnx", "onnx")
    from skl2onnx.algebra.type_helper import guess_initial_types
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    from skae.io import _onnx_graph

    skl2onnx.update_registered_converter(
        AutoencoderOutlierDetector,
        "SkaeAutoencoderOutlierDetector",
        _onnx_graph.set_shapes,
        _onnx_graph.convert,
        overwrite=True,
    )
    sample = X[:1] if hasattr(X, "iloc") else np.asarray(X)[:1]
    try:
        return skl2onnx.convert_sklearn(
            estimator,
            initial_types=guess_initial_types(sample),
            target_opset=OPSET,
            custom_conversion_functions={SimpleImputer: _onnx_graph.convert_imputer},
        )
    except (MissingConverter, MissingShapeCalculator, NotImplementedError) as error:
        raise ValueError(f"A step cannot be exported to ONNX: {error}") from error


def _exportable(estimator: Any) -> Any:
    """Return the detector, or the Pipeline, with the threshold that it really uses."""
    if isinstance(estimator, TunedThresholdDetector):
        check_is_fitted(estimator)
        inner = copy.deepcopy(_exportable(estimator.estimator_))
        last = inner[-1] if isinstance(inner, Pipeline) else inner
        last.offset_ = estimator.offset_
        return inner
    if isinstance(estimator, Pipeline):
        *others, (name, last) = estimator.steps
        if any(isinstance(step, AutoencoderOutlierDetector) for _, step in others):
            raise ValueError(
                "An AutoencoderOutlierDetector as a transformer, before the last step "
                "of a Pipeline, cannot be exported to ONNX."
            )
        return Pipeline([*others, (name, _exportable(last))])
    if not isinstance(estimator, AutoencoderOutlierDetector):
        raise TypeError(
            "to_onnx exports an AutoencoderOutlierDetector, a TunedThresholdDetector "
            "around one, or a Pipeline that ends in one. Got "
            f"{type(estimator).__name__}."
        )
    check_is_fitted(estimator)
    return estimator
