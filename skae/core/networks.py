"""Networks by configuration, and their parameters as flat dicts."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from skae.core import bottlenecks
from skae.core.bottlenecks import Parameters
from skae.core.compilation import OPTIONS, bounded
from skae.core.config import NetworkConfig
from skae.core.modules import NETWORKS, Layer, dense_layers


class Autoencoder(NamedTuple):
    """A network with its weights, seen through its bottleneck."""

    params: Parameters
    config: NetworkConfig

    def encoded(
        self, x: Array, key: Array | None = None, dropout: Array | float = 0.0
    ) -> Array:
        """Code of each row, or mean and logit of the variance of it.

        Dropout is on only where a key is given; a module of the user has its own rate.
        """
        module = merge(self.params, key, config=self.config)
        if callable(self.config.network):
            return module.encode(x)
        return module.encode(x, key, dropout)

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
        module = merge(self.params, key, config=self.config)
        if callable(self.config.network):
            return module.decode(code)
        return module.decode(code, key, dropout)


def bind(params: Parameters, *, config: NetworkConfig) -> Autoencoder:
    """Return the network that carries ``params``; free inside a compiled function."""
    return Autoencoder(params, config)


class _Skeleton(NamedTuple):
    """Graph of a module, its parameters by name, and its streams of random numbers."""

    graph: nnx.GraphDef
    parameters: dict[str, tuple[tuple, tuple[int, ...]]]
    streams: list[tuple[tuple, Any]]


def _make(config: NetworkConfig, rngs: nnx.Rngs) -> Any:
    if callable(config.network):
        return config.network(config.n_features, rngs)
    return NETWORKS[config.network](config, rngs)


@lru_cache(maxsize=128)
def _skeleton(config: NetworkConfig) -> _Skeleton:
    module = nnx.eval_shape(lambda: _make(config, nnx.Rngs(0)))
    graph, *states = nnx.split(module, nnx.Param, nnx.RngState, ...)
    parameters, streams, others = states
    for path, leaf in nnx.to_flat_state(parameters):
        if leaf.dtype != np.float32:
            raise ValueError(f"{_name(path)!r} is of type {leaf.dtype}, not float32")
    for path, leaf in nnx.to_flat_state(others):
        raise ValueError(
            f"it has {_name(path)!r}, a {type(leaf).__name__}. Only nnx.Param and "
            "nnx.Dropout are kept"
        )
    return _Skeleton(
        graph,
        {
            _name(path): (path, leaf.shape)
            for path, leaf in nnx.to_flat_state(parameters)
        },
        list(nnx.to_flat_state(streams)),
    )


def _name(path: tuple) -> str:
    return ".".join(map(str, path))


def merge(
    params: Parameters, key: Array | None = None, *, config: NetworkConfig
) -> Any:
    """Return the module itself, with ``params``; with a key, ready to train."""
    graph, parameters, streams = _skeleton(config)
    state = [(path, nnx.Param(params[name])) for name, (path, _) in parameters.items()]
    if not callable(config.network):
        return nnx.merge(graph, nnx.from_flat_state(state))
    start = jax.random.key(0, impl="threefry2x32") if key is None else key
    for number, (path, leaf) in enumerate(streams):
        is_key = isinstance(leaf, nnx.RngKey)
        value = jax.random.fold_in(start, number) if is_key else jnp.uint32(0)
        state.append((path, leaf.replace(value)))
    module = nnx.merge(graph, nnx.from_flat_state(state))
    if key is None:
        module.eval()
    else:
        module.train()
    return module


def is_random(config: NetworkConfig) -> bool:
    """Whether a module of the user draws random numbers, for dropout."""
    return bool(callable(config.network) and _skeleton(config).streams)


@contextmanager
def _naming(network: Callable) -> Iterator[None]:
    """Say of an error that the user's module is at fault."""
    try:
        yield
    # A user's function may raise anything.
    except Exception as error:
        raise ValueError(
            "The 'network' parameter of AutoencoderOutlierDetector must make a "
            f"flax.nnx module with encode and decode. {network!r} does not: {error}."
        ) from error


