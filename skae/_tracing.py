"""Which columns of a table the inputs of a detector were made from."""

import copy
import functools
import re
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.stable.v2.dependencies import is_pandas_dataframe
from sklearn.base import BaseEstimator
from sklearn.preprocessing import FunctionTransformer

# Stands for a column in names that transformers make.
TOKEN = re.compile("\0([0-9]+)\0")


def trace(
    estimator: Any, transformers: list[Any], X: Any
) -> tuple[Any, list[str], np.ndarray]:
    """Pass rows through transformers, and find the columns behind what comes out.

    Returns the inputs of the detector, the names of the columns that they were made
    from, and for each input the index of its name. An input made from one column, such
    as a one-hot one, has that column's name; one made from several, such as a
    principal component, has the name that its transformer gives. Where a transformer
    does not tell, what it makes has the transformer's name and a number.
    """
    names = names_in(estimator, X)
    origins: list[Any] = list(range(len(names)))
    for transformer in transformers:
        X = transformer.transform(X)
        labels = [names[o] if isinstance(o, int) else o for o in origins]
        sources = _sources(transformer, labels, X)
        if sources is None or len(sources) != _n_columns(X):
            kind = type(transformer).__name__.lower()
            sources = [f"{kind}{i}" for i in range(_n_columns(X))]
        origins = [origins[s] if isinstance(s, int) else s for s in sources]
    unique = list(dict.fromkeys(origins))
    position = {origin: i for i, origin in enumerate(unique)}
    labels = [names[o] if isinstance(o, int) else o for o in unique]
    return X, labels, np.array([position[origin] for origin in origins])


def endings(transformers: list[Any], n_columns: int) -> list[str]:
    """Return what transformers add to a column's name, such as a category.

    One for each input of the detector, none at all where transformers do not tell.
    """
    outputs: Any = [f"\0{i}\0" for i in range(n_columns)]
    try:
        for transformer in transformers:
            outputs = _without_names(transformer).get_feature_names_out(outputs)
    except (AttributeError, ValueError, TypeError):
        return []
    return [TOKEN.split(str(name))[-1].removeprefix("_") for name in outputs]


def names_in(estimator: Any, X: Any) -> list[str]:
    """Names seen in fit, whose order may differ; else those of X; else x0, x1, ..."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        names = _names_of_frame(X)
    if names is None:
        names = [f"x{i}" for i in range(_n_columns(X))]
    return [str(name) for name in names]


def _names_of_frame(X: Any) -> list[Any] | None:
    """Names of the columns of a data frame; None for anything else."""
    if is_pandas_dataframe(X):
        # Its names may be of any type.
        return list(X.columns)
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return frame.columns if isinstance(frame, nw.DataFrame) else None


def _n_columns(X: Any) -> int:
    return X.shape[1] if hasattr(X, "shape") else np.shape(X)[1]


def _sources(
    transformer: Any, labels: list[str], output: Any
) -> list[int | str] | None:
    """For each output, the number of the only column it is made from, or a name.

    None where the transformer does not name its outputs.
    """
    tokens = [f"\0{i}\0" for i in range(len(labels))]
    is_function = isinstance(transformer, FunctionTransformer)
    if is_function and transformer.feature_names_out is None:
        names = _names_of_frame(output)
        # A frame that is made of an array has mere numbers.
        if names is not None and names != list(range(len(names))):
            # A function of data frames may choose and change columns by name.
            return [labels.index(n) if n in labels else n for n in map(str, names)]
    try:
        outputs = _without_names(transformer).get_feature_names_out(tokens)
    except (AttributeError, ValueError, TypeError):
        return None
    sources: list[int | str] = []
    for name in map(str, outputs):
        # No number where a category happens to hold the letter of the tokens.
        found = {int(i) for i in TOKEN.findall(name) if int(i) < len(labels)}
        if len(found) == 1:
            sources.append(found.pop())
        else:
            sources.append(TOKEN.sub(lambda token: _label(labels, token), name))
    return sources


def _label(labels: list[str], token: re.Match[str]) -> str:
    number = int(token[1])
    return labels[number] if number < len(labels) else token[0]


def _without_names(transformer: Any) -> Any:
    """Copy a transformer so that it takes any names for its columns."""
    transformer = copy.deepcopy(transformer)
    _forget_names(transformer)
    return transformer


def _names_out_of_function(transformer: FunctionTransformer, names: Any) -> Any:
    """Names of what a function makes, where there is no doubt of what from.

    A function of one column may make several, and the number of the outputs tells.
    """
    function = transformer.func
    is_identity = function is None
    is_of_cells = isinstance(function, np.ufunc) and not function.signature
    if is_identity or is_of_cells or len(names) == 1:
        return names
    raise ValueError("The function may have mixed or moved its columns.")


def _names_by_column(
    outputs: list[str], columns: dict[str, str], names_in: list[str], names: Any
) -> list[str]:
    """Names of what a transformer makes, which knows the column behind each."""
    if len(names) != len(names_in):
        raise ValueError("The transformer has seen other columns.")
    given = dict(zip(names_in, names, strict=True))
    return [f"{given[columns.get(output, output)]}_{output}" for output in outputs]


def _forget_names(value: Any) -> None:
    if isinstance(value, BaseEstimator):
        names_in = vars(value).pop("feature_names_in_", None)
        columns = vars(value).get("output_to_input_")
        # Parts of a transformer may be met more than once.
        if columns is not None and "get_feature_names_out" not in vars(value):
            # skrub's transformers ignore the names that they are asked with.
            value.get_feature_names_out = functools.partial(
                _names_by_column,
                list(value.get_feature_names_out()),
                columns,
                list(names_in),
            )
        if isinstance(value, FunctionTransformer) and value.feature_names_out is None:
            value.feature_names_out = _names_out_of_function
        value = vars(value)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for element in value:
            _forget_names(element)
