"""Compiled programs that outlast the process, in a folder."""

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path

import jax
from jax.experimental.compilation_cache.compilation_cache import reset_cache

FOLDER = "jax_compilation_cache_dir"


def keep(folder: Path) -> Path | None:
    """Keep programs in a folder of this host, versions and options below ``folder``.

    It is a setting of the whole process. Returns where they are kept: nothing changes
    where JAX has a folder already, or where none can be made. Programs of other hosts
    or versions may crash, hence a folder for each.
    """
    known = getattr(jax.config, FOLDER)
    if known is not None:
        return Path(known)
    made_for = (
        *(platform.node(), platform.machine(), platform.python_version()),
        *(jax.__version__, version("jaxlib"), os.environ.get("XLA_FLAGS", "")),
    )
    name = hashlib.sha256(repr(made_for).encode()).hexdigest()[:16]
    folder = folder / f"jax-{jax.__version__}-{name}"
    try:
        # Programs are run as they are read: nobody else may write there.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.R_OK | os.W_OK):
        return None
    jax.config.update(FOLDER, str(folder))
    # Ours take milliseconds each, and are many.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # JAX looks for a folder once, when it compiles for the first time.
    reset_cache()
    return folder
