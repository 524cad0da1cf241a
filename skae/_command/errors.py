"""What a user did that cannot work."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CommandError(Exception):
    """One line for the user; the command ends with exit code 2."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system says into one line."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error}") from error
