"""What compiled programs make of rows, block by block.

What is computed of a block is a :class:`View`; nothing here knows one by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from skae.core import ball
from skae.core.compilation import OPTIONS, bounded
from skae.core.config import NetworkConfig
from skae.core.gaussian import Statistics, in_observed
from skae.core.networks import bind


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
    def distance(self) -> Array:
        """Distance of rows from the centre of the ball, in training deviations."""
        return ball.distance(self.x, self.ball)

    @cached_property
    def inside(self) -> Array:
        """Rows, those outside the ball pulled onto its surface."""
        return ball.project(self.x, self.distance, self.ball)

    @property
    def beyond(self) -> Array:
        """Length of :attr:`units_away`: root of the mean square of observed cells."""
        length = jnp.maximum(self.distance - self.ball["radius"], 0.0)
        return length if self.observed is None else length * in_observed(self.observed)

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
        return jax.lax.dynamic_update_index_in_dim(out, measured(blocks[i]), i, 0)

    # An unsigned number needs no look whether it counts from the end.
    return jax.lax.fori_loop(jnp.uint32(0), n_used, fill, out)


def _compiled(options: dict[str, Any]) -> Any:
    static = "measure", "network", "is_masked"
    return bounded(
        jax.jit(_map_blocks, static_argnames=static, compiler_options=options)
    )


# By whether blocks are light.
COMPILED = {
    True: _compiled(OPTIONS | {"xla_cpu_multi_thread_eigen": False}),
    False: _compiled(OPTIONS),
}
