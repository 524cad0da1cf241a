"""A training as it goes: what passes from step to step, and what is kept at the end."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

History = dict[str, list[float]]

# Gets history and parameters after each epoch, or after some; True stops the training.
OnEpoch = Callable[[History, Any], bool]


# Gets the number of chunks of an epoch each time that one of these is done.
OnChunk = Callable[[int], None]


def go_on(history: History, params: Any) -> bool:
    """Let every epoch pass."""
    del history, params
    return False


# The latest epochs that a history keeps, at most: streams have no end.
MAX_EPOCHS = 10_000


def joined(first: History, second: History) -> History:
    """History of one training after the other; NaN where no rows were held out."""
    found = {}
    for name in second:
        parts = [first[name], second[name]]
        if any(parts):
            lengths = len(first["loss"]), len(second["loss"])
            parts = [x or [np.nan] * n for x, n in zip(parts, lengths, strict=True)]
        found[name] = [*parts[0], *parts[1]][-MAX_EPOCHS:]
    return found


class TrainingState(NamedTuple):
    """What one step passes to the next."""

    params: Any
    optimizer_state: Any
    step: Any
    key: Any


class TrainingResult(NamedTuple):
    """Weights to keep, the state to continue from, and how training ended.

    ``earlier_params`` are those taken in before: the loss of an epoch tells nothing of
    its last update, so without held-out rows the last weights may not be finite.
    """

    params: Any
    earlier_params: Any
    state: TrainingState
    history: History
    ending: str


class Course:
    """A training as it goes: the states to keep, the history, how it ended."""

    def __init__(self, state: TrainingState, tol: float, n_rising: float) -> None:
        self.state = self.earlier = state
        self.best: TrainingState | None = None
        self.lowest = np.inf
        self.waited = 0
        self.tol, self.n_rising = tol, n_rising
        self.history: History = {"loss": [], "validation_loss": [], "epoch_seconds": []}
        self.ending = "finished"
        self.start = time.perf_counter()

    def add(
        self, state: TrainingState, losses: list[float], held_out: float | None
    ) -> None:
        """Take in epochs, of the last of which the state is."""
        self.earlier, self.state = self.state, state
        now = time.perf_counter()
        seconds, self.start = (now - self.start) / len(losses), now
        for loss in losses:
            self.history["loss"].append(loss)
            self.history["epoch_seconds"].append(seconds)
            if held_out is not None:
                self.history["validation_loss"].append(held_out)
            if len(self.history["loss"]) >= self.n_rising:
                self._monitor(loss if held_out is None else held_out)

    def _monitor(self, value: float) -> None:
        self.waited = 0 if value < self.lowest - self.tol else self.waited + 1
        if value < self.lowest:
            self.lowest, self.best = value, self.state

    def result(self, *, wants_best: bool) -> TrainingResult:
        """Return the parameters to keep: the best ones, or the last."""
        takes_best = self.ending == "interrupted" or (
            wants_best and self.ending != "diverged"
        )
        kept = self.best if takes_best and self.best else self.state
        return TrainingResult(
            kept.params, self.earlier.params, self.state, self.history, self.ending
        )
