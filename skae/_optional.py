"""Packages that only some users need."""

from importlib import import_module
from types import ModuleType


def optional(name: str, extra: str) -> ModuleType:
    """Import a module, or say which extra of this package brings it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{name.partition('.')[0]} is not installed: pip install 'skae[{extra}]'."
        ) from error
