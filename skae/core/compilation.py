"""Count what JAX compiles, from its own log."""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

# JAX reports each compilation here: as a warning if jax_log_compiles is on, else as a
# debug message. Reading the log needs no change of JAX's configuration.
LOGGER = "jax._src.interpreters.pxla"


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
