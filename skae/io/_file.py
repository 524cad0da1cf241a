"""One file for a fitted detector: safetensors, with a JSON header of our own.

The header sits in the metadata of the safetensors file, so other programs can read the
weights. Its digest is the SHA-256 of the whole file with the digest's own characters
set to zeros: it finds damage, but it does not prove who wrote the file.
"""

import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
import struct
from collections.abc import Callable, Mapping
from importlib import metadata
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skae import __version__
from skae._detector import AutoencoderOutlierDetector
from skae._validation import check_parameters
from skae.io._optional import optional

SCHEMA = 1

MAX_HEADER_BYTES = 2**23
BLOCK_BYTES = 2**20
DIGEST = re.compile(rb'\\"sha256\\": \\"([0-9a-f]{64})\\"')
END_OF_TENSOR = re.compile(rb'"data_offsets":\[\d+,(\d{1,20})\]')
NO_DIGEST = "0" * 64

PACKAGES = ("numpy", "scikit-learn", "jax", "flax", "optax")

# What wrong types and values in a header lead to.
MALFORMED = (
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    RecursionError,
    StopIteration,
    TypeError,
)

HISTORY = {"loss", "validation_loss", "epoch_seconds"}

# Fitted attributes that are dicts of arrays, with the name that tensors start with.
GROUPS = {
    "weights": "weights_",
    "statistics": "statistics_",
    "history": "history_",
    "stream": "_stream",
}


