"""The one place that touches scikit-learn's callbacks, which are experimental."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

__all__ = [
    "CallbackSupportMixin",
    "EpochReporter",
    "inside_search",
    "progress_bar",
    "reported_fits",
    "with_callbacks",
]

Fit = TypeVar("Fit", bound=Callable[..., Any])

# What is used here: all of it is experimental, and most of it private.
USED = {
    "ProgressBar": (),
    "with_callbacks": (),
    "CallbackSupportMixin": ("_init_callback_context",),
    "CallbackContext": (
        "subcontext",
        "call_on_fit_task_begin",
        "call_on_fit_task_end",
        "propagate_callback_context",
    ),
}


def find() -> Any:
    """scikit-learn's callbacks; None where they are gone or not as they were."""
    try:
        module = import_module("sklearn.callback")
    except ImportError:
        return None
    for name, attributes in USED.items():
        used = getattr(module, name, None)
        if used is None or not all(hasattr(used, name) for name in attributes):
            return None
    return module


CALLBACKS = find()


class _NoContext:
    """Context of a fit that no callback can follow."""

    def subcontext(self, **_: Any) -> "_NoContext":
        return self

    def call_on_fit_task_begin(self, **_: Any) -> None:
        pass

    def call_on_fit_task_end(self, **_: Any) -> bool:
        return False

    def propagate_callback_context(self, _: Any) -> Any:
        return nullcontext()


class _NoCallbackSupport:
    """Estimators fit without callbacks, and have no ``set_callbacks``."""

    def _init_callback_context(self, **_: Any) -> _NoContext:
        return _NoContext()


CallbackSupportMixin: Any = (
    CALLBACKS.CallbackSupportMixin if CALLBACKS else _NoCallbackSupport
)


def with_callbacks(fit: Fit) -> Fit:
    """Decorate a ``fit`` so that callbacks are told of its end, come what may."""
    return CALLBACKS.with_callbacks(fit) if CALLBACKS else fit


@contextmanager
def progress_bar(estimator: Any, *, visible: bool) -> Iterator[None]:
    """Show a bar of what an estimator fits meanwhile, where there are callbacks."""
    shown = visible and CALLBACKS
    if shown:
        estimator.set_callbacks(CALLBACKS.ProgressBar())
    yield
    if shown:
        estimator.set_callbacks()


# An epoch of fewer parts is over in a moment.
MANY_PARTS = 64


class EpochReporter:
    """Tell registered callbacks about the fit, its epochs, and the parts of long ones.

    ``data`` holds X, y and metadata as the callbacks shall see them.
    """

    def __init__(self, estimator: Any, data: dict[str, Any], max_epochs: int) -> None:
        self.estimator = estimator
        self.data = data
        self.stopped = False
        self.active = bool(getattr(estimator, "_skl_callbacks", None))
        self.context = estimator._init_callback_context(max_subtasks=max_epochs)
        self.context.call_on_fit_task_begin(estimator=estimator, **self.data)
        self.begun: Any = None

    def part(self, n_parts: int) -> None:
        """Report the end of one of ``n_parts`` parts of an epoch, if these are many."""
        if n_parts < MANY_PARTS:
            return
        self.begun = self.begun or self._begin(self.context, "epoch", n_parts)
        self._end(self._begin(self.begun, "part of an epoch"))

    def epoch(self, attributes: Callable[[], dict[str, Any]]) -> bool:
        """Report the end of an epoch; True where a callback asks to stop.

        ``attributes`` makes the fitted attributes of this moment, for those callbacks
        that want a fitted estimator.
        """
        if not self.active:
            return False
        self._end(self.begun or self._begin(self.context, "epoch"), attributes)
        self.begun = None
        return self.stopped

    def _begin(self, context: Any, name: str, n_subtasks: int = 0) -> Any:
        task = context.subcontext(task_name=name, max_subtasks=n_subtasks)
        task.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        return task

    def _end(self, task: Any, attributes: Any = None) -> None:
        asked = task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=attributes, **self.data
        )
        self.stopped = self.stopped or asked

    def end(self, attributes: dict[str, Any]) -> None:
        """Report the end of the fit."""
        self.context.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=attributes, **self.data
        )


@contextmanager
def reported_fits(
    caller: Any, X: Any, y: Any, n_fits: int
) -> Iterator[Callable[..., Any]]:
    """Tell callbacks of a meta-estimator about its fit and the fits inside it.

    Yields a function that announces a fit, in this process, and returns a function
    that makes the context of this fit for an inner estimator, in any process.
    """
    data = {"X": X, "y": y, "metadata": None}
    root = caller._init_callback_context(max_subtasks=n_fits)
    root.call_on_fit_task_begin(estimator=caller, **data)
    yield lambda: partial(
        _reported_fit, caller, data, root.subcontext(task_name="inner fit")
    )
    root.call_on_fit_task_end(estimator=caller, **data)


@contextmanager
def _reported_fit(
    caller: Any, data: dict[str, Any], task: Any, estimator: Any
) -> Iterator[None]:
    with task.propagate_callback_context(estimator):
        task.call_on_fit_task_begin(estimator=caller, **data)
        yield
    task.call_on_fit_task_end(estimator=caller, **data)


def inside_search() -> bool:
    """Whether a search, cross-validation or joblib worker is running this code."""
    frame = inspect.currentframe()
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith(("sklearn.model_selection", "joblib")):
            return True
        frame = frame.f_back
    return False
