"""Save a fitted detector to one file, whole or not at all, and load it."""

import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted

from skae._detector import AutoencoderOutlierDetector
from skae.io._container import read, seal, unseal
from skae.io._contents import callables_of, decode, encode


def save(detector: AutoencoderOutlierDetector, path: str | PathLike[str]) -> None:
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
    from skae._plan import checked_parameters

    check_is_fitted(detector)
    checked_parameters(detector)
    data = seal(*encode(detector))
    # What could not be loaded must not replace what can.
    decode(*unseal(data), callables_of(detector))
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


def load(
    path: str | PathLike[str],
    *,
    callables: Mapping[str, Callable[..., Any]] | None = None,
) -> AutoencoderOutlierDetector:
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
        return decode(*_unsealed(path), callables or {})
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)!r} cannot be loaded: {error}") from error


def _unsealed(path: Any) -> tuple[Any, dict[str, Any]]:
    try:
        return unseal(read(path))
    except (KeyError, RecursionError, TypeError) as error:
        raise ValueError("its header lacks a part or is malformed.") from error
