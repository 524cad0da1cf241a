"""What a user did that cannot work."""


class CommandError(Exception):
    """One line for the user; the command ends with exit code 2."""
