"""Our autoencoders as ``flax.nnx`` modules: dense, convolutional and recurrent.

Each maps rows of ``n_features`` numbers to codes and back; images and sequences are
rows too, whose shape the configuration gives. Dropout acts on hidden layers only, with
a traced rate, and only where a key is given.
"""

import math
from collections.abc import Iterable
from itertools import pairwise, product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
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

# Side of the convolutions' windows, and how much each layer of the encoder shrinks the
# sides of its input.
WINDOW = 3
STRIDE = 2


class Layer(NamedTuple):
    """What is to be said of a layer: ``shape`` is that of its output for one row."""

    name: str
    shape: tuple[int, ...]
    n_parameters: int
    n_products: int


def _linear(n_in: int, n_out: int, rngs: nnx.Rngs) -> nnx.Linear:
    return nnx.Linear(n_in, n_out, param_dtype=jnp.float32, rngs=rngs)


def dense_layer(name: str, n_in: int, n_out: int, times: int = 1) -> Layer:
    """Describe a dense layer, which a row passes ``times`` times."""
    shape = (n_out,) if times == 1 else (times, n_out)
    return Layer(name, shape, (n_in + 1) * n_out, times * n_in * n_out)


class OurModule(nnx.Module):
    """Base of our autoencoders: activations and dropout."""

    def __init__(self, config: NetworkConfig):
        self.activation = config.activation
        self.code_activation = config.code_activation
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


class DenseAutoencoder(OurModule):
    """Fully connected layers."""

    def __init__(self, config: NetworkConfig, rngs: nnx.Rngs):
        super().__init__(config)
        encoder, decoder = _dense_sizes(config)
        self.encoder = nnx.List(_linear(*pair, rngs) for pair in pairwise(encoder))
        self.decoder = nnx.List(_linear(*pair, rngs) for pair in pairwise(decoder))

    def encode(
        self, x: Array, key: Array | None = None, dropout: Array | float = 0.0
    ) -> Array:
        """Output of the encoder."""
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
            x = self.activated(layer(x), i, key, dropout)
        return x

    @staticmethod
    def table(config: NetworkConfig) -> list[Layer]:
        """Layers from input to output."""
        encoder, decoder = _dense_sizes(config)
        return [
            *dense_layers("encoder", encoder, last="code"),
            *dense_layers("decoder", decoder, last="output"),
        ]


