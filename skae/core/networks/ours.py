"""What our networks share: activations, dropout, linear layers.

Each maps rows of ``n_features`` numbers to codes and back; images and sequences are
rows too, whose shape the configuration gives. Dropout acts on hidden layers only, with
a traced rate, and only where a key is given.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from skae.core import bottlenecks
from skae.core.config import NetworkConfig
from skae.core.errors import Refusal

ACTIVATIONS = {
    "elu": nnx.elu,
    "gelu": nnx.gelu,
    "identity": lambda x: x,
    "leaky_relu": nnx.leaky_relu,
    "relu": nnx.relu,
    "sigmoid": nnx.sigmoid,
    "silu": nnx.silu,
    "softplus": nnx.softplus,
    "tanh": nnx.tanh,
}


def linear(n_in: int, n_out: int, rngs: nnx.Rngs) -> nnx.Linear:
    """Return a dense layer."""
    return nnx.Linear(n_in, n_out, param_dtype=jnp.float32, rngs=rngs)


class OurModule(nnx.Module):
    """Base of our autoencoders.

    A class says of itself whether the shape of rows matters (``takes_shape``), which
    sizes and shapes it cannot have (``refusal``), what its layers are (``table``), the
    gain of its first kernels (``gain``), and how ONNX computes a half of it (``onnx``,
    or None).
    """

    takes_shape: ClassVar[bool] = True
    gain: ClassVar[int] = 2
    onnx: ClassVar[Callable[..., str] | None] = None

    def __init__(self, config: NetworkConfig) -> None:
        self.activation = config.activation
        self.code_activation = bottlenecks.code_activation(config)
        self.output_activation = config.output_activation

    def dropped(
        self, x: Array, number: int, key: Array | None, dropout: Array | float
    ) -> Array:
        """Drop units of a hidden layer, whose number gives it a mask of its own."""
        if key is None:
            return x
        # nnx.Dropout branches on its rate in Python, which a traced rate does not
        # allow.
        keep = 1.0 - dropout
        kept = jax.random.bernoulli(jax.random.fold_in(key, number), keep, x.shape)
        return jnp.where(kept, x / keep, 0.0)

    def activated(
        self, x: Array, number: int, key: Array | None, dropout: Array | float
    ) -> Array:
        """Output of a hidden layer."""
        return self.dropped(ACTIVATIONS[self.activation](x), number, key, dropout)


def shape_of_rows(config: NetworkConfig) -> tuple[int, ...]:
    """Shape that rows of a convolutional or recurrent network have."""
    return config.input_shape or (config.n_features, 1)


def refused_shape(
    config: NetworkConfig, dimensions: tuple[int, ...], wanted: str
) -> Refusal | None:
    """Refuse rows of other dimensions, or of another number of cells."""
    shape = config.input_shape
    if shape is None:
        return None
    if len(shape) not in dimensions:
        return Refusal("input_shape", wanted, shape)
    if math.prod(shape) != config.n_features:
        cells = f"of as many cells as X has columns, {config.n_features}"
        return Refusal("input_shape", cells, shape)
    return None
