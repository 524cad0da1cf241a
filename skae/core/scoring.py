"""What a trained network says about rows: reconstructions, codes and energies.

Rows go through in blocks of one fixed height, padded with zeros, so a row's result is
the same bits alone, in any batch and in any order.

The network only ever sees rows inside the ball that holds the training rows (distances
in training standard deviations). A row outside is projected onto the ball, and the
displacement is added to its energy. Without it an autoencoder can reconstruct
far-away rows perfectly, since ReLU networks are linear out there.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from skae.core import batching, bottlenecks, gaussian, memory, robust
from skae.core.compilation import OPTIONS, bounded, make_room
from skae.core.config import NetworkConfig
from skae.core.gaussian import TINY, Statistics, root_mean_square
from skae.core.networks import Autoencoder, bind, layer_table

# Heights of blocks: tall ones cost less per row, but a single row pays for a whole one.
MIN_BLOCK_ROWS = 128
MAX_BLOCK_ROWS = 512
MAX_BLOCK_PRODUCTS = 2**23
MAX_CALL_ROWS = 4096
MAX_CALL_FLOATS = 2**20

# Rows that statistics are estimated from, at most, and numbers in their
# representation (in float64 they take 128 MB).
MAX_STATISTICS_ROWS = 20_000
MAX_STATISTICS_FLOATS = 2**24

MEAN_ERROR_ROWS = 2048

# Numbers that the ball is measured from at a time: in the processor's cache, four times
# as fast as all at once.
BALL_FLOATS = 2**17

# The default score is the soft maximum of a local and a global energy: sharpness, and
# weight of the global one.
SHARPNESS = 4.0
GLOBAL_WEIGHT = 0.4

# Share of the rows that the global energy's Gaussian is fitted to.
ROBUST_SHARE = 0.55

# Energies below this share of their mean count as this much, so that rows which are
# there twice do not make all others infinitely abnormal.
LOG_FLOOR = 1e-6

# Energies below this share of a feature's variance are rounding noise of float32, such
# as the distance of a row to its copy.
NOISE_FLOOR = 1e-10

# Statistics that are divided by or of which logarithms are taken.
POSITIVE = ("scale", "log_floor", "log_scale")

# Used by NumPy alone, in float64.
HOST_STATISTICS = ("feature_error", "log_floor", "log_mean", "log_scale")


def project(x: Array, statistics: Statistics) -> Array:
    """Pull rows outside the ball of the training rows onto its surface."""
    offset = x - statistics["center"]
    distance = root_mean_square(offset / statistics["scale"])[:, None]
    radius = statistics["radius"]
    shrunk = statistics["center"] + offset * (radius / jnp.maximum(distance, TINY))
    return jnp.where(distance <= radius, x, shrunk)


# Every function below gets the network, statistics, a block of rows, and which cells of
# it are observed: None if all are. Missing cells hold the centre.


def codes(
    module: Autoencoder,
    statistics: Statistics,
    x: Array,
    observed: Array | None = None,
) -> Array:
    """Code of each row."""
    del observed
    return module.encode(project(x, statistics))


def reconstructions(
    module: Autoencoder,
    statistics: Statistics,
    x: Array,
    observed: Array | None = None,
) -> Array:
    """Output of the network for each row, in missing cells too."""
    return module.decode(codes(module, statistics, x, observed))


def decoded(
    module: Autoencoder,
    statistics: Statistics,
    code: Array,
    observed: Array | None = None,
) -> Array:
    """Output of the decoder for each code."""
    del statistics, observed
    return module.decode(code)


def residuals(
    module: Autoencoder,
    statistics: Statistics,
    x: Array,
    observed: Array | None = None,
) -> Array:
    """Root of the per-feature errors: residual and displacement in quadrature."""
    del observed
    inside = project(x, statistics)
    residual = inside - module.decode(module.encode(inside))
    return jnp.hypot(residual, x - inside)


def representation(
    module: Autoencoder,
    statistics: Statistics,
    x: Array,
    observed: Array | None = None,
) -> Array:
    """Residual and code side by side: what the joint energy measures."""
    del observed
    inside = project(x, statistics)
    code = module.encode(inside)
    return jnp.concatenate([inside - module.decode(code), code], axis=-1)


def part(statistics: Statistics, prefix: str) -> Statistics:
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
    module: Autoencoder,
    statistics: Statistics,
    x: Array,
    observed: Array | None = None,
) -> Array:
    """Root of the reconstruction energy: mean squared residual and displacement."""
    inside = project(x, statistics)
    residual = inside - module.decode(module.encode(inside))
    return jnp.hypot(
        root_mean_square(residual, observed), root_mean_square(x - inside, observed)
    )[:, None]


def joint_distance(
    module: Autoencoder,
    statistics: Statistics,
    x: Array,
    observed: Array | None = None,
) -> Array:
    """Root of the joint energy: Mahalanobis of residual and code, and displacement."""
    away = x - project(x, statistics)
    v = representation(module, statistics, x) - statistics["joint_mean"]
    joint = part(statistics, "joint")
    seen = observed
    if observed is not None:
        n_codes = v.shape[1] - x.shape[1]
        seen = jnp.pad(observed, ((0, 0), (0, n_codes)), constant_values=True)
    return jnp.hypot(
        gaussian.distance(v, joint, seen), gaussian.distance(away, joint, observed)
    )[:, None]


def latent_distance(
    module: Autoencoder,
    statistics: Statistics,
    x: Array,
    observed: Array | None = None,
) -> Array:
    """Root of the latent energy: Mahalanobis of the code, and displacement."""
    inside = project(x, statistics)
    code = module.encode(inside) - statistics["latent_mean"]
    away = root_mean_square((x - inside) / statistics["scale"], observed)
    latent = part(statistics, "latent")
    return jnp.hypot(gaussian.distance(code, latent), away)[:, None]


def elbo_distance(
    module: Autoencoder,
    statistics: Statistics,
    x: Array,
    observed: Array | None = None,
) -> Array:
    """Root of minus the evidence's lower bound per feature, but for constants.

    The mean of the code stands for its draws, and displacements count as residuals.
    """
    inside = project(x, statistics)
    encoded = module.encoded(inside)
    residual = inside - module.decode(module.code(encoded))
    distance = jnp.hypot(
        root_mean_square(residual, observed), root_mean_square(x - inside, observed)
    )
    n_observed = x.shape[1] if observed is None else jnp.sum(observed, axis=-1)
    # Rounding may leave the divergence of a collapsed posterior below 0.
    divergence = jnp.sum(bottlenecks.divergences(encoded), axis=-1)
    information = jnp.sqrt(jnp.maximum(divergence, 0.0) / n_observed)
    deviation = jnp.exp(module.params[bottlenecks.NOISE] / 2)
    return jnp.hypot(distance / (deviation * np.sqrt(2)), information)[:, None]


def nearest_distance(
    module: None, statistics: Statistics, x: Array, observed: Array | None = None
) -> Array:
    """Distance to the nearest remembered row, and displacement, in deviations."""
    del module
    inside = project(x, statistics)
    nearest = memory.distance(
        standardised(inside, statistics),
        statistics["memory"],
        statistics["norms"],
        observed,
    )
    away = root_mean_square((x - inside) / statistics["scale"], observed)
    return jnp.hypot(nearest, away)[:, None]


def mahalanobis_distance(
    module: None, statistics: Statistics, x: Array, observed: Array | None = None
) -> Array:
    """Robust Mahalanobis distance of the row, and of its displacement."""
    del module
    inside = project(x, statistics)
    trusted = part(statistics, "robust")
    u = standardised(inside, statistics) - trusted["mean"]
    away = (x - inside) / statistics["scale"]
    return jnp.hypot(
        gaussian.distance(u, trusted, observed),
        gaussian.distance(away, trusted, observed),
    )[:, None]


# Energies of each score. They are computed one by one: compiled together, they share
# sub-expressions that are rounded differently for one block and for many.
SCORES: dict[str, tuple[Callable, ...]] = {
    "reconstruction": (reconstruction_distance,),
    "joint": (joint_distance,),
    "latent": (latent_distance,),
    "nearest": (nearest_distance,),
    "mahalanobis": (mahalanobis_distance,),
    "combined": (reconstruction_distance, nearest_distance, mahalanobis_distance),
    "elbo": (elbo_distance,),
}

# Scores that need a certain bottleneck.
NEEDS_BOTTLENECK = {"elbo": "variational"}


# One program serves all architectures.
WITHOUT_NETWORK = (nearest_distance, mahalanobis_distance)

BALL = ("center", "scale", "radius")

# Statistics, by the start of their names, that functions need besides the ball.
NEEDS = {
    joint_distance: "joint_",
    latent_distance: "latent_",
    mahalanobis_distance: "robust_",
}


@bounded
@partial(
    jax.jit,
    static_argnames=("function", "network", "is_masked"),
    compiler_options=OPTIONS,
)
def _map_blocks(
    params: Any,
    statistics: Statistics,
    blocks: Array,
    n_used: Array,
    *,
    function: Callable,
    network: NetworkConfig | None,
    is_masked: bool,
) -> Array:
    module = bind(params, config=network) if network else None

    def measure(x: Array) -> Array:
        if not is_masked:
            return function(module, statistics, x)
        observed = ~jnp.isnan(x)
        x = jnp.where(observed, x, statistics["center"])
        return function(module, statistics, x, observed)

    result = jax.eval_shape(measure, blocks[0])
    out = jnp.zeros((blocks.shape[0], *result.shape), result.dtype)

    def fill(i: Array, out: Array) -> Array:
        return out.at[i].set(measure(blocks[i]))

    return jax.lax.fori_loop(0, n_used, fill, out)


def apply(
    function: Callable,
    X: Any,
    params: Any,
    statistics: Statistics,
    *,
    network: NetworkConfig,
) -> np.ndarray:
    """Apply a function of this module to the rows of a table, block by block.

    Calls run in as many threads as there are cores: a program for one block after the
    other keeps a single core busy. Rows with missing cells have a program of their
    own, so that others cost and give what they would without them.
    """
    n_rows, width = X.shape
    compiled_for: NetworkConfig | None = network
    if function in WITHOUT_NETWORK:
        params, compiled_for = {}, None
    height, n_blocks = _block_shape(function, max(width, network.n_features), network)
    if n_rows <= height:
        n_blocks = 1
    make_room(function, compiled_for, width, n_blocks)
    needed = _needed(function, statistics)
    call_rows = n_blocks * height
    if n_rows > call_rows:
        params, needed = jax.device_put((params, needed))
    # Contexts belong to one thread each.
    device = jax.config.jax_default_device  # type: ignore[attr-defined]

    def call(start: int) -> np.ndarray:
        rows = batching.take(X, slice(start, start + call_rows))
        if not batching.has_missing(rows):
            return compute(rows, is_masked=False)
        missing = np.isnan(rows).any(axis=1)
        incomplete = compute(rows[missing], is_masked=True)
        result = np.empty((len(rows), incomplete.shape[1]), np.float32)
        result[missing] = incomplete
        if not missing.all():
            result[~missing] = compute(rows[~missing], is_masked=False)
        return result

    def compute(rows: np.ndarray, *, is_masked: bool) -> np.ndarray:
        blocks = rows
        if len(rows) < call_rows:
            blocks = np.zeros((call_rows, width), np.float32)
            blocks[: len(rows)] = rows
        with jax.default_device(device), jax.default_matmul_precision("highest"):
            result = _map_blocks(
                params,
                needed,
                blocks.reshape(n_blocks, height, width),
                -(-len(rows) // height),
                function=function,
                network=compiled_for,
                is_masked=is_masked,
            )
        return np.asarray(result).reshape(call_rows, -1)[: len(rows)]

    starts = range(0, n_rows, call_rows)
    if len(starts) == 1:
        return call(0)
    with ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1)) as pool:
        return np.concatenate(list(pool.map(call, starts)))


def _block_shape(
    function: Callable, widest: int, network: NetworkConfig
) -> tuple[int, int]:
    """Rows in a block and blocks in a call; they do not depend on the rows."""
    if function is nearest_distance:
        n_weights = memory.capacity(widest) * widest
    elif function is mahalanobis_distance:
        n_weights = widest**2
    else:
        n_weights = sum(
            max(layer.n_parameters, layer.n_products) for layer in layer_table(network)
        )
    height = np.clip(MAX_BLOCK_PRODUCTS // n_weights, MIN_BLOCK_ROWS, MAX_BLOCK_ROWS)
    height = int(min(height, max(32, MAX_CALL_FLOATS // (16 * widest))))
    rows = min(MAX_CALL_ROWS, MAX_CALL_FLOATS // widest)
    return height, max(1, rows // height)


def _needed(function: Callable, statistics: Statistics) -> Statistics:
    """Statistics that the function uses, as the device gets them."""
    needed = {name: statistics[name] for name in BALL}
    if function is nearest_distance:
        needed["memory"], needed["norms"] = memory.padded(statistics["memory"])
    prefix = NEEDS.get(function)
    if prefix:
        needed |= {k: v for k, v in statistics.items() if k.startswith(prefix)}
    return needed


def score_rows(
    X: Any,
    members: list[tuple[Any, Statistics]],
    *,
    network: NetworkConfig,
    score: str,
) -> np.ndarray:
    """Float64 scores, averaged over the members; higher for more normal rows."""
    measure = partial(apply, X=X, network=network)
    shared = {
        function: measure(function, params={}, statistics=members[0][1])
        for function in SCORES[score]
        if function in WITHOUT_NETWORK
    }
    total = np.zeros(X.shape[0])
    for params, statistics in members:
        distances = [
            shared[function]
            if function in shared
            else measure(function, params=params, statistics=statistics)
            for function in SCORES[score]
        ]
        energies = np.square(np.hstack(distances).astype(np.float64))
        total += (
            _combined(energies, statistics) if score == "combined" else energies[:, 0]
        )
    return -total / len(members)


def _combined(energies: np.ndarray, statistics: Statistics) -> np.ndarray:
    units = _logarithm(energies, statistics["log_floor"]) - statistics["log_mean"]
    units /= statistics["log_scale"]
    return soft_maximum(units[:, :2].mean(axis=1), units[:, 2])


def soft_maximum(local: np.ndarray, overall: np.ndarray) -> np.ndarray:
    """Combine standardised logarithms of a local and a global energy."""
    weighted = np.log(GLOBAL_WEIGHT) + SHARPNESS * overall
    return np.logaddexp(SHARPNESS * local, weighted) / SHARPNESS


def ball(X: np.ndarray, weight: np.ndarray) -> Statistics:
    """Centre, unit and radius of the ball that holds the rows.

    Columns without spread count in units of 1, as in scikit-learn's StandardScaler.
    """
    if batching.has_missing(X):
        return _ball_of_observed(X, weight)
    share = weight / weight.sum()
    height = max(1, BALL_FLOATS // X.shape[1])
    blocks = [slice(start, start + height) for start in range(0, len(X), height)]
    center = sum(share[part] @ X[part].astype(np.float64) for part in blocks)
    scale = np.sqrt(sum(share[part] @ np.square(X[part] - center) for part in blocks))
    scale = _unit(scale, center)
    precision = 1 / (np.square(scale) * X.shape[1])
    farthest = max((np.square(X[part] - center) @ precision).max() for part in blocks)
    return _as_ball(center, scale, farthest)


def _ball_of_observed(X: np.ndarray, weight: np.ndarray) -> Statistics:
    """Ball of rows with missing cells, which take the centre's values."""
    center, share = gaussian.moments(X.astype(np.float64), weight)
    squared = np.nan_to_num(np.square(X - center))
    scale = _unit(np.sqrt((share * squared).sum(axis=0)), center)
    farthest = (squared @ (1 / (np.square(scale) * X.shape[1]))).max()
    return _as_ball(center, scale, farthest)


