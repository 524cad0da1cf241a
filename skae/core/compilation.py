"""Count what JAX compiles, from its own log, and bound how much of it is kept."""

import logging
import os
import re
import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

# JAX reports each compilation here: as a warning if jax_log_compiles is on, else as a
# debug message. Reading the log needs no change of JAX's configuration.
LOGGER = "jax._src.interpreters.pxla"


# Compiled programs hold memory maps (about 370 for one architecture, trained and
# scored), of which Linux grants a process 65,530: without a bound, a search over 170
# architectures ends in LLVM's "Cannot allocate memory". Training and scoring count
# apart, so this keeps about 30 architectures.
MAX_KINDS = 200

# Options for every jitted function. With LLVM's first level of optimisation a first fit
# takes 12 to 15 % less time than with the usual third one; steps and scores take as
# long as before (on a CPU). Without XLA's fusion emitters compilation would take 28 %
# less, but fits and scores of the default 25 to 35 % more.
# What a user says in ``XLA_FLAGS`` goes before.
_LEVEL = "xla_backend_optimization_level"
OPTIONS = {} if _LEVEL in os.environ.get("XLA_FLAGS", "") else {_LEVEL: 1}

_bounded: list[Any] = []
_kinds: set[tuple[Hashable, ...]] = set()
_lock = threading.Lock()


def bounded(function: Any) -> Any:
    """Register a jitted function whose programs :func:`make_room` may forget."""
    _bounded.append(function)
    return function


def is_new(*static: Hashable) -> bool:
    """Whether :func:`make_room` has yet to see these static arguments."""
    with _lock:
        return static not in _kinds


def make_room(*static: Hashable) -> None:
    """Forget all compiled programs if these static arguments make too many.

    Call it before the bounded functions are used with static arguments.
    """
    with _lock:
        is_full = static not in _kinds and len(_kinds) >= MAX_KINDS
    if is_full:
        forget()
    with _lock:
        _kinds.add(static)


def forget() -> None:
    """Forget all compiled programs of the bounded functions."""
    with _lock:
        for function in _bounded:
            function.clear_cache()
        _kinds.clear()


class _Recorder(logging.Handler):
    def __init__(self, counts: Counter[str]) -> None:
        super().__init__(logging.DEBUG)
        self.counts = counts

    def emit(self, record: logging.LogRecord) -> None:
        found = re.match(r"Compiling (?:jit[_(])?(\w+)", record.getMessage())
        if found:
            self.counts[found[1]] += 1


@contextmanager
def count_compilations() -> Iterator[Counter[str]]:
    """Count the functions that JAX compiles inside the ``with`` block.

    Yields
    ------
    collections.Counter
        Compilations by function name, filled as they happen, in every thread of this
        process. Networks are trained by ``train_chunk``.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderOutlierDetector
    >>> from skae.testing import count_compilations
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> detector = AutoencoderOutlierDetector(latent_dim=2, max_iter=1)
    >>> _ = detector.fit(X)
    >>> with count_compilations() as counts:
    ...     _ = detector.set_params(learning_rate=0.01).fit(X[:40])
    >>> counts["train_chunk"]
    0
    """
    logger = logging.getLogger(LOGGER)
    counts: Counter[str] = Counter()
    recorder = _Recorder(counts)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(recorder)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield counts
    finally:
        logger.removeHandler(recorder)
        logger.setLevel(level)
        logger.propagate = propagate
