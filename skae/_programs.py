"""Compiled programs that are kept on disk, for the next process."""

import os
import sys
from pathlib import Path


def user_folder() -> Path | None:
    """Folder of this user's caches, by the custom of the system; None if unknown."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "skae" if base.is_absolute() else None


def keep_programs(folder: str | os.PathLike[str] | None = None) -> Path | None:
    """Keep what JAX compiles on disk, so that the next process reads it.

    A first fit then takes less time. It is a setting of the whole process, for all
    programs of JAX, and best made before the first fit. Nothing else
    in skae changes a setting; the commands make this one.

    Programs run as they are read, and those of other machines or versions may crash.
    So a folder of its own is taken for each host, Python, JAX and ``XLA_FLAGS``, which
    nobody but the user may read or write. Nothing is ever deleted there: a detector
    takes about 2 MB.

    Parameters
    ----------
    folder : str, PathLike or None, default=None
        Where these folders are made. None is "skae" in the user's folder of caches,
        such as ``~/.cache`` on Linux.

    Returns
    -------
    Path or None
        The folder where programs are kept: that of JAX's own setting, such as
        ``JAX_COMPILATION_CACHE_DIR``, where there is one, which stays as it is. None
        where no folder can be made: programs are then compiled as without.

    Examples
    --------
    >>> import skae
    >>> skae.keep_programs("programs")  # doctest: +SKIP
    PosixPath('programs/jax-0.10.2-3d5f0a9c7b1e2f46')
    """
    chosen = user_folder() if folder is None else Path(folder)
    if chosen is None:
        return None
    from skae.core import program_cache

    return program_cache.keep(chosen)
