"""Dense autoencoders as ``flax.nnx`` modules, and their parameters as flat dicts."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from skae.core import bottlenecks
from skae.core.bottlenecks import Parameters
from skae.core.config import NetworkConfig

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


class DenseAutoencoder(nnx.Module):
    """Fully connected encoder and decoder.

    The activation follows every hidden layer and a plain code; the output has its own.
    Dropout acts on hidden layers only, with a traced rate.
    """

    def __init__(self, config: NetworkConfig, rngs: nnx.Rngs):
        def layers(*sizes: int) -> nnx.List:
            return nnx.List(
                nnx.Linear(n_in, n_out, param_dtype=jnp.float32, rngs=rngs)
                for n_in, n_out in pairwise(sizes)
            )

        self.activation = config.activation
        self.code_activation = config.code_activation
        self.output_activation = config.output_activation
        encoder, decoder = _layer_sizes(config)
        self.encoder = layers(*encoder)
        self.decoder = layers(*decoder)

    def encode(
        self, x: Array, key: Array | None = None, dropout: Array | float = 0.0
    ) -> Array:
        """Output of the encoder. Dropout is on only where a key is given."""
        x = self._hidden(self.encoder, x, key, dropout)
        return ACTIVATIONS[self.code_activation](self.encoder[-1](x))

    def decode(
        self, code: Array, key: Array | None = None, dropout: Array | float = 0.0
    ) -> Array:
        """Reconstruction from each code."""
        x = self._hidden(self.decoder, code, key, dropout)
        return ACTIVATIONS[self.output_activation](self.decoder[-1](x))

    def _hidden(
        self, layers: nnx.List, x: Array, key: Array | None, dropout: Array | float
    ) -> Array:
        for i, layer in enumerate(layers[:-1]):
            x = ACTIVATIONS[self.activation](layer(x))
            if key is not None:
                # nnx.Dropout branches on its rate in Python, which a traced rate
                # does not allow.
                keep = 1.0 - dropout
                kept = jax.random.bernoulli(jax.random.fold_in(key, i), keep, x.shape)
                x = jnp.where(kept, x / keep, 0.0)
        return x


class Autoencoder(NamedTuple):
    """A network with its weights, seen through its bottleneck."""

    module: DenseAutoencoder
    params: Parameters
    config: NetworkConfig

    def encoded(
        self, x: Array, key: Array | None = None, dropout: Array | float = 0.0
    ) -> Array:
        """Code of each row, or mean and log variance of it."""
        return self.module.encode(x, key, dropout)

    def code(self, encoded: Array) -> Array:
        """Code that stands for each row: of a distribution its mean."""
        if self.config.bottleneck == "variational":
            return bottlenecks.distribution(encoded)[0]
        return encoded

    def encode(self, x: Array) -> Array:
        """Code of each row."""
        return self.code(self.encoded(x))

    def decode(
        self, code: Array, key: Array | None = None, dropout: Array | float = 0.0
    ) -> Array:
        """Reconstruction from each code."""
        return self.module.decode(code, key, dropout)


@lru_cache(maxsize=128)
def _skeleton(config: NetworkConfig) -> tuple[nnx.GraphDef, dict[str, tuple]]:
    """Return the graph of the module, and path and shape of each parameter."""

    def build() -> DenseAutoencoder:
        return DenseAutoencoder(config, nnx.Rngs(params=jax.random.key(0)))

    graphdef, state = nnx.split(nnx.eval_shape(build))
    leaves = nnx.to_flat_state(state)
    return graphdef, {
        ".".join(map(str, path)): (path, leaf.shape) for path, leaf in leaves
    }


def _layer_sizes(config: NetworkConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Widths of encoder and decoder, from input to output."""
    encoder = (config.n_features, *config.encoder_layer_sizes, config.encoded_width)
    decoder = (config.latent_dim, *config.decoder_layer_sizes, config.n_features)
    return encoder, decoder


def shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter, without building the module."""
    encoder, decoder = _layer_sizes(config)
    found: dict[str, tuple[int, ...]] = {}
    for part, sizes in (("decoder", decoder), ("encoder", encoder)):
        for i, (n_in, n_out) in enumerate(pairwise(sizes)):
            found[f"{part}.{i}.bias"] = (n_out,)
            found[f"{part}.{i}.kernel"] = (n_in, n_out)
    return found | bottlenecks.shapes(config)


def init(rng: np.random.Generator, *, config: NetworkConfig) -> dict[str, np.ndarray]:
    """Random parameters: He-normal kernels, zero biases.

    Drawn by NumPy, because compiling the initialisation costs about a second for
    every new architecture (and op by op two to three).
    """
    return {
        name: np.float32(np.sqrt(2 / shape[0])) * rng.standard_normal(shape, np.float32)
        if name.endswith("kernel")
        else np.zeros(shape, np.float32)
        for name, shape in shapes(config).items()
    }


def bind(params: Parameters, *, config: NetworkConfig) -> Autoencoder:
    """Return the network that carries ``params``; free inside a compiled function."""
    graphdef, leaves = _skeleton(config)
    flat = [(path, nnx.Param(params[name])) for name, (path, _) in leaves.items()]
    module = nnx.merge(graphdef, nnx.from_flat_state(flat))
    return Autoencoder(module, params, config)


def layer_table(config: NetworkConfig) -> list[tuple[str, int, int]]:
    """Name, width and number of parameters of each layer."""
    encoder, decoder = _layer_sizes(config)
    table = [
        *_rows("encoder", pairwise(encoder), last="code"),
        *_rows("decoder", pairwise(decoder), last="output"),
    ]
    if config.bottleneck == "variational":
        table.append(("noise", 1, 1))
    if config.bottleneck == "adversarial":
        table += _rows("discriminator", bottlenecks.discriminator_layers(config))
    return table


def _rows(
    part: str, layers: Iterable[tuple[int, int]], last: str | None = None
) -> list[tuple[str, int, int]]:
    """Rows of the table for dense layers; the last may have a name of its own."""
    rows = [
        (f"{part}.{i}", n_out, (n_in + 1) * n_out)
        for i, (n_in, n_out) in enumerate(layers)
    ]
    if last:
        rows[-1] = (last, *rows[-1][1:])
    return rows
