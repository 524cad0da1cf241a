"""The way of rows through compiled programs, block by block.

Rows go through in blocks of one fixed height, padded with zeros, so a row's result is
the same bits alone, in any batch and in any order. What is computed of a block is a
:class:`View`; nothing here knows one by name.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core import ball, batching
from skae.core.compilation import OPTIONS, bounded, make_room
from skae.core.config import NetworkConfig
from skae.core.devices import carried
from skae.core.gaussian import Statistics
from skae.core.networks import bind, layer_table

# Heights of blocks: tall ones cost less per row, but a single row pays for a whole one.
MIN_BLOCK_ROWS = 64
MAX_BLOCK_ROWS = 128
MAX_BLOCK_PRODUCTS = 2**23
MAX_BLOCK_FLOATS = 2**16

# A block of fewer products than this is computed by the calling thread alone: to share
# it out takes longer, for a block of four times the height too.
LIGHT_PRODUCTS = 2**22

# A row must be rounded alike wherever it stands. Heights are multiples of the first,
# since products of matrices treat the last rows of a block otherwise where they fill no
# whole group. Every call has the second number of blocks, of which it uses those that
# hold rows: XLA would fuse a program for another number of them otherwise.
LANES = 32
CALL_BLOCKS = 8


@dataclass(frozen=True)
class Block:
    """Rows as a view sees them, and what becomes of them.

    ``observed`` says which cells are; None if all are. Missing cells hold the centre.
    ``network`` is None for views that do not need it.
    """

    x: Array
    observed: Array | None
    ball: Statistics
    network: Any

    @cached_property
    def inside(self) -> Array:
        """Rows, those outside the ball pulled onto its surface."""
        return ball.project(self.x, self.ball)

    @property
    def away(self) -> Array:
        """Displacement of rows outside the ball."""
        return self.x - self.inside

    @property
    def units_away(self) -> Array:
        """Displacement in training deviations."""
        return self.away / self.ball["scale"]

    @property
    def standardised(self) -> Array:
        """Rows inside the ball, in training deviations from the training mean."""
        return ball.standardised(self.inside, self.ball)

    @cached_property
    def encoded(self) -> Array:
        """Code of each row, or what its bottleneck makes a code of."""
        return self.network.encoded(self.inside)

    @cached_property
    def code(self) -> Array:
        """Code of each row."""
        return self.network.code(self.encoded)

    @cached_property
    def restored(self) -> Array:
        """Output of the network."""
        return self.network.decode(self.code)

    @property
    def residual(self) -> Array:
        """Rows inside the ball less what the network makes of them."""
        return self.inside - self.restored


def no_products(width: int) -> int:
    """Products of a row beside those of the network: none."""
    del width
    return 0


@dataclass(frozen=True, eq=False)
class View:
    """What a program of its own tells of rows.

    Attributes
    ----------
    measure : callable ``(rows, own) -> array``
        One entry, or one row of them, for each row of a :class:`Block`; ``own`` are the
        statistics of :meth:`on_device`. One program is kept for each function, or for
        equal callables, so it must be made once, best at the top level of a module.
    needs_network : bool
        Whether the network is needed; otherwise one program serves all architectures.
    n_products : callable ``(width) -> int``
        Products that a row of this width costs beside those of the network.
    """

    measure: Callable[[Block, Any], Array]
    needs_network: bool = True
    n_products: Callable[[int], int] = no_products

    def on_device(self, statistics: Statistics, network: NetworkConfig) -> Any:
        """Statistics that ``measure`` needs, the ball aside."""
        del statistics, network
        return {}


def _map_blocks(
    params: Any,
    around: Statistics,
    own: Any,
    blocks: Array,
    n_used: Array,
    *,
    measure: Callable[[Block, Any], Array],
    network: NetworkConfig | None,
    is_masked: bool,
) -> Array:
    module = bind(params, config=network) if network else None

    def measured(x: Array) -> Array:
        observed = None
        if is_masked:
            observed = ~jnp.isnan(x)
            x = jnp.where(observed, x, around["center"])
        return measure(Block(x, observed, around, module), own)

    result = jax.eval_shape(measured, blocks[0])
    out = jnp.zeros((blocks.shape[0], *result.shape), result.dtype)

    def fill(i: Array, out: Array) -> Array:
        return out.at[i].set(measured(blocks[i]))

    return jax.lax.fori_loop(0, n_used, fill, out)


def _compiled(options: dict[str, Any]) -> Any:
    static = "measure", "network", "is_masked"
    return bounded(
        jax.jit(_map_blocks, static_argnames=static, compiler_options=options)
    )


# By whether blocks are light.
_COMPILED = {
    True: _compiled(OPTIONS | {"xla_cpu_multi_thread_eigen": False}),
    False: _compiled(OPTIONS),
}


@dataclass(frozen=True, eq=False)
class _Program:
    """A view with all that its compiled program gets but the rows, on the device."""

    measure: Callable[..., Array]
    network: NetworkConfig | None
    arrays: tuple[Any, Statistics, Any]
    height: int
    is_light: bool

    @property
    def call_rows(self) -> int:
        """Rows that a call takes."""
        return CALL_BLOCKS * self.height

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
            result = _COMPILED[self.is_light](
                *self.arrays,
                blocks.reshape(CALL_BLOCKS, self.height, width),
                -(-n_rows // self.height),
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

    def _program(self, view: View, width: int) -> _Program:
        device = jax.config.jax_default_device  # type: ignore[attr-defined, unused-ignore]
        key = view, width, device
        if key not in self._programs:
            self._programs[key] = self._made(view, width)
        return self._programs[key]

    def _made(self, view: View, width: int) -> _Program:
        widest = max(width, self.network.n_features)
        n_products = _n_products(view, widest, self.network)
        height = _height(n_products, widest)
        arrays = (
            self.params if view.needs_network else {},
            ball.part(self.statistics),
            view.on_device(self.statistics, self.network),
        )
        return _Program(
            view.measure,
            self.network if view.needs_network else None,
            jax.device_put(arrays),
            height,
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
