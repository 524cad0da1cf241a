"""What a user did that cannot work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CommandError(Exception):
    """One line for the user; the command ends with exit code 2."""


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a file to write, which takes its place only once it is whole.

    What the file system says becomes one line.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            # A device or a pipe.
            yield target
            return
        part = target.with_name(f".{target.name[:50]}.{os.getpid()}.part")
        try:
            yield part
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error}") from error
