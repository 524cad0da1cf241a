"""Export to ONNX."""

import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skae._detector import AutoencoderOutlierDetector
from skae._optional import optional
from skae._types import MatrixLike
from skae.model_selection import TunedThresholdDetector

if TYPE_CHECKING:
    from onnx import ModelProto

# The first set of operators with Gelu; in ONNX Runtime since version 1.17.
OPSET = 20


def to_onnx(estimator: Any, X: MatrixLike) -> "ModelProto":
    """Export a fitted detector, or a Pipeline that ends in one, to an ONNX model.

    Parameters
    ----------
    estimator : AutoencoderOutlierDetector, TunedThresholdDetector or Pipeline
        Fitted. A tuned threshold becomes that of the model. The other steps of a
        Pipeline must be estimators that skl2onnx knows, such as StandardScaler,
        SimpleImputer, OneHotEncoder and ColumnTransformer.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        At least one row of the kind that the model will get, which the estimator can
        score. It gives the inputs their names and types: an array makes one input
        ``X``, a pandas data frame one per column.

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
        If ``estimator`` is something else, or ``X`` neither an array nor of pandas.
    ValueError
        If the columns of ``X`` are not those of the estimator, or if a step cannot be
        exported.

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
    from skae.io import _onnx_graph

    sample = _sample(X)
    # Wrong columns, wrong types: the estimator's own errors.
    estimator.decision_function(sample)
    skl2onnx.update_registered_converter(
        AutoencoderOutlierDetector,
        "SkaeAutoencoderOutlierDetector",
        _onnx_graph.set_shapes,
        _onnx_graph.convert,
        overwrite=True,
    )
    convert = partial(
        skl2onnx.convert_sklearn,
        estimator,
        target_opset=OPSET,
        custom_conversion_functions={SimpleImputer: _onnx_graph.convert_imputer},
    )
    try:
        return _onnx_graph.export(convert, sample, by_column=_selects(estimator))
    # skl2onnx raises nearly every type there is.
    except Exception as error:
        raise ValueError(f"A step cannot be exported to ONNX: {error}") from error


def _sample(X: Any) -> Any:
    """First row: a pandas data frame if the columns have names, else an array."""
    if hasattr(X, "iloc"):
        named = all(isinstance(name, str) for name in X.columns)
        return X.iloc[:1] if named else X.iloc[:1].to_numpy()
    if hasattr(X, "columns") or issparse(X):
        raise TypeError(
            f"X must be an array or a pandas data frame. Got {type(X).__name__}."
        )
    return np.asarray(X)[:1]


def _selects(estimator: Any) -> bool:
    """Whether the first step selects columns."""
    while isinstance(estimator, Pipeline):
        estimator = estimator[0]
    return isinstance(estimator, ColumnTransformer)


def _detector(estimator: Any) -> Any:
    """Last step of nested Pipelines."""
    while isinstance(estimator, Pipeline):
        estimator = estimator[-1]
    return estimator


def _exportable(estimator: Any) -> Any:
    """Return the detector, or the Pipeline, with the threshold that it really uses."""
    if isinstance(estimator, TunedThresholdDetector):
        check_is_fitted(estimator)
        inner = copy.deepcopy(_exportable(estimator.estimator_))
        _detector(inner).offset_ = estimator.offset_
        return inner
    if isinstance(estimator, Pipeline):
        *others, (name, last) = estimator.steps
        others = [(n, step) for n, step in others if step not in (None, "passthrough")]
        if any(map(_has_detector, dict(others).values())):
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
    if estimator.missing != "error":
        raise ValueError(
            "A detector with missing='mask' cannot be exported to ONNX. Put an imputer "
            "in front, or export it for rows without missing cells, which have the "
            "same scores with set_params(missing='error')."
        )
    _check_forms(estimator._model())
    return estimator


def _check_forms(model: Any) -> None:
    """Refuse what has no ONNX form, by its name."""
    from skae.core.bottlenecks import BOTTLENECKS
    from skae.core.networks import NETWORKS
    from skae.core.scores import SCORES

    for parameter, value, forms in (
        ("network", model.network.network, [n for n, k in NETWORKS.items() if k.onnx]),
        (
            "bottleneck",
            model.network.bottleneck,
            [name for name, kind in BOTTLENECKS.items() if kind.onnx_code],
        ),
        ("anomaly_score", model.score, [n for n, k in SCORES.items() if k.has_onnx]),
    ):
        if value not in forms:
            raise ValueError(
                f"A detector with {parameter}={value!r} cannot be exported to ONNX. "
                f"Only {parameter}={' or '.join(map(repr, forms))} can."
            )


def _has_detector(step: Any) -> bool:
    parts = [step, *step.get_params().values()]
    return any(isinstance(part, AutoencoderOutlierDetector) for part in parts)
