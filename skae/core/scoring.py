"""What a trained network says about rows: reconstructions, codes and energies.

Rows go through in blocks of one fixed height, padded with zeros, so a row's result is
the same bits alone, in any batch and in any order.

The network only ever sees rows inside the ball that holds the training rows (distances
in training standard deviations). A row outside is projected onto the ball, and the
displacement is added to its energy. Without it an autoencoder can reconstruct
far-away rows perfectly, since ReLU networks are linear out there.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core import batching
from skae.core.compilation import bounded, make_room
from skae.core.config import NetworkConfig
from skae.core.networks import DenseAutoencoder, bind

Statistics = dict[str, Any]

MAX_BLOCK_ROWS = 512
MAX_BLOCKS = 16
MAX_CALL_FLOATS = 2**22

# Wider representations than this get a low-rank covariance plus a constant for the
# remaining directions: memory and time stay linear in the width.
FULL_COVARIANCE_WIDTH = 1024
LOW_RANK = 512
LOW_RANK_ROWS = 2048

# Share of the mean variance that is added to every direction of a covariance.
RIDGE = 1e-2

# Rows that statistics are estimated from, at most, and numbers in their
# representation (in float64 they take 128 MB).
MAX_STATISTICS_ROWS = 20_000
MAX_STATISTICS_FLOATS = 2**24

MEAN_ERROR_ROWS = 2048

# Used by NumPy alone, in float64.
HOST_STATISTICS = ("feature_error", "log_mean", "log_scale")

TINY = 1e-30


def _root_mean_square(x: Array) -> Array:
    """Root of the mean square over the last axis, without overflow in float32."""
    largest = jnp.maximum(jnp.max(jnp.abs(x), axis=-1, keepdims=True), TINY)
    return largest[..., 0] * jnp.sqrt(jnp.mean(jnp.square(x / largest), axis=-1))


def project(x: Array, statistics: Statistics) -> Array:
    """Pull rows outside the ball of the training rows onto its surface."""
    offset = x - statistics["center"]
    distance = _root_mean_square(offset / statistics["scale"])[:, None]
    radius = statistics["radius"]
    shrunk = statistics["center"] + offset * (radius / jnp.maximum(distance, TINY))
    return jnp.where(distance <= radius, x, shrunk)


def codes(module: DenseAutoencoder, statistics: Statistics, x: Array) -> Array:
    """Code of each row."""
    return module.encode(project(x, statistics))


def reconstructions(
    module: DenseAutoencoder, statistics: Statistics, x: Array
) -> Array:
    """Output of the network for each row."""
    return module.decode(codes(module, statistics, x))


def decoded(module: DenseAutoencoder, statistics: Statistics, code: Array) -> Array:
    """Output of the decoder for each code."""
    del statistics
    return module.decode(code)


def residuals(module: DenseAutoencoder, statistics: Statistics, x: Array) -> Array:
    """Root of the per-feature errors: residual and displacement in quadrature."""
    inside = project(x, statistics)
    residual = inside - module.decode(module.encode(inside))
    return jnp.hypot(residual, x - inside)


def representation(module: DenseAutoencoder, statistics: Statistics, x: Array) -> Array:
    """Residual and code side by side: what the joint energy measures."""
    inside = project(x, statistics)
    code = module.encode(inside)
    return jnp.concatenate([inside - module.decode(code), code], axis=-1)


def _mahalanobis(v: Array, statistics: Statistics, prefix: str) -> Array:
    """Root of the mean squared whitened coordinate of already centred rows.

    Rows narrower than the covariance are zero in what they lack.
    """
    components = statistics[f"{prefix}_components"]
    rank, width = components.shape
    coordinates = v @ components[:, : v.shape[1]].T
    whitened = coordinates * statistics[f"{prefix}_precision_root"]
    distance = _root_mean_square(whitened) * jnp.sqrt(rank / width)
    if rank == width:
        return distance
    v = jnp.pad(v, ((0, 0), (0, width - v.shape[1])))
    rest = (v - coordinates @ components) * statistics[f"{prefix}_rest_root"]
    return jnp.hypot(distance, _root_mean_square(rest))


def reconstruction_distance(
    module: DenseAutoencoder, statistics: Statistics, x: Array
) -> Array:
    """Root of the reconstruction energy: mean squared residual and displacement."""
    return _root_mean_square(residuals(module, statistics, x))[:, None]


def joint_distance(module: DenseAutoencoder, statistics: Statistics, x: Array) -> Array:
    """Root of the joint energy: Mahalanobis of residual and code, and displacement."""
    away = x - project(x, statistics)
    v = representation(module, statistics, x) - statistics["joint_mean"]
    return jnp.hypot(
        _mahalanobis(v, statistics, "joint"), _mahalanobis(away, statistics, "joint")
    )[:, None]


def latent_distance(
    module: DenseAutoencoder, statistics: Statistics, x: Array
) -> Array:
    """Root of the latent energy: Mahalanobis of the code, and displacement."""
    inside = project(x, statistics)
    code = module.encode(inside) - statistics["latent_mean"]
    away = _root_mean_square((x - inside) / statistics["scale"])
    return jnp.hypot(_mahalanobis(code, statistics, "latent"), away)[:, None]


def both_distances(module: DenseAutoencoder, statistics: Statistics, x: Array) -> Array:
    """Roots of the reconstruction and the joint energy."""
    return jnp.concatenate(
        [
            reconstruction_distance(module, statistics, x),
            joint_distance(module, statistics, x),
        ],
        axis=-1,
    )


SCORES: dict[str, Callable] = {
    "reconstruction": reconstruction_distance,
    "joint": joint_distance,
    "latent": latent_distance,
    "combined": both_distances,
}


@bounded
@partial(jax.jit, static_argnames=("function", "network"))
def _map_blocks(
    params: Any,
    statistics: Statistics,
    blocks: Array,
    n_used: Array,
    *,
    function: Callable,
    network: NetworkConfig,
) -> Array:
    module = bind(params, config=network)
    result = jax.eval_shape(partial(function, module, statistics), blocks[0])
    out = jnp.zeros((blocks.shape[0], *result.shape), result.dtype)

    def fill(i: Array, out: Array) -> Array:
        return out.at[i].set(function(module, statistics, blocks[i]))

    return jax.lax.fori_loop(0, n_used, fill, out)


def apply(
    function: Callable,
    X: Any,
    params: Any,
    statistics: Statistics,
    *,
    network: NetworkConfig,
) -> np.ndarray:
    """Apply a function of this module to float32 rows, block by block."""
    n_rows, width = X.shape
    widest = max(width, network.n_features)
    height = int(np.clip(MAX_CALL_FLOATS // (16 * widest), 32, MAX_BLOCK_ROWS))
    n_blocks = int(np.clip(MAX_CALL_FLOATS // (height * widest), 1, MAX_BLOCKS))
    if n_rows <= height:
        n_blocks = 1
    make_room(function, network, n_blocks)
    on_device = {k: v for k, v in statistics.items() if k not in HOST_STATISTICS}
    params, on_device = jax.device_put((params, on_device))
    results = []
    with jax.default_matmul_precision("highest"):
        for rows in batching.blocks(X, n_blocks * height):
            padded = np.zeros((n_blocks, height, width), np.float32)
            padded.reshape(-1, width)[: len(rows)] = rows
            result = _map_blocks(
                params,
                on_device,
                padded,
                -(-len(rows) // height),
                function=function,
                network=network,
            )
            flat = np.asarray(result).reshape(-1, result.shape[-1])
            results.append(flat[: len(rows)])
    return np.concatenate(results)


def score_rows(
    X: Any, params: Any, statistics: Statistics, *, network: NetworkConfig, score: str
) -> np.ndarray:
    """Float64 scores, higher for more normal rows."""
    distances = apply(SCORES[score], X, params, statistics, network=network)
    energies = np.square(distances.astype(np.float64))
    if score != "combined":
        return -energies[:, 0]
    logs = _logarithm(energies)
    return -np.mean((logs - statistics["log_mean"]) / statistics["log_scale"], axis=1)


def ball(X: np.ndarray, weight: np.ndarray) -> Statistics:
    """Centre, unit and radius of the ball that holds the rows.

    Columns without spread count in units of 1, as in scikit-learn's StandardScaler.
    """
    share = weight / weight.sum()
    center = share @ X.astype(np.float64)
    squares = np.square(X - center)
    scale = np.sqrt(share @ squares)
    # A constant column's computed spread is rounding noise of its mean.
    scale[scale <= 1e-6 * np.abs(center)] = 1.0
    scale[scale < 1e-12] = 1.0
    distance = np.sqrt(squares @ (1 / np.square(scale)) / X.shape[1])
    return {
        "center": center.astype(np.float32),
        "scale": scale.astype(np.float32),
        "radius": np.float32(distance.max()),
    }


def _gaussian(v: np.ndarray, weight: np.ndarray, prefix: str) -> Statistics:
    """Mean and eigendecomposition of the covariance, with a ridge.

    Wide representations keep the leading directions only and one variance for the
    rest (probabilistic PCA; Tipping and Bishop, 1999).
    """
    mean = np.average(v, axis=0, weights=weight)
    width = v.shape[1]
    is_wide = width > FULL_COVARIANCE_WIDTH
    if is_wide:
        v, weight = v[:LOW_RANK_ROWS], weight[:LOW_RANK_ROWS]
    weighted = (v - mean) * np.sqrt(weight / weight.sum())[:, None]
    if is_wide:
        variances, left = np.linalg.eigh(weighted @ weighted.T)
        # Few rows tell next to nothing about the smaller of the variances.
        rank = max(1, min(LOW_RANK, len(v) // 4))
        variances, left = variances[-rank:], left[:, -rank:]
        vectors = weighted.T @ left
        vectors /= np.maximum(np.linalg.norm(vectors, axis=0), TINY)
        # Rounding noise has no direction.
        vectors[:, variances <= 1e-10 * variances[-1]] = 0.0
    else:
        rank = width
        variances, vectors = np.linalg.eigh(weighted.T @ weighted)
    total = np.square(weighted).sum()
    ridge = RIDGE * total / width if total > 0 else 1.0
    rest = max(total - variances.sum(), 0.0) / max(width - rank, 1)
    statistics = {
        "mean": mean,
        "components": vectors.T,
        "precision_root": 1 / np.sqrt(np.maximum(variances, 0.0) + ridge),
        "rest_root": 1 / np.sqrt(rest + ridge),
    }
    return {
        f"{prefix}_{name}": np.asarray(value, dtype=np.float32)
        for name, value in statistics.items()
    }


def fit_statistics(
    params: Any,
    ball_statistics: Statistics,
    X: np.ndarray,
    weight: np.ndarray,
    *,
    network: NetworkConfig,
    score: str,
) -> Statistics:
    """Statistics of rows inside the ball that a score and feature errors need."""
    if score == "reconstruction":
        # Mean errors take fewer rows than a covariance.
        X, weight = X[:MEAN_ERROR_ROWS], weight[:MEAN_ERROR_ROWS]
    v = apply(representation, X, params, ball_statistics, network=network)
    v = v.astype(np.float64)
    squared = np.square(v[:, : network.n_features])
    statistics = dict(ball_statistics)
    statistics["feature_error"] = weight / weight.sum() @ squared
    if score in ("joint", "combined"):
        statistics |= _gaussian(v, weight, "joint")
    if score == "latent":
        statistics |= _gaussian(v[:, network.n_features :], weight, "latent")
    if score == "combined":
        joint = _host_mahalanobis(v - statistics["joint_mean"], statistics)
        logs = _logarithm(np.column_stack([squared.mean(axis=1), joint]))
        mean = np.average(logs, axis=0, weights=weight)
        spread = np.sqrt(np.average(np.square(logs - mean), axis=0, weights=weight))
        statistics["log_mean"] = mean
        statistics["log_scale"] = np.where(spread > 1e-6, spread, 1.0)
    return statistics


def _host_mahalanobis(v: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Joint energy of centred rows in float64, for the statistics alone."""
    components = statistics["joint_components"].astype(np.float64)
    coordinates = v @ components.T
    total = np.square(coordinates * statistics["joint_precision_root"]).sum(axis=1)
    if len(components) < v.shape[1]:
        rest = np.square(v - coordinates @ components).sum(axis=1)
        total += rest * np.square(statistics["joint_rest_root"])
    return total / v.shape[1]


def _logarithm(energies: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(energies, TINY))
