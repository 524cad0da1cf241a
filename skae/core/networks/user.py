"""Modules of the user: what they must be, and what can be said of them."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from skae.core import bottlenecks
from skae.core.bottlenecks import BOTTLENECKS, Parameters
from skae.core.config import NetworkConfig
from skae.core.errors import Refusal
from skae.core.layers import Layer
from skae.core.networks.binding import bind, skeleton


@contextmanager
def _naming(network: Callable[..., Any]) -> Iterator[None]:
    """Say of an error that the user's module is at fault."""
    try:
        yield
    # A user's function may raise anything.
    except Exception as error:
        wanted = "a callable that makes a flax.nnx module with encode and decode"
        raise Refusal("network", f"{wanted}: {error}", network) from error


@lru_cache(maxsize=128)
def width_of_code(network: Callable[..., Any], n_features: int, bottleneck: str) -> int:
    """Width of the codes of a user's module, which is checked on the way."""
    config = NetworkConfig(
        n_features, (), 1, (), "identity", "identity", network=network
    )
    with _naming(network):
        _check_names(config)
        shape = _shape_of(config, "encoded", n_features)
        if len(shape) != 2 or shape[0] != 3:
            raise ValueError(f"encode turns shape (3, {n_features}) into {shape}")
        parts = BOTTLENECKS[bottleneck].parts
        width, rest = divmod(shape[1], len(parts))
        if rest:
            raise ValueError(
                f"a {bottleneck} encode gives {' and '.join(parts)} side by side, "
                f"not {shape[1]} columns"
            )
        shape = _shape_of(config, "decode", width)
        if shape != (3, n_features):
            raise ValueError(
                f"decode turns shape (3, {width}) into {shape}, where rows have "
                f"{n_features} features"
            )
    return int(width)


def _check_names(config: NetworkConfig) -> None:
    parameters = skeleton(config).parameters
    if not parameters:
        raise ValueError("it has no nnx.Param")
    for name in parameters:
        if name.startswith(bottlenecks.PREFIXES):
            raise ValueError(f"its name {name!r} is one that skae uses")


def _shape_of(config: NetworkConfig, half: str, width: int) -> tuple[int, ...]:
    """Shape that a half of the network gives for three rows."""
    params = {
        name: jax.ShapeDtypeStruct(shape, np.float32)
        for name, (_, shape) in skeleton(config).parameters.items()
    }

    def run(params: Parameters, x: jax.Array) -> jax.Array:
        # As in training: dropout without a stream of random numbers fails.
        key = jax.random.key(0, impl="threefry2x32")
        return getattr(bind(params, config=config), half)(x, key)

    x = jax.ShapeDtypeStruct((3, width), np.float32)
    return jax.eval_shape(run, params, x).shape


def refusal(config: NetworkConfig) -> Refusal | None:
    """Refuse sizes that are not those of the module, which has no others."""
    if config.input_shape is not None:
        return Refusal("input_shape", "None", config.input_shape)
    try:
        width = width_of_code(config.network, config.n_features, config.bottleneck)
    except Refusal as refusal:
        return refusal
    if config.latent_dim != width:
        return Refusal("latent_dim", str(width), config.latent_dim)
    return None


def table(config: NetworkConfig) -> list[Layer]:
    """Group parameters by the layer that holds them; only widths of ends are known."""
    sizes: dict[str, int] = {}
    for name, (_, shape) in skeleton(config).parameters.items():
        layer = name.rpartition(".")[0] or name
        sizes[layer] = sizes.get(layer, 0) + math.prod(shape)
    return [
        *(Layer(name, (), size, size) for name, size in sizes.items()),
        Layer("code", (bottlenecks.encoded_width(config),), 0, 0),
        Layer("output", (config.n_features,), 0, 0),
    ]


def config_of(
    network: Callable[..., Any], n_features: int, bottleneck: str
) -> NetworkConfig:
    """Architecture of a user's module, whose sizes are its own affair."""
    return NetworkConfig(
        n_features,
        (),
        width_of_code(network, n_features, bottleneck),
        (),
        "identity",
        "identity",
        bottleneck,
        network,
    )


def is_random(config: NetworkConfig) -> bool:
    """Whether a module of the user draws random numbers, for dropout."""
    return callable(config.network) and bool(skeleton(config).streams)