def _unit(scale: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Replace the deviation of constant columns, which is rounding noise, by 1."""
    is_constant = (scale <= 1e-6 * np.abs(center)) | (scale < 1e-12)
    return np.where(is_constant, 1.0, scale)


def _as_ball(center: np.ndarray, scale: np.ndarray, farthest: float) -> Statistics:
    return {
        "center": center.astype(np.float32),
        "scale": scale.astype(np.float32),
        "radius": np.float32(np.sqrt(farthest)),
    }


def shared_statistics(
    X: np.ndarray,
    weight: np.ndarray,
    ball_statistics: Statistics,
    *,
    score: str,
    trusted: Statistics | None = None,
) -> Statistics:
    """Ball, remembered rows and trusted Gaussian: all that needs no network.

    The rows to trust are those that the Gaussian ``trusted`` fits best, if there is
    one.
    """
    width = X.shape[1]
    statistics = dict(ball_statistics)
    if score in ("nearest", "combined"):
        few = slice(memory.capacity(width))
        u = standardised(X[few], ball_statistics)
        remembered = gaussian.completed(u, weight[few])
        statistics["memory"] = remembered.astype(np.float32, copy=False)
    if score in ("mahalanobis", "combined"):
        few = slice(robust.sample_size(width))
        u = standardised(X[few].astype(np.float64), ball_statistics)
        complete = gaussian.completed(u, weight[few])
        if trusted:
            kept = robust.nearest(complete, trusted, ROBUST_SHARE)
        else:
            kept = robust.concentrate(complete, weight[few], ROBUST_SHARE)
        statistics |= _prefixed("robust", gaussian.fit(u[kept], weight[few][kept]))
    return statistics


def fit_statistics(
    params: Any,
    shared: Statistics,
    X: np.ndarray,
    weight: np.ndarray,
    *,
    network: NetworkConfig,
    score: str,
) -> Statistics:
    """Statistics that a score and feature errors need of one network."""
    if score not in ("joint", "latent"):
        # Mean errors take fewer rows than a covariance.
        n_rows = max(MEAN_ERROR_ROWS, memory.capacity(network.n_features))
        few = slice(n_rows if score == "combined" else MEAN_ERROR_ROWS)
        X, weight = X[few], weight[few]
    v = apply(representation, X, params, shared, network=network).astype(np.float64)
    v[:, : network.n_features][np.isnan(X)] = np.nan
    squared = np.square(v[:, : network.n_features])
    statistics = {"feature_error": gaussian.moments(squared, weight)[0]}
    if score == "joint":
        statistics |= _prefixed("joint", gaussian.fit(v, weight))
    if score == "latent":
        code = v[:, network.n_features :]
        statistics |= _prefixed("latent", gaussian.fit(code, weight))
    if score == "combined":
        statistics |= _units(X, squared, weight, shared)
    return statistics


def statistics_shapes(
    statistics: Statistics, n_members: int, *, network: NetworkConfig, score: str
) -> dict[str, tuple[int, ...]]:
    """Shapes that stacked statistics for a score must have.

    The number of remembered rows and the rank of wide covariances are read from the
    statistics themselves.
    """
    width, latent = network.n_features, network.latent_dim

    def of_gaussian(prefix: str, leading: int, size: int) -> dict[str, tuple[int, ...]]:
        n_components = statistics[f"{prefix}_components"].shape[1]
        shapes = gaussian.shapes(n_components, size)
        return {f"{prefix}_{name}": (leading, *rest) for name, rest in shapes.items()}

    shapes: dict[str, tuple[int, ...]] = {
        "center": (1, width),
        "scale": (1, width),
        "radius": (1,),
        "feature_error": (n_members, width),
    }
    if score == "joint":
        shapes |= of_gaussian("joint", n_members, width + latent)
    if score == "latent":
        shapes |= of_gaussian("latent", n_members, latent)
    if score in ("mahalanobis", "combined"):
        shapes |= of_gaussian("robust", 1, width)
    if score in ("nearest", "combined"):
        n_rows = min(max(1, statistics["memory"].shape[1]), memory.capacity(width))
        shapes["memory"] = (1, n_rows, width)
    if score == "combined":
        shapes |= dict.fromkeys(("log_floor", "log_mean", "log_scale"), (n_members, 3))
    return shapes


def _prefixed(prefix: str, statistics: Statistics) -> Statistics:
    return {f"{prefix}_{name}": value for name, value in statistics.items()}


def _units(
    X: np.ndarray, squared: np.ndarray, weight: np.ndarray, statistics: Statistics
) -> Statistics:
    """Mean and spread of the logarithms of the three energies over training rows.

    A remembered row's nearest row is the nearest other one.
    """
    rows = statistics["memory"]
    observed = ~np.isnan(X[: len(rows)])
    u = np.where(observed, rows.astype(np.float64), np.nan)
    energies = np.column_stack(
        [
            squared[: len(rows)].mean(axis=1, where=observed),
            memory.leave_one_out(rows, None if observed.all() else observed),
            gaussian.energies(u, part(statistics, "robust")),
        ]
    )
    weight = weight[: len(rows)]
    variance = np.square(statistics["scale"], dtype=np.float64).mean()
    floor = np.maximum(
        LOG_FLOOR * np.average(energies, axis=0, weights=weight),
        NOISE_FLOOR * np.array([variance, 1.0, 1.0]),
    )
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
