"""Fully connected layers."""

from itertools import pairwise
from typing import Any, ClassVar

from flax import nnx
from jax import Array

from skae.core import bottlenecks
from skae.core.config import NetworkConfig
from skae.core.errors import Refusal
from skae.core.layers import Layer, dense_layers
from skae.core.networks.ours import ACTIVATIONS, OurModule, linear


class DenseAutoencoder(OurModule):
    """Fully connected layers."""

    takes_shape: ClassVar[bool] = False

    def __init__(self, config: NetworkConfig, rngs: nnx.Rngs) -> None:
        super().__init__(config)
        encoder, decoder = _dense_sizes(config)
        self.encoder = nnx.List(linear(*pair, rngs) for pair in pairwise(encoder))
        self.decoder = nnx.List(linear(*pair, rngs) for pair in pairwise(decoder))

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
        self, layers: nnx.List[Any], x: Array, key: Array | None, dropout: Array | float
    ) -> Array:
        for i, layer in enumerate(layers[:-1]):
            x = self.activated(layer(x), i, key, dropout)
        return x

    @staticmethod
    def refusal(config: NetworkConfig) -> Refusal | None:
        """Refuse a shape of rows, which would not matter."""
        if config.input_shape is None:
            return None
        return Refusal("input_shape", "None", config.input_shape)

    @staticmethod
    def onnx(
        g: Any, config: NetworkConfig, weights: dict[str, Any], half: str, x: str
    ) -> str:
        """ONNX form of a half, "encoder" or "decoder"."""
        encoder, decoder = _dense_sizes(config)
        last = config.output_activation
        n_layers = len(decoder) - 1
        if half == "encoder":
            last, n_layers = bottlenecks.code_activation(config), len(encoder) - 1
        for i in range(n_layers):
            layer = f"{half}.{i}"
            x = g("Gemm", x, weights[f"{layer}.kernel"], weights[f"{layer}.bias"])
            x = g.activation(last if i == n_layers - 1 else config.activation, x)
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
    encoder = (
        config.n_features,
        *config.encoder_layer_sizes,
        bottlenecks.encoded_width(config),
    )
    decoder = (config.latent_dim, *config.decoder_layer_sizes, config.n_features)
    return encoder, decoder
