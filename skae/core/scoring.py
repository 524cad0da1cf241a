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

from skae.core import batching, gaussian, memory, robust
from skae.core.compilation import bounded, make_room
from skae.core.config import NetworkConfig
from skae.core.gaussian import TINY, Statistics, root_mean_square
from skae.core.networks import DenseAutoencoder, bind

MAX_BLOCK_ROWS = 512
MAX_BLOCKS = 16
MAX_CALL_FLOATS = 2**22

# Rows that statistics are estimated from, at most, and numbers in their
# representation (in float64 they take 128 MB).
MAX_STATISTICS_ROWS = 20_000
MAX_STATISTICS_FLOATS = 2**24

MEAN_ERROR_ROWS = 2048

# The default score is the soft maximum of a local and a global energy: sharpness, and
# weight of the global one.
SHARPNESS = 4.0
GLOBAL_WEIGHT = 0.4

# Share of the rows that the global energy's Gaussian is fitted to.
ROBUST_SHARE = 0.55

# Energies below this share of their mean count as this much, so that rows which are
# there twice do not make all others infinitely abnormal.
LOG_FLOOR = 1e-6

# Used by NumPy alone, in float64.
HOST_STATISTICS = ("feature_error", "log_floor", "log_mean", "log_scale")


def project(x: Array, statistics: Statistics) -> Array:
    """Pull rows outside the ball of the training rows onto its surface."""
    offset = x - statistics["center"]
    distance = root_mean_square(offset / statistics["scale"])[:, None]
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


def _part(statistics: Statistics, prefix: str) -> Statistics:
    """Statistics of one Gaussian."""
    start = f"{prefix}_"
    return {
        name.removeprefix(start): value
        for name, value in statistics.items()
        if name.startswith(start)
    }


def standardised(x: Any, statistics: Statistics) -> Any:
    """Rows in units of the ball: training deviations from the training mean."""
    return (x - statistics["center"]) / statistics["scale"]


def reconstruction_distance(
    module: DenseAutoencoder, statistics: Statistics, x: Array
) -> Array:
    """Root of the reconstruction energy: mean squared residual and displacement."""
    return root_mean_square(residuals(module, statistics, x))[:, None]


def joint_distance(module: DenseAutoencoder, statistics: Statistics, x: Array) -> Array:
    """Root of the joint energy: Mahalanobis of residual and code, and displacement."""
    away = x - project(x, statistics)
    v = representation(module, statistics, x) - statistics["joint_mean"]
    joint = _part(statistics, "joint")
    return jnp.hypot(gaussian.distance(v, joint), gaussian.distance(away, joint))[
        :, None
    ]


def latent_distance(
    module: DenseAutoencoder, statistics: Statistics, x: Array
) -> Array:
    """Root of the latent energy: Mahalanobis of the code, and displacement."""
    inside = project(x, statistics)
    code = module.encode(inside) - statistics["latent_mean"]
    away = root_mean_square((x - inside) / statistics["scale"])
    latent = _part(statistics, "latent")
    return jnp.hypot(gaussian.distance(code, latent), away)[:, None]


def nearest_distance(module: None, statistics: Statistics, x: Array) -> Array:
    """Distance to the nearest remembered row, and displacement, in deviations."""
    del module
    inside = project(x, statistics)
    nearest = memory.distance(
        standardised(inside, statistics), statistics["memory"], statistics["norms"]
    )
    away = root_mean_square((x - inside) / statistics["scale"])
    return jnp.hypot(nearest, away)[:, None]


def mahalanobis_distance(module: None, statistics: Statistics, x: Array) -> Array:
    """Robust Mahalanobis distance of the row, and of its displacement."""
    del module
    inside = project(x, statistics)
    trusted = _part(statistics, "robust")
    u = standardised(inside, statistics) - trusted["mean"]
    away = (x - inside) / statistics["scale"]
    return jnp.hypot(gaussian.distance(u, trusted), gaussian.distance(away, trusted))[
        :, None
    ]


# Energies of each score. They are computed one by one: compiled together, they share
# sub-expressions that are rounded differently for one block and for many.
SCORES: dict[str, tuple[Callable, ...]] = {
    "reconstruction": (reconstruction_distance,),
    "joint": (joint_distance,),
    "latent": (latent_distance,),
    "nearest": (nearest_distance,),
    "mahalanobis": (mahalanobis_distance,),
    "combined": (reconstruction_distance, nearest_distance, mahalanobis_distance),
}


# One program serves all architectures.
WITHOUT_NETWORK = (nearest_distance, mahalanobis_distance)


