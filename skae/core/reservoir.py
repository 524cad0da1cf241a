"""A random sample of all rows that a stream has brought so far."""

from typing import NamedTuple

import numpy as np

from skae.core import batching
from skae.core.batching import Rows


class Reservoir(NamedTuple):
    """Float32 rows, their weights, and how many rows they are a sample of."""

    X: np.ndarray
    weight: np.ndarray
    n_seen: int

    @property
    def rows(self) -> Rows:
        """The sample as a table."""
        return Rows(self.X, self.weight)


def empty_reservoir(n_features: int) -> Reservoir:
    """Return the sample of no rows."""
    return Reservoir(np.empty((0, n_features), np.float32), np.empty(0), 0)


def add(
    reservoir: Reservoir, rows: Rows, capacity: int, generator: np.random.Generator
) -> Reservoir:
    """Sample of the rows so far and of further ones: each is in it as likely.

    Algorithm R (Vitter, 1985): the row that comes as number t, from 0, takes a random
    one of t + 1 places, of which only the first ones are there.
    """
    first, last = reservoir.n_seen, reservoir.n_seen + rows.X.shape[0]
    place = np.arange(first, last)
    late = place >= capacity
    place[late] = generator.integers(0, place[late] + 1)
    kept = np.flatnonzero(place < capacity)
    size = min(capacity, last)
    X = np.empty((size, reservoir.X.shape[1]), np.float32)
    weight = np.empty(size)
    X[: len(reservoir.X)], weight[: len(reservoir.X)] = reservoir.X, reservoir.weight
    X[place[kept]] = batching.take(rows.X, kept)
    weight[place[kept]] = rows.weight[kept]
    return Reservoir(X, weight, last)
