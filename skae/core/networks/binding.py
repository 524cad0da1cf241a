"""Networks by configuration, and their parameters as flat dicts."""

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
from skae.core.networks.convolutional import ConvolutionalAutoencoder
from skae.core.networks.dense import DenseAutoencoder
from skae.core.networks.recurrent import RecurrentAutoencoder

NETWORKS: dict[str, Any] = {
    "dense": DenseAutoencoder,
    "conv": ConvolutionalAutoencoder,
    "recurrent": RecurrentAutoencoder,
}


def class_of(config: NetworkConfig) -> Any:
    """Class of the network, or None for a module of the user."""
    network = config.network
    return NETWORKS[network] if isinstance(network, str) else None


class Autoencoder(NamedTuple):
    """A network with its weights, seen through its bottleneck."""

    params: Parameters
    config: NetworkConfig

    def encoded(
        self, x: Array, key: Array | None = None, dropout: Array | float = 0.0
    ) -> Array:
        """Code of each row, or what its bottleneck makes a code of.

        Dropout is on only where a key is given; a module of the user has its own rate.
        """
        return self._half("encode", x, key, dropout)

    def code(self, encoded: Array) -> Array:
        """Code that stands for each row."""
        return bottlenecks.of(self.config).code(encoded)

    def encode(self, x: Array) -> Array:
        """Code of each row."""
        return self.code(self.encoded(x))

    def decode(
        self, code: Array, key: Array | None = None, dropout: Array | float = 0.0
    ) -> Array:
        """Reconstruction from each code."""
        return self._half("decode", code, key, dropout)

    def _half(
        self, name: str, x: Array, key: Array | None, dropout: Array | float
    ) -> Array:
        half = getattr(merge(self.params, key, config=self.config), name)
        return half(x, key, dropout) if class_of(self.config) else half(x)


def bind(params: Parameters, *, config: NetworkConfig) -> Autoencoder:
    """Return the network that carries ``params``; free inside a compiled function."""
    return Autoencoder(params, config)


class Skeleton(NamedTuple):
    """Graph of a module, its parameters by name, and its streams of random numbers."""

    graph: nnx.GraphDef[Any]
    parameters: dict[str, tuple[tuple[Any, ...], tuple[int, ...]]]
    streams: list[tuple[tuple[Any, ...], Any]]


def _make(config: NetworkConfig, rngs: nnx.Rngs) -> Any:
    if callable(config.network):
        return config.network(config.n_features, rngs)
    return class_of(config)(config, rngs)


@lru_cache(maxsize=128)
def skeleton(config: NetworkConfig) -> Skeleton:
    """Return what a module is without its numbers; some states are refused."""
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
    return Skeleton(
        graph,
        {
            _name(path): (path, leaf.shape)
            for path, leaf in nnx.to_flat_state(parameters)
        },
        list(nnx.to_flat_state(streams)),
    )


def _name(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))


def merge(
    params: Parameters, key: Array | None = None, *, config: NetworkConfig
) -> Any:
    """Return the module itself, with ``params``; with a key, ready to train."""
    graph, parameters, streams = skeleton(config)
    state = [(path, nnx.Param(params[name])) for name, (path, _) in parameters.items()]
    if class_of(config):
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


def shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter."""
    of_module = {n: shape for n, (_, shape) in skeleton(config).parameters.items()}
    return of_module | bottlenecks.of(config).shapes(config)


def init(rng: np.random.Generator, *, config: NetworkConfig) -> dict[str, np.ndarray]:
    """Random parameters: He-normal kernels, zero biases; a user's module has its own.

    Drawn by NumPy, because compiling the initialisation costs about a second for
    every new architecture (and op by op two to three).
    """
    network = class_of(config)
    if network:
        return _drawn(rng, shapes(config), network.gain)
    own = _init(rng.integers(2**32, size=2, dtype=np.uint32), config=config)
    found = {name: np.array(value) for name, value in own.items()}
    return found | _drawn(rng, bottlenecks.of(config).shapes(config), 2)


def _drawn(
    rng: np.random.Generator, shapes: dict[str, tuple[int, ...]], gain: int
) -> dict[str, np.ndarray]:
    def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if not name.endswith("kernel"):
            return np.zeros(shape, np.float32)
        deviation = np.float32(np.sqrt(gain / shape[0]))
        return deviation * rng.standard_normal(shape, np.float32)

    return {name: draw(name, shape) for name, shape in shapes.items()}


@bounded
@partial(jax.jit, static_argnames="config", compiler_options=OPTIONS)
def _init(bits: Array, *, config: NetworkConfig) -> Parameters:
    """Parameters as a user's module draws them."""
    key = jax.random.wrap_key_data(bits, impl="threefry2x32")
    state = nnx.state(_make(config, nnx.Rngs(key)), nnx.Param)
    return {_name(path): leaf[...] for path, leaf in nnx.to_flat_state(state)}