def save(detector, path):
    """Write a fitted detector to one file.

    The file appears whole or not at all: it is written beside ``path``, read back,
    compared, and then takes the place of what was there.

    Parameters
    ----------
    detector : AutoencoderOutlierDetector
        A fitted detector. Pipelines are saved by skops, see ``TRUSTED_TYPES``.
    path : str or os.PathLike
        Where to write. The file is in the safetensors format, whatever its name.

    Raises
    ------
    TypeError
        If ``detector`` is something else.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    ValueError
        If a parameter, changed after the fit, is out of range.
    OSError
        If the file cannot be written.
    ImportError
        If safetensors is not installed (``pip install skae[io]``).

    Notes
    -----
    Scores of the loaded detector are equal to the last bit on the same machine and
    versions. Callables among the parameters, such as a factory of an optimizer, are
    stored by name only. Callbacks and metadata requests are not stored. A file that was
    there keeps its permissions.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skae import AutoencoderOutlierDetector
    >>> from skae.io import load, save
    >>> X = np.random.default_rng(0).normal(size=(300, 4))
    >>> detector = AutoencoderOutlierDetector(max_iter=5).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(detector, Path(folder) / "detector.skae")
    ...     loaded = load(Path(folder) / "detector.skae")
    >>> bool((loaded.score_samples(X) == detector.score_samples(X)).all())
    True
    """
    if type(detector) is not AutoencoderOutlierDetector:
        raise TypeError(
            "save writes an AutoencoderOutlierDetector. Got "
            f"{type(detector).__name__}. Save Pipelines and other estimators with "
            "skops.io.dump and load them with trusted=skae.io.TRUSTED_TYPES."
        )
    from skae.core import engine

    check_is_fitted(detector)
    check_parameters(detector.get_params(deep=False), engine.CHOICES)
    data = _encode(detector)
    # What could not be loaded must not replace what can.
    _decode(data, _callables(detector))
    # A link stays one: the file that it leads to is replaced.
    target = Path(os.path.realpath(os.fsdecode(path)))
    if target.exists() and not target.is_file():
        raise OSError(f"{target} is there and is not a regular file.")
    beside = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if beside.read_bytes() != data:
            raise OSError(f"{beside} does not hold what was written to it.")
        if target.exists():
            shutil.copymode(target, beside)
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def load(path, *, callables=None):
    """Read a detector that :func:`save` wrote.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    callables : dict of str to callable, default=None
        The callables among the parameters, by the names that the file gives them
        (``module.function``). Nothing that a file names is ever imported.

    Returns
    -------
    AutoencoderOutlierDetector
        The fitted detector.

    Raises
    ------
    ValueError
        If the file is damaged, is no such file, has a schema that this version does
        not know, or names callables that were not passed.
    OSError
        If the file cannot be read.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("it is not a regular file.")
        return _decode(_checked(path), callables or {})
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)!r} cannot be loaded: {error}") from error


def _callables(detector: AutoencoderOutlierDetector) -> dict[str, Callable]:
    """Return the callables among the parameters by the names that a file gives them."""
    values = detector.get_params(deep=False).values()
    return {
        encoded["callable"]: value
        for value in values
        if isinstance(encoded := _plain(value), dict) and "callable" in encoded
    }


def _safetensors() -> Any:
    optional("safetensors.numpy", "io")
    return optional("safetensors", "io")


def _encode(detector: AutoencoderOutlierDetector) -> bytes:
    """Whole content of the file."""
    safetensors = _safetensors()
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
        "sha256": NO_DIGEST,
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
    data = safetensors.numpy.save(
        # safetensors writes the memory of an array as if it were C-contiguous.
        {name: np.array(value, order="C") for name, value in tensors.items()},
        {"skae": json.dumps(header, allow_nan=False)},
    )
    if struct.unpack("<Q", data[:8])[0] > MAX_HEADER_BYTES:
        raise ValueError(
            f"The names of the {detector.n_features_in_} features take more than the "
            f"{MAX_HEADER_BYTES} bytes that a header may have."
        )
    return _with_digest(data, hashlib.sha256(data).hexdigest())


def _with_digest(data: bytes, digest: str) -> bytes:
    found = DIGEST.search(data)
    if not found:
        raise ValueError("it is not a skae file, or it is damaged.")
    return data[: found.start(1)] + digest.encode() + data[found.end(1) :]


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


def _restored(value: Any, callables: Mapping[str, Callable]) -> Any:
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
    kind: str, keys: list, position: int, has_normal: int, normal: float
) -> np.random.RandomState:
    """NumPy itself reads beyond the keys if the position is wrong."""
    if kind != "MT19937" or len(keys) != 624 or not 0 <= position <= 624:
        raise ValueError("its random_state is not one of NumPy's MT19937.")
    generator = np.random.RandomState()
    generator.set_state(
        (kind, np.array(keys, np.uint32), position, int(bool(has_normal)), normal)
    )
    return generator


def _checked(path: Any) -> bytes:
    """Read a file whose digest is right."""
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, status.st_size - 8):
            raise ValueError("it is not a skae file, or it is damaged.")
        header = file.read(length)
        size = 8 + length + max(map(int, END_OF_TENSOR.findall(header)), default=0)
        # The size first: a digest of a file of any length may take any time.
        if size != status.st_size:
            raise ValueError("it is not a skae file, or it is damaged.")
        digest = hashlib.sha256(start + _with_digest(header, NO_DIGEST))
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
        if _with_digest(header, digest.hexdigest()) != header:
            raise ValueError("it is damaged: the digest does not match.")
        file.seek(0)
        return file.read()


def _decode(data: bytes, callables: Mapping[str, Callable]) -> Any:
    """Make the detector; every part is checked, since anyone can compute a digest."""
    safetensors = _safetensors()
    try:
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["skae"])
        schema = header["schema"]
        if type(schema) is not int or schema != SCHEMA:
            raise ValueError(
                f"it has schema {schema!r:.40}, and this version reads {SCHEMA}."
            )
        return _detector(header, safetensors.numpy.load(data), callables)
    except MALFORMED as error:
        raise ValueError("its header lacks a part or is malformed.") from error
    except safetensors.SafetensorError as error:
        raise ValueError(f"it is not a safetensors file: {error}") from error


def _detector(header: dict, tensors: dict, callables: Mapping[str, Callable]) -> Any:
    from skae.core import engine

    if header["class"] != AutoencoderOutlierDetector.__name__:
        raise ValueError(f"it holds an unknown class, {header['class']!r:.40}.")
    parameters = {
        name: _restored(value, callables)
        for name, value in header["parameters"].items()
    }
    # Parameters that are newer than the file have their defaults.
    detector = AutoencoderOutlierDetector(**parameters)
    check_parameters(detector.get_params(deep=False), engine.CHOICES)
    check_random_state(detector.random_state)
    groups = {name: _group(tensors, name) for name in GROUPS}
    model = engine.Model(
        _restored(header["architecture"], {}),
        groups["weights"],
        groups["statistics"],
        header["score"],
    )
    engine.check_model(model)
    n_members = len(engine.unstack(model.weights))
    history = {name: _vector(x).tolist() for name, x in groups["history"].items()}
    n_epochs = len(history["loss"])
    if history.keys() != HISTORY or {len(x) for x in history.values()} - {0, n_epochs}:
        raise ValueError("its history is not complete.")
    detector.__dict__.update(
        architecture_=model.architecture,
        weights_=model.weights,
        statistics_=model.statistics,
        fitted_score_=model.score,
        history_=history,
        n_iter_=n_epochs,
        n_parameters_=sum(array.size for array in model.weights.values()),
        calibration_scores_=_scores(tensors.pop("calibration_scores")),
        offset_=float(_scores(tensors.pop("offset")[None])[0]),
        n_features_in_=model.architecture["n_features"],
        _seeds=_seeds(tensors.pop("seeds"), n_members),
        _optimizer_leaves=_optimizer_leaves(tensors, header, n_members),
        _stream=_stream(groups["stream"], model.architecture["n_features"]),
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


def _group(tensors: dict, group: str) -> dict[str, np.ndarray]:
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
        if not np.isfinite(X).all() or not (weight > 0).all() or seen < len(X):
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


def _optimizer_leaves(tensors: dict, header: dict, n_members: int) -> Any:
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
