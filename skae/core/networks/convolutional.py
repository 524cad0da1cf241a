"""Convolutions over images and sequences."""

import math
from itertools import pairwise, product
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from skae.core import bottlenecks
from skae.core.config import NetworkConfig
from skae.core.errors import Refusal
from skae.core.layers import Layer, dense_layer
from skae.core.networks.ours import (
    ACTIVATIONS,
    OurModule,
    linear,
    refused_shape,
    shape_of_rows,
)

# Side of the convolutions' windows, and how much each layer of the encoder shrinks the
# sides of its input.
WINDOW = 3
STRIDE = 2


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

    def __init__(self, config: NetworkConfig, rngs: nnx.Rngs) -> None:
        super().__init__(config)
        self.maps, self.n_channels, self.decoded = _maps(config)
        window = WINDOW ** (len(self.maps[0]))
        flat = math.prod(self.maps[-1])
        first, *_ = self.decoded
        encoder = [
            linear(window * n_in, n_out, rngs)
            for n_in, n_out in pairwise(self.n_channels)
        ]
        self.encoder = nnx.List(
            [
                *encoder,
                linear(
                    flat * self.n_channels[-1], bottlenecks.encoded_width(config), rngs
                ),
            ]
        )
        decoder = [
            linear(window * n_in, n_out, rngs) for n_in, n_out in pairwise(self.decoded)
        ]
        self.decoder = nnx.List(
            [linear(config.latent_dim, flat * first, rngs), *decoder]
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
    def refusal(config: NetworkConfig) -> Refusal | None:
        """Refuse halves of different depth, and rows that are no sequence or image."""
        n_layers = len(config.encoder_layer_sizes)
        if len(config.decoder_layer_sizes) != n_layers:
            wanted = f"None or hold {n_layers} sizes, as the encoder does, with "
            value = config.decoder_layer_sizes
            return Refusal("decoder_layer_sizes", f"{wanted}network='conv'", value)
        wanted = "(length, channels) or (height, width, channels) with network='conv'"
        return refused_shape(config, (2, 3), wanted)

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
            dense_layer(
                "code", flat * n_channels[-1], bottlenecks.encoded_width(config)
            ),
            seed._replace(shape=(*maps[-1], decoded[0])),
            *(
                convolution(f"decoder.{i + 1}", maps[-2 - i], *pair)
                for i, pair in enumerate(pairwise(decoded))
            ),
        ]
        return [*table[:-1], table[-1]._replace(name="output")]


def _maps(config: NetworkConfig) -> tuple[list[Any], tuple[int, ...], tuple[int, ...]]:
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
