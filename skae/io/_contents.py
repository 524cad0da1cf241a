"""A fitted detector as a JSON header and named tensors, and back.

Every part that comes back is checked: anyone can write a file with a right digest.
"""

import platform
from collections.abc import Callable, Mapping
from importlib import metadata
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skae import __version__
from skae._detector import AutoencoderOutlierDetector

SCHEMA = 1

PACKAGES = ("numpy", "scikit-learn", "jax", "flax", "optax")

# What wrong types and values in a header lead to.
MALFORMED = (
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    StopIteration,
    TypeError,
)

# What parts of the architecture were before they had a name.
NEWER = {"bottleneck": "plain", "network": "dense", "input_shape": None}

HISTORY = {"loss", "validation_loss", "epoch_seconds"}

# Fitted attributes that are dicts of arrays, with the name that tensors start with.
GROUPS = {
    "weights": "weights_",
    "statistics": "statistics_",
    "history": "history_",
    "stream": "_stream",
}


def encode(
    detector: AutoencoderOutlierDetector,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and tensors of a fitted detector."""
    attributes = vars(detector)
    tensors = {
        f"{group}/{name}": value
        for group, attribute in GROUPS.items()
        for name, value in (attributes[attribute] or {}).items()
    }
    tensors["calibration_scores"] = detector.calibration_scores_
    tensors["offset"] = np.float64(detector.offset_)
    tensors["seeds"] = detector._seeds
    leaves = detector._optimizer_leaves
    for member, arrays in enumerate(leaves or []):
        tensors |= {f"optimizer/{member}/{i}": x for i, x in enumerate(arrays)}
    names = getattr(detector, "feature_names_in_", None)
    header = {
        "schema": SCHEMA,
        "class": type(detector).__name__,
        "versions": {"skae": __version__, "python": platform.python_version()}
        | {name: metadata.version(name) for name in PACKAGES},
        "parameters": {
            name: _plain(value) for name, value in detector.get_params(False).items()
        },
        "architecture": _plain(detector.architecture_),
        "score": detector.fitted_score_,
        "feature_names": None if names is None else list(names),
        "optimizer_leaves": leaves and [len(arrays) for arrays in leaves],
        "output_config": getattr(detector, "_sklearn_output_config", {}),
    }
    return header, tensors


def callables_of(detector: AutoencoderOutlierDetector) -> dict[str, Callable[..., Any]]:
    """Return the callables among the parameters by the names that a file gives them."""
    values = detector.get_params(deep=False).values()
    return {
        encoded["callable"]: value
        for value in values
        if isinstance(encoded := _plain(value), dict) and "callable" in encoded
    }


def _plain(value: Any) -> Any:
    """Return what JSON can hold and :func:`_restored` gives back."""
    if value is None or isinstance(value, (str, bool, np.bool_)):
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, tuple):
        return {"tuple": [_plain(item) for item in value]}
    if isinstance(value, (list, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {"dict": {name: _plain(item) for name, item in value.items()}}
    if isinstance(value, np.random.RandomState):
        kind = value.get_state(legacy=False)["bit_generator"]
        if kind != "MT19937":
            raise ValueError(
                "Only a RandomState of NumPy's usual generator, MT19937, can be saved. "
                f"random_state has {kind}."
            )
        _, keys, *rest = value.get_state()
        return {"RandomState": [kind, np.asarray(keys).tolist(), *rest]}
    return {"callable": _name(value)}


def _name(value: Any) -> str:
    try:
        return f"{value.__module__}.{value.__qualname__}"
    except AttributeError:
        raise TypeError(
            f"Only functions and classes can be saved, by their names. Got {value!r}."
        ) from None


def decode(
    header: Any,
    tensors: dict[str, np.ndarray],
    callables: Mapping[str, Callable[..., Any]],
) -> AutoencoderOutlierDetector:
    """Make the detector."""
    try:
        schema = header["schema"]
        if type(schema) is not int or schema != SCHEMA:
            raise ValueError(
                f"it has schema {schema!r:.40}, and this version reads {SCHEMA}."
            )
        return _detector(header, tensors, callables)
    except MALFORMED as error:
        raise ValueError("its header lacks a part or is malformed.") from error


def _restored(value: Any, callables: Mapping[str, Callable[..., Any]]) -> Any:
    if isinstance(value, list):
        return [_restored(item, callables) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        raise ValueError("its header holds an object of an unknown kind.")
    [(kind, content)] = value.items()
    if kind == "tuple":
        return tuple(_restored(item, callables) for item in content)
    if kind == "dict":
        return {name: _restored(item, callables) for name, item in content.items()}
    if kind == "RandomState":
        return _random_state(*content)
    if kind == "callable":
        if content not in callables:
            raise ValueError(
                f"it needs callables={{{content!r}: ...}}, which is used as a "
                "parameter and is not imported from the file's word."
            )
        return callables[content]
    raise ValueError(f"its header holds an object of the unknown kind {kind!r}.")


def _random_state(
    kind: str, keys: list[Any], position: int, has_normal: int, normal: float
) -> np.random.RandomState:
    """NumPy itself reads beyond the keys if the position is wrong."""
    if kind != "MT19937" or len(keys) != 624 or not 0 <= position <= 624:
        raise ValueError("its random_state is not one of NumPy's MT19937.")
    generator = np.random.RandomState()
    generator.set_state(
        (kind, np.array(keys, np.uint32), position, int(bool(has_normal)), normal)
    )
    return generator


def _detector(
    header: dict[str, Any],
    tensors: dict[str, Any],
    callables: Mapping[str, Callable[..., Any]],
) -> Any:
    from skae._plan import checked_parameters
    from skae.core.checking import checked_model

    if header["class"] != AutoencoderOutlierDetector.__name__:
        raise ValueError(f"it holds an unknown class, {header['class']!r:.40}.")
    parameters = {
        name: _restored(value, callables)
        for name, value in header["parameters"].items()
    }
    # Parameters that are newer than the file have their defaults.
    detector = AutoencoderOutlierDetector(**parameters)
    checked_parameters(detector)
    check_random_state(detector.random_state)
    groups = {name: _group(tensors, name) for name in GROUPS}
    architecture = _restored(header["architecture"], callables)
    for name, value in NEWER.items():
        architecture.setdefault(name, value)
    model = checked_model(
        architecture, groups["weights"], groups["statistics"], header["score"]
    )
    n_features = model.network.n_features
    n_members = len(next(iter(model.weights.values())))
    history = {name: _vector(x).tolist() for name, x in groups["history"].items()}
    n_epochs = len(history["loss"])
    if history.keys() != HISTORY or {len(x) for x in history.values()} - {0, n_epochs}:
        raise ValueError("its history is not complete.")
    detector.__dict__.update(
        architecture_=dict(vars(model.network)),
        weights_=model.weights,
        statistics_=model.statistics,
        fitted_score_=model.score,
        history_=history,
        n_iter_=n_epochs,
        n_parameters_=sum(array.size for array in model.weights.values()),
        calibration_scores_=_scores(tensors.pop("calibration_scores")),
        offset_=float(_scores(tensors.pop("offset")[None])[0]),
        n_features_in_=n_features,
        _seeds=_seeds(tensors.pop("seeds"), n_members),
        _optimizer_leaves=_optimizer_leaves(tensors, header, n_members),
        _stream=_stream(groups["stream"], n_features),
    )
    detector.set_output(**header["output_config"])
    names = header["feature_names"]
    if names is not None:
        if not all(isinstance(name, str) for name in names):
            raise ValueError("its feature names are not all strings.")
        detector.feature_names_in_ = _vector(
            np.array(names, dtype=object), object, detector.n_features_in_
        )
    if tensors:
        raise ValueError(f"it holds the unknown tensor {next(iter(tensors))!r:.40}.")
    return detector


def _group(tensors: dict[str, Any], group: str) -> dict[str, np.ndarray]:
    """Take the tensors of a group out."""
    names = [name for name in tensors if name.startswith(f"{group}/")]
    return {name.removeprefix(f"{group}/"): tensors.pop(name) for name in sorted(names)}


def _vector(array: np.ndarray, dtype: Any = np.float64, size: int | None = None) -> Any:
    is_right = array.ndim == 1 and array.dtype == dtype
    if not is_right or (size is not None and len(array) != size):
        raise ValueError(f"an array of {dtype} has shape {array.shape}.")
    return array


def _stream(arrays: dict[str, np.ndarray], n_features: int) -> Any:
    """Check the samples that ``partial_fit`` keeps."""
    if not arrays:
        return None
    n_seen = _vector(arrays["n_seen"], np.int64, 2)
    for name, seen in zip(("sample", "held_out"), n_seen, strict=True):
        X, weight = arrays[name], _vector(arrays[f"{name}_weight"])
        if X.dtype != np.float32 or X.shape != (len(weight), n_features):
            raise ValueError("its stream does not have the shapes that it should.")
        unusable = np.isinf(X).any() or np.isnan(X).all(axis=1).any()
        if unusable or not (weight > 0).all() or seen < len(X):
            raise ValueError("its stream holds values that it should not.")
    if len(arrays) != 5:
        raise ValueError("its stream holds unknown arrays.")
    return arrays


def _scores(array: np.ndarray) -> np.ndarray:
    """Scores in ascending order, at least one."""
    scores = _vector(array)
    if not len(scores) or not np.isfinite(scores).all() or (np.diff(scores) < 0).any():
        raise ValueError("its scores are not finite and in ascending order.")
    return scores


def _seeds(array: np.ndarray, n_members: int) -> np.ndarray:
    seeds = _vector(array, np.int64, 1 + n_members)
    if (seeds < 0).any() or (seeds >= 2**32).any():
        raise ValueError("its seeds are not those of skae.")
    return seeds


def _optimizer_leaves(
    tensors: dict[str, Any], header: dict[str, Any], n_members: int
) -> Any:
    """State of the optimizer, in the order of its leaves, for each network."""
    counts = header["optimizer_leaves"]
    if counts is None:
        return None
    if len(counts) != n_members or sum(counts) > len(tensors):
        raise ValueError("its optimizer's state has another number of networks.")
    leaves = [
        [tensors.pop(f"optimizer/{member}/{i}") for i in range(count)]
        for member, count in enumerate(counts)
    ]
    if not all(leaf.dtype.kind in "fiu" for arrays in leaves for leaf in arrays):
        raise ValueError("its optimizer's state holds something else than numbers.")
    return leaves