@bounded
@partial(jax.jit, static_argnames=("function", "network"))
def _map_blocks(
    params: Any,
    statistics: Statistics,
    blocks: Array,
    n_used: Array,
    *,
    function: Callable,
    network: NetworkConfig | None,
) -> Array:
    module = bind(params, config=network) if network else None
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
    compiled_for: NetworkConfig | None = network
    if function in WITHOUT_NETWORK:
        params, compiled_for = {}, None
    height = int(np.clip(MAX_CALL_FLOATS // (16 * widest), 32, MAX_BLOCK_ROWS))
    n_blocks = int(np.clip(MAX_CALL_FLOATS // (height * widest), 1, MAX_BLOCKS))
    if n_rows <= height:
        n_blocks = 1
    make_room(function, compiled_for, width, n_blocks)
    on_device = {k: v for k, v in statistics.items() if k not in HOST_STATISTICS}
    if "memory" in statistics:
        on_device["memory"], on_device["norms"] = memory.padded(statistics["memory"])
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
                network=compiled_for,
            )
            flat = np.asarray(result).reshape(-1, result.shape[-1])
            results.append(flat[: len(rows)])
    return np.concatenate(results)


def score_rows(
    X: Any, params: Any, statistics: Statistics, *, network: NetworkConfig, score: str
) -> np.ndarray:
    """Float64 scores, higher for more normal rows."""
    distances = [
        apply(function, X, params, statistics, network=network)
        for function in SCORES[score]
    ]
    energies = np.square(np.hstack(distances).astype(np.float64))
    if score != "combined":
        return -energies[:, 0]
    units = _logarithm(energies, statistics["log_floor"]) - statistics["log_mean"]
    units /= statistics["log_scale"]
    return -soft_maximum(units[:, :2].mean(axis=1), units[:, 2])


def soft_maximum(local: np.ndarray, overall: np.ndarray) -> np.ndarray:
    """Combine standardised logarithms of a local and a global energy."""
    weighted = np.log(GLOBAL_WEIGHT) + SHARPNESS * overall
    return np.logaddexp(SHARPNESS * local, weighted) / SHARPNESS


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
    if score not in ("joint", "latent"):
        # Mean errors take fewer rows than a covariance.
        n_rows = max(MEAN_ERROR_ROWS, memory.capacity(network.n_features))
        few = slice(n_rows if score == "combined" else MEAN_ERROR_ROWS)
    else:
        few = slice(None)
    rows, row_weight = X[few], weight[few]
    v = apply(representation, rows, params, ball_statistics, network=network)
    v = v.astype(np.float64)
    squared = np.square(v[:, : network.n_features])
    statistics = dict(ball_statistics)
    statistics["feature_error"] = row_weight / row_weight.sum() @ squared
    if score == "joint":
        statistics |= _prefixed("joint", gaussian.fit(v, weight))
    if score == "latent":
        code = v[:, network.n_features :]
        statistics |= _prefixed("latent", gaussian.fit(code, weight))
    if score in ("nearest", "mahalanobis", "combined"):
        statistics |= _row_statistics(X, weight, ball_statistics, score)
    if score == "combined":
        statistics |= _units(squared, row_weight, statistics)
    return statistics


def _prefixed(prefix: str, statistics: Statistics) -> Statistics:
    return {f"{prefix}_{name}": value for name, value in statistics.items()}


def _row_statistics(
    X: np.ndarray, weight: np.ndarray, ball_statistics: Statistics, score: str
) -> Statistics:
    """Remembered rows and trusted Gaussian, which do not depend on the network."""
    width = X.shape[1]
    statistics = {}
    if score != "mahalanobis":
        remembered = X[: memory.capacity(width)]
        statistics["memory"] = standardised(remembered, ball_statistics)
    if score != "nearest":
        few = slice(robust.sample_size(width))
        u = standardised(X[few].astype(np.float64), ball_statistics)
        kept = robust.concentrate(u, weight[few], ROBUST_SHARE)
        statistics |= _prefixed("robust", gaussian.fit(u[kept], weight[few][kept]))
    return statistics


def _units(
    squared: np.ndarray, weight: np.ndarray, statistics: Statistics
) -> Statistics:
    """Mean and spread of the logarithms of the three energies over training rows.

    A remembered row's nearest row is the nearest other one.
    """
    rows = statistics["memory"]
    energies = np.column_stack(
        [
            squared[: len(rows)].mean(axis=1),
            memory.leave_one_out(rows),
            gaussian.energies(rows.astype(np.float64), _part(statistics, "robust")),
        ]
    )
    weight = weight[: len(rows)]
    floor = np.maximum(LOG_FLOOR * np.average(energies, axis=0, weights=weight), TINY)
    logs = _logarithm(energies, floor)
    mean = np.average(logs, axis=0, weights=weight)
    spread = np.sqrt(np.average(np.square(logs - mean), axis=0, weights=weight))
    return {
        "log_floor": floor,
        "log_mean": mean,
        "log_scale": np.where(spread > 1e-6, spread, 1.0),
    }


def _logarithm(energies: np.ndarray, floor: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(energies, floor))
