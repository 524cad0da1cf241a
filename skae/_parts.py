"""What estimators are made of: transformers, a detector, and wrappers around them."""

import copy
import re

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.stable.v2.dependencies import is_pandas_dataframe
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

# Stands for a column in names that transformers make.
TOKEN = re.compile("\0([0-9]+)\0")


def parts(estimator):
    """Split a fitted estimator into transformers, in order, and its detector.

    Looks into Pipelines, searches, frozen and meta-estimators.
    """
    transformers = []
    while True:
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif isinstance(estimator, Pipeline):
            transformers += [step for _, step in estimator.steps[:-1] if _works(step)]
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(getattr(estimator, "estimator_", None), "score_samples"):
            # Not the trees of a forest, which call their template so as well.
            estimator = estimator.estimator_
        else:
            return transformers, estimator


def _works(step):
    return step is not None and not isinstance(step, str)


def entering(transformers, X):
    """Rows as they reach the detector."""
    for transformer in transformers:
        X = transformer.transform(X)
    return X


def offset_of(estimator):
    """Threshold of a fitted detector, found behind wrappers; None where it has none."""
    inner = estimator
    while not hasattr(inner, "offset_"):
        if hasattr(inner, "best_estimator_"):
            inner = inner.best_estimator_
        elif hasattr(inner, "steps"):
            inner = inner.steps[-1][1]
        else:
            return None
    return float(np.ravel(inner.offset_)[0])


def require_scores(estimator, owner):
    """Refuse what has no score_samples."""
    if hasattr(estimator, "score_samples"):
        return
    hint = " Set its novelty to True." if hasattr(estimator, "novelty") else ""
    raise TypeError(
        f"The 'estimator' parameter of {owner} must have score_samples. Got "
        f"{estimator!r} instead.{hint}"
    )


def names_of(estimator, X):
    """Names of the columns of ``X``: its own, those seen in fit, or x0, x1, ..."""
    names = None
    if is_pandas_dataframe(X):
        # Its names may be of any type.
        names = X.columns
    else:
        frame = nw.from_native(X, eager_only=True, pass_through=True)
        if isinstance(frame, nw.DataFrame):
            names = frame.columns
    if names is None:
        names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        names = [f"x{i}" for i in range(np.shape(X)[1])]
    return [str(name) for name in names]


def trace_columns(transformers, names, n_inputs):
    """Find the columns that the ``n_inputs`` inputs of a detector were made from.

    Returns the names of what enters the detector, and for each of its inputs the
    index of its name. An input made from one column, such as a one-hot one, has that
    column's name; one made from several, such as a principal component, has the name
    that its transformer gives. Where transformers do not tell, inputs are numbered.
    """
    origins: list = list(range(len(names)))
    for transformer in transformers:
        labels = [names[o] if isinstance(o, int) else o for o in origins]
        sources = _sources(transformer, labels)
        origins = [origins[s] if isinstance(s, int) else s for s in sources or []]
    if len(origins) != n_inputs:
        return [f"x{i}" for i in range(n_inputs)], np.arange(n_inputs)
    unique = list(dict.fromkeys(origins))
    position = {origin: i for i, origin in enumerate(unique)}
    labels = [names[o] if isinstance(o, int) else o for o in unique]
    return labels, np.array([position[origin] for origin in origins])


def _sources(transformer, labels):
    """For each output, the number of the only column it is made from, or a name.

    None where the transformer does not name its outputs.
    """
    tokens = [f"\0{i}\0" for i in range(len(labels))]
    try:
        outputs = _without_names(transformer).get_feature_names_out(tokens)
    except (AttributeError, ValueError, TypeError):
        return None
    sources: list[int | str] = []
    for output in map(str, outputs):
        # No number where a category happens to hold the letter of the tokens.
        found = {int(i) for i in TOKEN.findall(output) if int(i) < len(labels)}
        if len(found) == 1:
            sources.append(found.pop())
        else:
            sources.append(TOKEN.sub(lambda token: _label(labels, token), output))
    return sources


def _label(labels, token):
    number = int(token[1])
    return labels[number] if number < len(labels) else token[0]


def _without_names(transformer):
    """Copy a transformer so that it takes any names for its columns."""
    transformer = copy.deepcopy(transformer)
    _forget_names(transformer)
    return transformer


def _forget_names(value):
    if isinstance(value, BaseEstimator):
        vars(value).pop("feature_names_in_", None)
        if isinstance(value, FunctionTransformer) and value.feature_names_out is None:
            # Functions mostly change values, column by column. Where they do not,
            # the number of the outputs tells.
            value.feature_names_out = "one-to-one"
        value = vars(value)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for element in value:
            _forget_names(element)