@lru_cache(maxsize=128)
def width_of_code(network: Callable, n_features: int, bottleneck: str) -> int:
    """Width of the codes of a user's module, which is checked on the way."""
    config = NetworkConfig(
        n_features, (), 1, (), "identity", "identity", network=network
    )
    with _naming(network):
        parameters = _skeleton(config).parameters
        if not parameters:
            raise ValueError("it has no nnx.Param")
        for name in parameters:
            if name.startswith(bottlenecks.PREFIXES):
                raise ValueError(f"its name {name!r} is one that skae uses")
        params = {
            name: jax.ShapeDtypeStruct(shape, np.float32)
            for name, (_, shape) in parameters.items()
        }

        def shape_of(half: str, width: int) -> tuple[int, ...]:
            x = jax.ShapeDtypeStruct((3, width), np.float32)

            def run(params: Parameters, x: Array) -> Array:
                # As in training: dropout without a stream of random numbers fails.
                key = jax.random.key(0, impl="threefry2x32")
                return getattr(bind(params, config=config), half)(x, key)

            return jax.eval_shape(run, params, x).shape

        shape = shape_of("encoded", n_features)
        width = shape[-1]
        if len(shape) != 2 or shape[0] != 3:
            raise ValueError(f"encode turns shape (3, {n_features}) into {shape}")
        if bottleneck == "variational":
            if width % 2:
                raise ValueError(
                    "a variational encode gives means and variances side by side, "
                    f"not {width} columns"
                )
            width //= 2
        shape = shape_of("decode", width)
        if shape != (3, n_features):
            raise ValueError(
                f"decode turns shape (3, {width}) into {shape}, where rows have "
                f"{n_features} features"
            )
        return int(width)


def shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter."""
    of_module = {n: shape for n, (_, shape) in _skeleton(config).parameters.items()}
    return of_module | bottlenecks.shapes(config)


def init(rng: np.random.Generator, *, config: NetworkConfig) -> dict[str, np.ndarray]:
    """Random parameters: He-normal kernels, zero biases; a user's module has its own.

    Drawn by NumPy, because compiling the initialisation costs about a second for
    every new architecture (and op by op two to three).
    """
    # Gated units, which saturate, keep the variance with half of it.
    gain = 1 if config.network == "recurrent" else 2

    def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if not name.endswith("kernel"):
            return np.zeros(shape, np.float32)
        deviation = np.float32(np.sqrt(gain / shape[0]))
        return deviation * rng.standard_normal(shape, np.float32)

    if not callable(config.network):
        return {name: draw(name, shape) for name, shape in shapes(config).items()}
    own = _init(rng.integers(2**32, size=2, dtype=np.uint32), config=config)
    found = {name: np.array(value) for name, value in own.items()}
    added = bottlenecks.shapes(config)
    return found | {name: draw(name, shape) for name, shape in added.items()}


@bounded
@partial(jax.jit, static_argnames="config", compiler_options=OPTIONS)
def _init(bits: Array, *, config: NetworkConfig) -> Parameters:
    """Parameters as a user's module draws them."""
    key = jax.random.wrap_key_data(bits, impl="threefry2x32")
    state = nnx.state(_make(config, nnx.Rngs(key)), nnx.Param)
    return {_name(path): leaf[...] for path, leaf in nnx.to_flat_state(state)}


def layer_table(config: NetworkConfig) -> list[Layer]:
    """Describe the layers."""
    if callable(config.network):
        table = _layers_of_user(config)
    else:
        table = NETWORKS[config.network].table(config)
    if config.bottleneck == "variational":
        table.append(Layer("noise", (1,), 1, 1))
    if config.bottleneck == "adversarial":
        sizes = bottlenecks.discriminator_sizes(config)
        table += dense_layers("discriminator", sizes)
    return table


def _layers_of_user(config: NetworkConfig) -> list[Layer]:
    """Group parameters by the layer that holds them; only widths of ends are known."""
    sizes: dict[str, int] = {}
    for name, (_, shape) in _skeleton(config).parameters.items():
        layer = name.rpartition(".")[0] or name
        sizes[layer] = sizes.get(layer, 0) + math.prod(shape)
    return [
        *(Layer(name, (), size, size) for name, size in sizes.items()),
        Layer("code", (config.encoded_width,), 0, 0),
        Layer("output", (config.n_features,), 0, 0),
    ]