def _dense_sizes(config: NetworkConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Widths of encoder and decoder, from input to output."""
    encoder = (config.n_features, *config.encoder_layer_sizes, config.encoded_width)
    decoder = (config.latent_dim, *config.decoder_layer_sizes, config.n_features)
    return encoder, decoder


def dense_layers(part: str, sizes: Iterable[int], last: str | None = None) -> list:
    """Describe dense layers; the last may have a name of its own."""
    layers = [
        dense_layer(f"{part}.{i}", *pair) for i, pair in enumerate(pairwise(sizes))
    ]
    if last:
        layers[-1] = layers[-1]._replace(name=last)
    return layers


def convolve(layer: nnx.Linear, x: Array, stride: int) -> Array:
    """Convolve maps of shape (n, *sides, channels) with zeros around them.

    The windows are cut out and multiplied as a matrix: inside a compiled loop on a CPU
    that takes a sixth of the time of XLA's convolution, and compiles in less than half.
    """
    sides = x.shape[1:-1]
    n_windows = [-(-side // stride) for side in sides]
    missing = [
        max((n - 1) * stride + WINDOW - side, 0)
        for n, side in zip(n_windows, sides, strict=True)
    ]
    x = jnp.pad(x, ((0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)))
    windows = [
        x[
            :,
            *(
                slice(start, start + (n - 1) * stride + 1, stride)
                for start, n in zip(place, n_windows, strict=True)
            ),
        ]
        for place in product(range(WINDOW), repeat=len(sides))
    ]
    return layer(jnp.concatenate(windows, axis=-1))


class ConvolutionalAutoencoder(OurModule):
    """Convolutions that halve the sides; the decoder doubles them again.

    Sequences have the shape (length, channels), images (height, width, channels). The
    sizes of the hidden layers are numbers of channels.
    """

    def __init__(self, config: NetworkConfig, rngs: nnx.Rngs):
        super().__init__(config)
        self.maps, self.n_channels, self.decoded = _maps(config)
        window = WINDOW ** (len(self.maps[0]))
        flat = math.prod(self.maps[-1])
        first, *_ = self.decoded
        encoder = [
            _linear(window * n_in, n_out, rngs)
            for n_in, n_out in pairwise(self.n_channels)
        ]
        self.encoder = nnx.List(
            [*encoder, _linear(flat * self.n_channels[-1], config.encoded_width, rngs)]
        )
        decoder = [
            _linear(window * n_in, n_out, rngs)
            for n_in, n_out in pairwise(self.decoded)
        ]
        self.decoder = nnx.List(
            [_linear(config.latent_dim, flat * first, rngs), *decoder]
        )

    def encode(
        self, x: Array, key: Array | None = None, dropout: Array | float = 0.0
    ) -> Array:
        """Output of the encoder."""
        x = x.reshape(-1, *self.maps[0], self.n_channels[0])
        for i, layer in enumerate(self.encoder[:-1]):
            x = self.activated(convolve(layer, x, STRIDE), i, key, dropout)
        x = self.encoder[-1](x.reshape(x.shape[0], -1))
        return ACTIVATIONS[self.code_activation](x)

    def decode(
        self, code: Array, key: Array | None = None, dropout: Array | float = 0.0
    ) -> Array:
        """Reconstruction from each code."""
        x = self.decoder[0](code)
        x = x.reshape(-1, *self.maps[-1], self.decoded[0])
        for i, layer in enumerate(self.decoder[1:]):
            x = self.activated(x, i, key, dropout)
            x = convolve(layer, _grown(x, self.maps[-2 - i]), 1)
        return ACTIVATIONS[self.output_activation](x.reshape(x.shape[0], -1))

    @staticmethod
    def table(config: NetworkConfig) -> list[Layer]:
        """Layers from input to output."""
        maps, n_channels, decoded = _maps(config)
        window = WINDOW ** len(maps[0])

        def convolution(
            name: str, sides: tuple[int, ...], n_in: int, n_out: int
        ) -> Layer:
            size = window * n_in * n_out
            shape = (*sides, n_out)
            return Layer(name, shape, size + n_out, math.prod(sides) * size)

        flat = math.prod(maps[-1])
        seed = dense_layer("decoder.0", config.latent_dim, flat * decoded[0])
        table = [
            *(
                convolution(f"encoder.{i}", maps[i + 1], *pair)
                for i, pair in enumerate(pairwise(n_channels))
            ),
            dense_layer("code", flat * n_channels[-1], config.encoded_width),
            seed._replace(shape=(*maps[-1], decoded[0])),
            *(
                convolution(f"decoder.{i + 1}", maps[-2 - i], *pair)
                for i, pair in enumerate(pairwise(decoded))
            ),
        ]
        return [*table[:-1], table[-1]._replace(name="output")]


def _maps(config: NetworkConfig) -> tuple[list, tuple[int, ...], tuple[int, ...]]:
    """Sides of the maps from the input to the smallest, and channels on both ways."""
    *sides, channels = shape_of_rows(config)
    maps = [tuple(sides)]
    for _ in config.encoder_layer_sizes:
        maps.append(tuple(-(-side // STRIDE) for side in maps[-1]))
    return (
        maps,
        (channels, *config.encoder_layer_sizes),
        (*config.decoder_layer_sizes, channels),
    )


def _grown(x: Array, sides: tuple[int, ...]) -> Array:
    """Repeat each cell along each side, and cut what is too much off."""
    for axis, side in enumerate(sides, start=1):
        x = jnp.repeat(x, STRIDE, axis=axis)
        x = jax.lax.slice_in_dim(x, 0, side, axis=axis)
    return x


def shape_of_rows(config: NetworkConfig) -> tuple[int, ...]:
    """Shape that rows of a convolutional or recurrent network have."""
    return config.input_shape or (config.n_features, 1)


class GatedLayer(nnx.Module):
    """Gated recurrent units (Cho et al., 2014) over sequences (n, length, channels)."""

    def __init__(self, n_in: int, n_out: int, rngs: nnx.Rngs):
        self.input = _linear(n_in, 3 * n_out, rngs)
        self.state = _linear(n_out, 3 * n_out, rngs)

    def __call__(self, x: Array) -> Array:
        """State after each step, of shape (n, length, units)."""

        def step(state: Array, seen: Array) -> tuple[Array, Array]:
            reset, update, new = jnp.split(seen, 3, axis=-1)
            past = jnp.split(self.state(state), 3, axis=-1)
            update = nnx.sigmoid(update + past[1])
            new = jnp.tanh(new + nnx.sigmoid(reset + past[0]) * past[2])
            state = update * state + (1 - update) * new
            return state, state

        # The inputs' part of all steps at once, ahead of the loop.
        seen = jnp.swapaxes(self.input(x), 0, 1)
        start = jnp.zeros((x.shape[0], seen.shape[-1] // 3), x.dtype)
        _, states = jax.lax.scan(step, start, seen)
        return jnp.swapaxes(states, 0, 1)

    @staticmethod
    def layer(name: str, n_in: int, n_out: int, length: int) -> Layer:
        """Describe the layer."""
        size = 3 * (n_in + n_out) * n_out
        return Layer(name, (length, n_out), size + 6 * n_out, length * size)


class RecurrentAutoencoder(OurModule):
    """Sequence to sequence (Srivastava et al., 2015) with gated recurrent units.

    The last state of the encoder makes the code, which the decoder gets at every step.
    Rows have the shape (length, channels); the sizes of the hidden layers are numbers
    of units. The activation follows the code only, since gated units have their own.
    """

    def __init__(self, config: NetworkConfig, rngs: nnx.Rngs):
        super().__init__(config)
        self.length, self.n_channels = shape_of_rows(config)
        encoder = (self.n_channels, *config.encoder_layer_sizes)
        decoder = (config.latent_dim, *config.decoder_layer_sizes)
        self.encoder = nnx.List(GatedLayer(*pair, rngs) for pair in pairwise(encoder))
        self.decoder = nnx.List(GatedLayer(*pair, rngs) for pair in pairwise(decoder))
        self.to_code = _linear(encoder[-1], config.encoded_width, rngs)
        self.to_output = _linear(decoder[-1], self.n_channels, rngs)

    def encode(
        self, x: Array, key: Array | None = None, dropout: Array | float = 0.0
    ) -> Array:
        """Output of the encoder."""
        x = x.reshape(-1, self.length, self.n_channels)
        x = self._states(self.encoder, x, key, dropout)[:, -1]
        return ACTIVATIONS[self.code_activation](self.to_code(x))

    def decode(
        self, code: Array, key: Array | None = None, dropout: Array | float = 0.0
    ) -> Array:
        """Reconstruction from each code."""
        x = jnp.repeat(code[:, None], self.length, axis=1)
        x = self.to_output(self._states(self.decoder, x, key, dropout))
        return ACTIVATIONS[self.output_activation](x.reshape(x.shape[0], -1))

    def _states(
        self, layers: nnx.List, x: Array, key: Array | None, dropout: Array | float
    ) -> Array:
        for i, layer in enumerate(layers):
            x = self.dropped(layer(x), i, key, dropout)
        return x

    @staticmethod
    def table(config: NetworkConfig) -> list[Layer]:
        """Layers from input to output."""
        length, n_channels = shape_of_rows(config)
        encoder = (n_channels, *config.encoder_layer_sizes)
        decoder = (config.latent_dim, *config.decoder_layer_sizes)
        return [
            *(
                GatedLayer.layer(f"encoder.{i}", *pair, length)
                for i, pair in enumerate(pairwise(encoder))
            ),
            dense_layer("code", encoder[-1], config.encoded_width),
            *(
                GatedLayer.layer(f"decoder.{i}", *pair, length)
                for i, pair in enumerate(pairwise(decoder))
            ),
            dense_layer("output", decoder[-1], n_channels, length),
        ]


NETWORKS: dict[str, Any] = {
    "dense": DenseAutoencoder,
    "conv": ConvolutionalAutoencoder,
    "recurrent": RecurrentAutoencoder,
}
