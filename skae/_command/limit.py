"""A limit of time for work that knows none."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeIsUp(Exception):
    """Work took longer than it may."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise :class:`TimeIsUp` in what takes longer, between two steps of Python.

    By an alarm of the system; where there is none (Windows, threads other than the
    main one), work takes as long as it takes.
    """
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
