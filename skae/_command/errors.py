"""What a user did that cannot work."""

from contextlib import contextmanager


class CommandError(Exception):
    """One line for the user; the command ends with exit code 2."""


@contextmanager
def writing(path):
    """Turn what the file system says into one line."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error}") from error
