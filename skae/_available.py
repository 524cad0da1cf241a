"""Methods that are there for some parameters only, and say so where they are not."""

from collections.abc import Callable
from functools import partial, update_wrapper
from types import MethodType
from typing import Any, cast


def only_if(check: Callable[[Any], None]) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a method that a check of its instance lets through.

    The check raises an AttributeError, whose message users see, so that ``hasattr`` is
    false. scikit-learn's ``available_if`` hides the message in the cause of its own.
    """
    return partial(_Checked, check)


class _Checked:
    def __init__(
        self, check: Callable[[Any], None], method: Callable[..., Any]
    ) -> None:
        self.check, self.method = check, method
        update_wrapper(cast(Any, self), method)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self.method
        self.check(instance)
        return MethodType(self.method, instance)
