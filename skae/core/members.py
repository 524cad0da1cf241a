"""The way of rows through compiled programs, call by call.

Rows go through in blocks of one fixed height, padded with zeros, so a row's result is
the same bits alone, in any batch and in any order.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax import Array

from skae.core import ball, batching
from skae.core.blocks import COMPILED, View
from skae.core.compilation import make_room
from skae.core.config import NetworkConfig
from skae.core.devices import carried
from skae.core.gaussian import Statistics
from skae.core.networks import layer_table

# Heights of blocks: tall ones cost less per row, but a single row pays for a whole one.
MIN_BLOCK_ROWS = 64
MAX_BLOCK_ROWS = 128
MAX_BLOCK_PRODUCTS = 2**23
MAX_BLOCK_FLOATS = 2**16

# A block of fewer products than this is computed by the calling thread alone: to share
# it out takes longer (a row of a small network 0.66 instead of 0.48 ms, 100,000 of them
# 56 instead of 43 ms).
LIGHT_PRODUCTS = 2**22

# A row must be rounded alike wherever it stands. Heights are multiples of the first,
# since products of matrices treat the last rows of a block otherwise where they fill no
# whole group. Calls have a number of blocks that does not depend on the rows, and use
# those that hold some: XLA would fuse a program for another number of them otherwise.
# Many blocks in a call make large tables fast (100,000 x 30 in three quarters of the
# time that eight take), but wide rows would take memory for blocks that hold none.
LANES = 32
MIN_CALL_BLOCKS = 8
MAX_CALL_BLOCKS = 32
MAX_CALL_FLOATS = 2**20


@dataclass(frozen=True, eq=False)
class _Program:
    """A view with all that its compiled program gets but the rows, on the device."""

    measure: Callable[..., Array]
    network: NetworkConfig | None
    arrays: tuple[Any, Statistics, Any]
    height: int
    n_blocks: int
    is_light: bool

    @property
    def call_rows(self) -> int:
        """Rows that a call takes."""
        return self.n_blocks * self.height

    def started(self, rows: np.ndarray) -> Callable[[], np.ndarray]:
        """Start to measure the rows of one call; returns what waits for the result.

        Rows with missing cells have a program of their own, so that others cost and
        give what they would without them.
        """
        make_room(self.measure, self.network, rows.shape[1])
        if not batching.has_missing(rows):
            return self._run(rows, is_masked=False)
        missing = np.isnan(rows).any(axis=1)
        parts = [(missing, self._run(rows[missing], is_masked=True))]
        if not missing.all():
            parts.append((~missing, self._run(rows[~missing], is_masked=False)))

        def joined() -> np.ndarray:
            results = [(chosen, wait()) for chosen, wait in parts]
            both = np.empty((len(rows), results[0][1].shape[1]), np.float32)
            for chosen, result in results:
                both[chosen] = result
            return both

        return joined

    def _run(self, rows: np.ndarray, *, is_masked: bool) -> Callable[[], np.ndarray]:
        blocks, (n_rows, width) = rows, rows.shape
        if n_rows < self.call_rows:
            blocks = np.zeros((self.call_rows, width), np.float32)
            blocks[:n_rows] = rows
        with jax.default_matmul_precision("highest"):
            result = COMPILED[self.is_light](
                *self.arrays,
                blocks.reshape(self.n_blocks, self.height, width),
                np.uint32(-(-n_rows // self.height)),
                measure=self.measure,
                network=self.network,
                is_masked=is_masked,
            )
        return lambda: np.asarray(result).reshape(self.call_rows, -1)[:n_rows]


@dataclass(frozen=True, eq=False)
class Member:
    """A network with what scoring keeps of the training rows.

    What programs need of them is put on the device once for each view, and must not
    change from then on.
    """

    network: NetworkConfig
    params: Any
    statistics: Statistics
    _programs: dict[Any, _Program] = field(default_factory=dict, repr=False)
    _placed: dict[Any, Any] = field(default_factory=dict, repr=False)

    def _program(self, view: View, width: int) -> _Program:
        device = jax.config.jax_default_device  # type: ignore[attr-defined, unused-ignore]
        key = view, width, device
        if key not in self._programs:
            self._programs[key] = self._made(view, width, device)
        return self._programs[key]

    def _made(self, view: View, width: int, device: Any) -> _Program:
        if view.needs_network and device not in self._placed:
            self._placed[device] = jax.device_put(self.params)
        widest = max(width, self.network.n_features)
        n_products = _n_products(view, widest, self.network)
        height = _height(n_products, widest)
        own = view.on_device(self.statistics, self.network)
        return _Program(
            view.measure,
            self.network if view.needs_network else None,
            (
                self._placed[device] if view.needs_network else {},
                *jax.device_put((ball.part(self.statistics), own)),
            ),
            height,
            _n_blocks(height, widest),
            is_light=height * n_products < LIGHT_PRODUCTS,
        )


def started(view: View, X: Any, member: Member) -> Callable[[], np.ndarray]:
    """Start what :func:`apply` does; returns what waits for the result.

    Few rows are then measured by several views at the same time.
    """
    program = member._program(view, X.shape[1])
    n_rows, call_rows = X.shape[0], program.call_rows
    if n_rows <= call_rows:
        return program.started(batching.take(X, slice(0, n_rows)))

    def call(start: int) -> np.ndarray:
        rows = batching.take(X, slice(start, start + call_rows))
        return program.started(rows)()

    starts = range(0, n_rows, call_rows)
    with ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1)) as pool:
        result = np.concatenate(list(pool.map(carried(call), starts)))
    return lambda: result


def apply(view: View, X: Any, member: Member) -> np.ndarray:
    """Apply a view to the rows of a table; float32, a row for each of them.

    Calls run in as many threads as there are cores: a program for one block after the
    other keeps a single core busy.
    """
    return started(view, X, member)()


def _n_products(view: View, widest: int, network: NetworkConfig) -> int:
    """Products that a row costs."""
    n_products = view.n_products(widest)
    if view.needs_network:
        layers = layer_table(network)
        n_products += sum(max(part.n_parameters, part.n_products) for part in layers)
    return n_products


def _height(n_products: int, widest: int) -> int:
    """Rows in a block; they do not depend on the rows."""
    height = MAX_BLOCK_PRODUCTS // max(1, n_products)
    height = np.clip(height, MIN_BLOCK_ROWS, MAX_BLOCK_ROWS)
    height = int(min(height, max(LANES, MAX_BLOCK_FLOATS // widest)))
    return height - height % LANES


def _n_blocks(height: int, widest: int) -> int:
    """Blocks in a call."""
    n_blocks = MAX_CALL_FLOATS // (height * widest)
    return int(np.clip(n_blocks, MIN_CALL_BLOCKS, MAX_CALL_BLOCKS))
