"""Dense autoencoders as ``flax.nnx`` modules, and their parameters as flat dicts."""

from functools import lru_cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

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

Parameters = dict[str, Array]


class DenseAutoencoder(nnx.Module):
    """Fully connected encoder and decoder.

    The activation follows every hidden layer and the code; the output has its own.
    Dropout acts on hidden layers only, with a traced rate.
    """

    def __init__(self, config: NetworkConfig, rngs: nnx.Rngs):
        def layers(*sizes: int) -> nnx.List:
            return nnx.List(
                nnx.Linear(n_in, n_out, param_dtype=jnp.float32, rngs=rngs)
                for n_in, n_out in pairwise(sizes)
            )

        self.activation = config.activation
        self.output_activation = config.output_activation
        self.encoder = layers(
            config.n_features, *config.encoder_layer_sizes, config.latent_dim
        )
        self.decoder = layers(
            config.latent_dim, *config.decoder_layer_sizes, config.n_features
        )

    def encode(
        self, x: Array, key: Array | None = None, dropout: Array | float = 0.0
    ) -> Array:
        """Code of each row. Dropout is on only where a key is given."""
        x = self._hidden(self.encoder, x, key, dropout)
        return ACTIVATIONS[self.activation](self.encoder[-1](x))

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


def shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter, without building the module."""
    encoder = (config.n_features, *config.encoder_layer_sizes, config.latent_dim)
    decoder = (config.latent_dim, *config.decoder_layer_sizes, config.n_features)
    found: dict[str, tuple[int, ...]] = {}
    for part, sizes in (("decoder", decoder), ("encoder", encoder)):
        for i, (n_in, n_out) in enumerate(pairwise(sizes)):
            found[f"{part}.{i}.bias"] = (n_out,)
            found[f"{part}.{i}.kernel"] = (n_in, n_out)
    return found


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


def bind(params: Parameters, *, config: NetworkConfig) -> DenseAutoencoder:
    """Return the module that carries ``params``; free inside a compiled function."""
    graphdef, leaves = _skeleton(config)
    flat = [(path, nnx.Param(params[name])) for name, (path, _) in leaves.items()]
    return nnx.merge(graphdef, nnx.from_flat_state(flat))


def layer_table(config: NetworkConfig) -> list[tuple[str, int, int]]:
    """Name, width and number of parameters of each layer."""
    sizes = (
        config.n_features,
        *config.encoder_layer_sizes,
        config.latent_dim,
        *config.decoder_layer_sizes,
        config.n_features,
    )
    names = (
        [f"encoder.{i}" for i in range(len(config.encoder_layer_sizes))]
        + ["code"]
        + [f"decoder.{i}" for i in range(len(config.decoder_layer_sizes))]
        + ["output"]
    )
    return [
        (name, n_out, (n_in + 1) * n_out)
        for name, n_in, n_out in zip(names, sizes[:-1], sizes[1:], strict=True)
    ]
