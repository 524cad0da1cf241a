"""Where the commands keep compiled programs, for the next time."""

import os
import sys
import warnings
from pathlib import Path


def folder() -> Path | None:
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


def keep() -> None:
    """Keep what is compiled from now on."""
    found = folder()
    if found is not None:
        from skae.core import program_cache

        program_cache.keep(found)
        # What cannot be kept or read is compiled, as it was before.
        warnings.filterwarnings("ignore", "Error .* persistent compilation cache")
