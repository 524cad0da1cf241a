"""Gated recurrent units over sequences."""

from itertools import pairwise
from typing import Any, ClassVar

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


class GatedLayer(nnx.Module):
    """Gated recurrent units (Cho et al., 2014) over sequences (n, length, channels)."""

    def __init__(self, n_in: int, n_out: int, rngs: nnx.Rngs) -> None:
        self.input = linear(n_in, 3 * n_out, rngs)
        self.state = linear(n_out, 3 * n_out, rngs)

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

    # Gated units, which saturate, keep the variance with half of it.
    gain: ClassVar[int] = 1

    def __init__(self, config: NetworkConfig, rngs: nnx.Rngs) -> None:
        super().__init__(config)
        self.length, self.n_channels = shape_of_rows(config)
        encoder = (self.n_channels, *config.encoder_layer_sizes)
        decoder = (config.latent_dim, *config.decoder_layer_sizes)
        self.encoder = nnx.List(GatedLayer(*pair, rngs) for pair in pairwise(encoder))
        self.decoder = nnx.List(GatedLayer(*pair, rngs) for pair in pairwise(decoder))
        self.to_code = linear(encoder[-1], bottlenecks.encoded_width(config), rngs)
        self.to_output = linear(decoder[-1], self.n_channels, rngs)

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
        self, layers: nnx.List[Any], x: Array, key: Array | None, dropout: Array | float
    ) -> Array:
        for i, layer in enumerate(layers):
            x = self.dropped(layer(x), i, key, dropout)
        return x

    @staticmethod
    def refusal(config: NetworkConfig) -> Refusal | None:
        """Refuse a half without layers, and rows that are no sequence."""
        for half in ("encoder", "decoder"):
            sizes = getattr(config, f"{half}_layer_sizes")
            if not sizes:
                name = "hidden" if half == "encoder" else half
                wanted = "of at least one layer with network='recurrent'"
                return Refusal(f"{name}_layer_sizes", wanted, sizes)
        wanted = "(length, channels) with network='recurrent'"
        return refused_shape(config, (2,), wanted)

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
            dense_layer("code", encoder[-1], bottlenecks.encoded_width(config)),
            *(
                GatedLayer.layer(f"decoder.{i}", *pair, length)
                for i, pair in enumerate(pairwise(decoder))
            ),
            dense_layer("output", decoder[-1], n_channels, length),
        ]
