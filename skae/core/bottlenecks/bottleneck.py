"""What a bottleneck is: all that differs between codes and distributions of codes.

The defaults are those of a plain code, the encoder's output itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax
from jax import Array

from skae.core.config import NetworkConfig
from skae.core.layers import Layer

Parameters = dict[str, Array]


@dataclass(frozen=True)
class Rival:
    """A network that is trained against the encoder, in turns with it.

    Its parameters are all those of the bottleneck.
    """

    init: Callable[[Parameters, Array | float], Any]
    train: Callable[..., tuple[Parameters, Any]]


def _itself(encoded: Array) -> Array:
    return encoded


def _not_drawn(key: Array, encoded: Array) -> Array:
    del key
    return encoded


def _no_shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    del config
    return {}


def _no_layers(config: NetworkConfig) -> list[Layer]:
    del config
    return []


def _no_noise(
    weights: dict[str, np.ndarray],
    shape: tuple[Any, ...],
    generator: np.random.RandomState,
) -> float:
    del weights, shape, generator
    return 0.0


def same_node(g: Any, encoded: str, latent_dim: int) -> str:
    """ONNX form of a code that is the encoder's output."""
    del g, latent_dim
    return encoded


@dataclass(frozen=True)
class Bottleneck:
    """What stands between encoder and decoder, as functions.

    Attributes
    ----------
    prefix : str
        What the names of its own parameters start with.
    parts : tuple of str
        What the encoder gives for each unit of the code, side by side.
    has_prior : bool
        Whether codes are drawn to a standard Gaussian, by ``beta``. They then have no
        activation and are no probabilities, and new rows can be drawn.
    loss : str or None
        The only loss that it is defined for.
    shapes, layers : callable ``(config) -> ...``
        Its own parameters, and what is to be said of them.
    code : callable ``(encoded) -> code``
        The code that stands for each row.
    draw : callable ``(key, encoded) -> code``
        The code that the decoder gets in training.
    row_losses : callable or None
        ``(losses, encoded, n_observed, params, beta) -> losses``: the loss of each row
        where it is not the decoder's alone.
    pull : callable or None
        ``(params, loss, code, weight, beta) -> scalar``: what is added to the loss for
        the codes of clean rows.
    rival : Rival or None
        Whom the encoder learns to deceive.
    apply_updates : callable ``(params, updates) -> params``
        A step of the optimizer.
    noise : callable ``(weights, shape, generator) -> array or 0``
        What ``sample`` adds to decoded rows.
    has_collapsed : callable ``(codes) -> bool``, or None
        Whether codes of training rows tell nothing of them, where that can be.
    onnx_code : callable ``(g, encoded, latent_dim) -> name``, or None
        ONNX form of ``code``.
    """

    prefix: str = ""
    parts: tuple[str, ...] = ("codes",)
    has_prior: bool = False
    loss: str | None = None
    shapes: Callable[[NetworkConfig], dict[str, tuple[int, ...]]] = _no_shapes
    layers: Callable[[NetworkConfig], list[Layer]] = _no_layers
    code: Callable[[Array], Array] = _itself
    draw: Callable[[Array, Array], Array] = _not_drawn
    row_losses: Callable[..., Array] | None = None
    pull: Callable[..., Array] | None = None
    rival: Rival | None = None
    apply_updates: Callable[..., Any] = optax.apply_updates
    noise: Callable[..., Any] = _no_noise
    has_collapsed: Callable[[np.ndarray], bool] | None = None
    onnx_code: Callable[[Any, str, int], str] | None = None

    def split(self, params: Parameters) -> tuple[Parameters, Parameters]:
        """Parameters of encoder and decoder, and those of the rival."""
        if self.rival is None:
            return params, {}
        own = {k: v for k, v in params.items() if k.startswith(self.prefix)}
        return {k: v for k, v in params.items() if k not in own}, own


# What makes the key of a batch the key of its draws from prior or code.
DRAW = 2**31 - 1


def key_of_draws(key: Array) -> Array:
    """Key of the draws from prior or code in a batch."""
    return jax.random.fold_in(key, DRAW)
