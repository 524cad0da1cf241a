"""The way through the core, in NumPy terms: configure, train, measure, score.

This is the only module of the core that the estimator calls.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skae.core import (
    batching,
    bottlenecks,
    gaussian,
    memory,
    networks,
    reservoir,
    robust,
    scoring,
    training,
)
from skae.core.batching import Rows as Rows
from skae.core.bottlenecks import BOTTLENECKS
from skae.core.config import Hyperparameters, NetworkConfig, TrainingConfig
from skae.core.corruptions import CORRUPTIONS
from skae.core.losses import LOSSES
from skae.core.modules import ACTIVATIONS, NETWORKS, Layer
from skae.core.penalties import PENALTIES
from skae.core.reservoir import Reservoir as Reservoir
from skae.core.reservoir import empty_reservoir as empty_reservoir
from skae.core.scoring import SCORES, Statistics
from skae.core.training import OPTIMIZERS, SCHEDULES

CHOICES = {
    "network": NETWORKS,
    "activation": ACTIVATIONS,
    "output_activation": ACTIVATIONS,
    "bottleneck": BOTTLENECKS,
    "corruption": CORRUPTIONS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "learning_rate_schedule": SCHEDULES,
    "missing": ("error", "mask"),
    "anomaly_score": SCORES,
}

# Numbers of dimensions that a row may have.
DIMENSIONS = {"conv": (2, 3), "recurrent": (2,)}

# Length of a training with max_iter="auto": so many steps, or so many epochs if they
# take more, but not too many. More than a hundred epochs of a small table take longer
# and detect no better; large tables gain from more than a thousand steps.
MIN_AUTO_STEPS = 1000
MAX_AUTO_STEPS = 4000
USUAL_AUTO_EPOCHS = 30
MAX_AUTO_EPOCHS = 100

MIN_HELD_OUT = 20
N_FOLDS = 5

# Usual errors below this share of their mean count as this much: a feature that is
# always restored exactly would make every other row infinitely abnormal.
ERROR_FLOOR = 1e-3

# Noise of the denoising score in training standard deviations, its seed, and how many
# rows are held in memory at a time.
SCORE_NOISE = 0.5
SCORE_SEED = 0
SCORE_ROWS = 8192

# Share of the steps over which the prior of the codes gains its weight.
WARM_UP = 0.25

# A unit of a variational code is active if its mean varies more than this over rows
# (Burda, Grosse and Salakhutdinov, 2016).
ACTIVE_VARIANCE = 0.01

Weights = dict[str, np.ndarray]


class Member(NamedTuple):
    """One trained network: everything NumPy."""

    weights: Weights
    optimizer_leaves: list[np.ndarray]
    history: dict[str, list[float]]
    ending: str


class Model(NamedTuple):
    """A fitted detector's parts: plain Python and NumPy.

    The first axis of weights and statistics counts the members; what they share among
    the statistics is there once.
    """

    architecture: dict[str, Any]
    weights: Weights
    statistics: Statistics
    score: str


class Split(NamedTuple):
    """Rows to train on, rows held out, and a sample for the statistics."""

    train: Rows
    held_out: Rows | None
    sample: Rows
    ball: Statistics


def split_rows(
    parameters: Mapping[str, Any], rows: Rows, X_val: Any, *, seed: int
) -> Split:
    """Hold rows out and measure the ball that the others fill.

    Fewer than ``MIN_HELD_OUT`` rows are too few to tell anything: then none are held
    out.
    """
    order = batching.permutation(rows.X.shape[0], np.random.default_rng(seed))
    n_held_out = int(parameters["validation_fraction"] * len(order))
    held_out = None
    if X_val is not None and X_val.shape[0] >= MIN_HELD_OUT:
        held_out = Rows(X_val, np.broadcast_to(1.0, X_val.shape[0]))
    elif X_val is None and n_held_out >= MIN_HELD_OUT:
        held_out = rows.select(np.sort(order[:n_held_out]))
        order = order[n_held_out:]
    return _split(parameters, rows, order, held_out)


def _split(
    parameters: Mapping[str, Any],
    rows: Rows,
    order: np.ndarray,
    held_out: Rows | None,
    trusted: Statistics | None = None,
) -> Split:
    """Train on the rows in ``order``, which is random, and sample its first ones."""
    n_rows, n_features = rows.X.shape
    if parameters["trim"] > 0:
        order = order[_trusted(rows.select(order), 1 - parameters["trim"], trusted)]
    train = rows if len(order) == n_rows else rows.select(np.sort(order))
    width = n_features + architecture(parameters, n_features)["latent_dim"]
    n_sample = min(scoring.MAX_STATISTICS_ROWS, scoring.MAX_STATISTICS_FLOATS // width)
    chosen = order[: max(n_sample, MIN_HELD_OUT)]
    sample = Rows(batching.take(rows.X, chosen), rows.weight[chosen])
    return Split(train, held_out, sample, scoring.ball(*sample))


def split_stream(train: Rows, sample: Rows) -> Split:
    """Train on a batch, and measure a sample of all batches."""
    return Split(train, None, sample, scoring.ball(*sample))


def add_to_reservoir(
    sample: Reservoir, rows: Rows, generator: np.random.Generator
) -> Reservoir:
    """Add rows to a sample of as many rows as are remembered."""
    capacity = memory.capacity(rows.X.shape[1])
    return reservoir.add(sample, rows, capacity, generator)


def extremes(X: Any) -> tuple[float, float]:
    """Lowest and highest value of a table."""
    ends = [(np.nanmin(b), np.nanmax(b)) for b in batching.blocks(X, SCORE_ROWS)]
    lows, highs = zip(*ends, strict=True)
    return float(min(lows)), float(max(highs))


def _trusted(rows: Rows, share: float, trusted: Statistics | None) -> np.ndarray:
    """Return indices of the share of the rows that look normal together.

    Normal is what the Gaussian ``trusted`` says, or one that these rows make.
    """
    sample = slice(robust.sample_size(rows.X.shape[1]))
    X, weight = batching.take(rows.X, sample), rows.weight[sample]
    ball = scoring.ball(X, weight)

    if not trusted:
        u = scoring.standardised(X.astype(np.float64), ball)
        kept = robust.concentrate(gaussian.completed(u, weight), weight, share)
        trusted = gaussian.fit(u[kept], weight[kept])
    energies = np.concatenate(
        [
            gaussian.energies(
                scoring.standardised(block.astype(np.float64), ball), trusted
            )
            for block in batching.blocks(rows.X, SCORE_ROWS)
        ]
    )
    n_kept = max(2, round(share * len(energies)))
    return np.sort(np.argsort(energies, kind="stable")[:n_kept])


def device_context(device: str | None) -> AbstractContextManager:
    """Context in which JAX computes on the named platform."""
    if device is None:
        return nullcontext()
    try:
        return jax.default_device(jax.devices(device)[0])
    except RuntimeError as error:
        raise ValueError(
            f"The 'device' parameter of AutoencoderOutlierDetector must be None or a "
            f"platform that JAX has here. Got {device!r} instead."
        ) from error


def architecture(parameters: Mapping[str, Any], n_features: int) -> dict[str, Any]:
    """Shape of the network from checked estimator parameters, as plain Python."""
    network, bottleneck = parameters["network"], parameters["bottleneck"]
    if callable(network):
        return {
            "n_features": n_features,
            "encoder_layer_sizes": (),
            "latent_dim": networks.width_of_code(network, n_features, bottleneck),
            "decoder_layer_sizes": (),
            "activation": "identity",
            "output_activation": "identity",
            "bottleneck": bottleneck,
            "network": network,
            "input_shape": None,
        }
    encoder = tuple(map(int, parameters["hidden_layer_sizes"]))
    decoder = parameters["decoder_layer_sizes"]
    return {
        "n_features": n_features,
        "encoder_layer_sizes": encoder,
        "latent_dim": int(parameters["latent_dim"]),
        "decoder_layer_sizes": (
            encoder[::-1] if decoder is None else tuple(map(int, decoder))
        ),
        "activation": parameters["activation"],
        "output_activation": parameters["output_activation"],
        "bottleneck": bottleneck,
        "network": network,
        "input_shape": _input_shape(parameters, n_features),
    }


def _input_shape(
    parameters: Mapping[str, Any], n_features: int
) -> tuple[int, ...] | None:
    """Shape of a row for the networks that ask for one."""
    if parameters["network"] == "dense" or parameters["input_shape"] is None:
        return None
    shape = tuple(map(int, parameters["input_shape"]))
    if math.prod(shape) != n_features:
        raise ValueError(
            "The 'input_shape' parameter of AutoencoderOutlierDetector must hold as "
            f"many cells as X has columns, {n_features}. Got {shape} instead."
        )
    return None if shape == (n_features, 1) else shape


def training_config(
    parameters: Mapping[str, Any], n_rows: int, network: NetworkConfig
) -> TrainingConfig:
    """Active terms of the training from checked estimator parameters."""
    return TrainingConfig(
        loss=parameters["loss"],
        corruption=parameters["corruption"],
        is_masked=parameters["missing"] == "mask",
        penalties=tuple(name for name in PENALTIES if parameters[name] > 0),
        dropout=parameters["dropout"] > 0 or networks.is_random(network),
        optimizer=parameters["optimizer"],
        learning_rate_schedule=parameters["learning_rate_schedule"],
        batch_size=batching.batch_height(n_rows, int(parameters["batch_size"])),
    )


def _hyperparameters(
    parameters: Mapping[str, Any], n_steps: int, split: Split, *, continues: bool
) -> Hyperparameters:
    scale = parameters["corruption_scale"]
    low, high = scale if isinstance(scale, (tuple, list)) else (scale, scale)
    is_settled = continues or parameters["bottleneck"] == "plain"
    center = split.ball["center"]
    low_and_high = (center, center)
    if parameters["corruption"] == "salt_and_pepper":
        # Both leave NaN out where they can.
        ends = [f.reduce(split.sample.X, axis=0) for f in (np.fmin, np.fmax)]
        low_and_high = tuple(np.where(np.isnan(end), center, end) for end in ends)
    return Hyperparameters(
        learning_rate=np.float32(parameters["learning_rate"]),
        weight_decay=np.float32(parameters["weight_decay"]),
        dropout=np.float32(parameters["dropout"]),
        corruption_low=np.float32(low),
        corruption_high=np.float32(high),
        penalties={
            name: np.float32(parameters[name])
            for name in PENALTIES
            if parameters[name] > 0
        },
        sparsity_target=np.float32(parameters["sparsity_target"]),
        beta=np.float32(parameters["beta"]),
        warm_up=np.float32(0 if is_settled else WARM_UP * n_steps),
        n_steps=np.float32(n_steps),
        feature_scale=split.ball["scale"],
        feature_center=center,
        feature_low=low_and_high[0],
        feature_high=low_and_high[1],
    )


def n_epochs(parameters: Mapping[str, Any], n_rows: int) -> int:
    """Epochs that ``max_iter`` asks for."""
    if parameters["max_iter"] != "auto":
        return int(parameters["max_iter"])
    per_epoch = batching.steps_per_epoch(n_rows, int(parameters["batch_size"]))
    steps = np.clip(USUAL_AUTO_EPOCHS * per_epoch, MIN_AUTO_STEPS, MAX_AUTO_STEPS)
    return int(min(MAX_AUTO_EPOCHS, -(-steps // per_epoch)))


def train_member(
    parameters: Mapping[str, Any],
    split: Split,
    *,
    seed: int,
    previous: Member | None = None,
    on_epoch: Callable[[training.History, Any], bool] = lambda history, params: False,
) -> Member:
    """Train one network, from scratch or on from ``previous``."""
    n_rows, n_features = split.train.X.shape
    network = NetworkConfig(**architecture(parameters, n_features))
    config = training_config(parameters, n_rows, network)
    epochs = n_epochs(parameters, n_rows)
    n_steps = epochs * batching.steps_per_epoch(n_rows, config.batch_size)
    hyper = _hyperparameters(parameters, n_steps, split, continues=previous is not None)
    done = len(previous.history["loss"]) if previous else 0
    rng = np.random.default_rng([seed, done])
    weights = previous.weights if previous else networks.init(rng, config=network)
    # From its bits: jax.random.key would compile two programs. The implementation is
    # named because the default one is a global setting.
    bits = jnp.asarray(np.array([done, seed], np.uint32))
    key = jax.random.wrap_key_data(bits, impl="threefry2x32")
    result = training.train(
        training.TrainingState(
            weights,
            _optimizer_state(weights, hyper, config, previous),
            np.int32(0),
            key,
        ),
        split.train,
        split.held_out,
        hyper,
        network=network,
        training=config,
        n_epochs=epochs,
        shuffle=rng,
        patience=parameters["n_iter_no_change"]
        if parameters["early_stopping"]
        else None,
        tol=parameters["tol"],
        on_epoch=on_epoch,
    )
    params, ending = result.params, result.ending
    if split.held_out is None and not _finite(params, split, network):
        params, ending = result.earlier_params, "diverged"
    history = result.history
    if previous:
        history = {name: previous.history[name] + history[name] for name in history}
    leaves = jax.tree.leaves(result.state.optimizer_state)
    return Member(to_numpy(params), [np.array(x) for x in leaves], history, ending)


def _optimizer_state(
    weights: Weights,
    hyper: Hyperparameters,
    config: TrainingConfig,
    previous: Member | None,
) -> Any:
    """State to continue from where the previous optimiser has the same, else fresh."""
    fresh = training.init_optimizer(weights, hyper, training=config)
    leaves, structure = jax.tree.flatten(fresh)
    old = previous.optimizer_leaves if previous else []
    if [np.shape(leaf) for leaf in leaves] != [leaf.shape for leaf in old]:
        return fresh
    return jax.tree.unflatten(structure, old)


def _finite(params: Any, split: Split, network: NetworkConfig) -> bool:
    # More than a block, for the program that the statistics need too.
    rows = split.sample.X[: scoring.MAX_BLOCK_ROWS + 1]
    output = scoring.apply(
        scoring.representation, rows, params, split.ball, network=network
    )
    return bool(np.isfinite(output).all())


def cross_fitted_scores(
    parameters: Mapping[str, Any], rows: Rows, model: Model, *, seed: int
) -> np.ndarray:
    """Score each row as ``model`` would if it had not been trained on the row.

    For few rows, of which none are held out: the scores of rows that a wide network
    has learnt say nothing about new ones. Every fold has a network of its own, but
    the units of ``model``, which depend on how well the training rows were learnt.
    It trusts the rows that ``model`` trusts. Concentration ends in one of many optima,
    and rows of a category that one of them leaves out would be outliers of this fold
    alone.
    """
    units = {
        name: model.statistics[name][:1]
        for name in scoring.HOST_STATISTICS
        if name in model.statistics
    }
    shared = {name: array[0] for name, array in model.statistics.items()}
    trusted = scoring.part(shared, "robust")
    n_rows = rows.X.shape[0]
    scores = np.empty(n_rows)
    order = batching.permutation(n_rows, np.random.default_rng(seed))
    for fold in np.array_split(order, min(N_FOLDS, n_rows)):
        split = _split(parameters, rows, order[~np.isin(order, fold)], None, trusted)
        member = train_member(parameters, split, seed=seed)
        if member.ending == "interrupted":
            raise KeyboardInterrupt
        part = build(parameters, split, [member], trusted)
        part = part._replace(statistics=part.statistics | units)
        scores[fold] = score_rows(part, batching.take(rows.X, fold))
    return scores


def to_numpy(params: Any) -> Weights:
    """Copy parameters to the host."""
    return {name: np.array(value) for name, value in params.items()}


def unstack(stacked: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Split off the leading axis, which counts the members."""
    n_members = len(next(iter(stacked.values())))
    return [{k: v[i] for k, v in stacked.items()} for i in range(n_members)]


def _stack(members: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    return {name: np.stack([m[name] for m in members]) for name in members[0]}


def build(
    parameters: Mapping[str, Any],
    split: Split,
    members: list[Member],
    trusted: Statistics | None = None,
) -> Model:
    """Measure what scoring needs, and put the fitted parts together."""
    shape = architecture(parameters, split.sample.X.shape[1])
    score = parameters["anomaly_score"]
    network = NetworkConfig(**shape)
    shared = scoring.shared_statistics(
        *split.sample, split.ball, score=score, trusted=trusted
    )
    own = [
        scoring.fit_statistics(
            member.weights, shared, *split.sample, network=network, score=score
        )
        for member in members
    ]
    statistics = _stack([shared]) | _stack(own)
    return Model(shape, _stack([m.weights for m in members]), statistics, score)


def check_model(model: Model) -> None:
    """Refuse parts, read from a file, that do not fit together or make no sense."""
    shape, score = model.architecture, model.score
    sizes = [
        shape["n_features"],
        *shape["encoder_layer_sizes"],
        shape["latent_dim"],
        *shape["decoder_layer_sizes"],
    ]
    if (
        not all(type(size) is int and 0 < size < 2**31 for size in sizes)
        or not {shape["activation"], shape["output_activation"]} <= set(ACTIVATIONS)
        or not (callable(shape["network"]) or shape["network"] in NETWORKS)
        or len(sizes) > 2 + len(model.weights)
        or shape["bottleneck"] not in BOTTLENECKS
        or score not in SCORES
        or scoring.NEEDS_BOTTLENECK.get(score, shape["bottleneck"])
        != shape["bottleneck"]
        or not _belongs_together(shape)
    ):
        raise ValueError("its architecture is not one of skae.")
    network = NetworkConfig(**shape)
    n_members = max(1, len(next(iter(model.weights.values()))))
    shapes = networks.shapes(network)
    expected = {
        "weights": {name: (n_members, *rest) for name, rest in shapes.items()},
        "statistics": scoring.statistics_shapes(
            model.statistics, n_members, network=network, score=score
        ),
    }
    for part, wanted in expected.items():
        arrays = getattr(model, part)
        if {name: array.shape for name, array in arrays.items()} != wanted:
            raise ValueError(f"its {part} do not have the shapes that they should.")
        for name, array in arrays.items():
            on_host = name in scoring.HOST_STATISTICS
            if array.dtype != (np.float64 if on_host else np.float32):
                raise ValueError(f"its {part} {name!r} are of type {array.dtype}.")
            if not np.isfinite(array).all():
                raise ValueError(f"its {part} {name!r} are not all finite.")
            if name in scoring.POSITIVE and not (array > 0).all():
                raise ValueError(f"its {part} {name!r} are not all positive.")


def _belongs_together(shape: Mapping[str, Any]) -> bool:
    """Whether a network has layers, codes and rows as the architecture says."""
    network, given = shape["network"], shape["input_shape"]
    n_features, bottleneck = shape["n_features"], shape["bottleneck"]
    if callable(network):
        width = networks.width_of_code(network, n_features, bottleneck)
        return given is None and shape["latent_dim"] == width
    n_layers = [len(shape[f"{part}_layer_sizes"]) for part in ("encoder", "decoder")]
    if network == "conv" and n_layers[0] != n_layers[1]:
        return False
    if network == "recurrent" and 0 in n_layers:
        return False
    return given is None or (
        all(type(size) is int and size > 0 for size in given)
        and len(given) in DIMENSIONS.get(network, ())
        and math.prod(given) == n_features
    )


def members_of(model: Model) -> list[tuple[Weights, Statistics]]:
    """Weights and statistics of each member."""
    return [
        (
            weights,
            {k: v[0 if len(v) == 1 else i] for k, v in model.statistics.items()},
        )
        for i, weights in enumerate(unstack(model.weights))
    ]


def _each_member(model: Model, function: Callable, X: Any) -> list[np.ndarray]:
    network = NetworkConfig(**model.architecture)
    return [
        scoring.apply(function, X, *member, network=network)
        for member in members_of(model)
    ]


def _first(model: Model) -> Model:
    return model._replace(weights={k: v[:1] for k, v in model.weights.items()})


def score_rows(model: Model, X: Any) -> np.ndarray:
    """Float64 scores, averaged over the members; higher is more normal."""
    network = NetworkConfig(**model.architecture)
    return scoring.score_rows(X, members_of(model), network=network, score=model.score)


def codes(model: Model, X: Any) -> np.ndarray:
    """Codes by the first member."""
    return _each_member(_first(model), scoring.codes, X)[0]


def decode(model: Model, codes: Any) -> np.ndarray:
    """Rows that the first member's decoder makes of codes."""
    return _each_member(_first(model), scoring.decoded, codes)[0]


def sample(
    model: Model, n_samples: int, generator: np.random.RandomState
) -> np.ndarray:
    """Float64 rows that the first member's decoder makes of draws from the prior.

    A variational decoder's noise is added.
    """
    shape = model.architecture
    prior = generator.standard_normal((n_samples, shape["latent_dim"]))
    rows = decode(model, prior).astype(np.float64)
    if shape["bottleneck"] == "variational":
        log_variance = float(model.weights[bottlenecks.NOISE][0])
        rows += np.exp(log_variance / 2) * generator.standard_normal(rows.shape)
    return rows


def has_collapsed(model: Model, rows: Rows) -> bool:
    """Whether no unit of a member's variational code is active."""
    if model.architecture["bottleneck"] != "variational":
        return False
    X = rows.X[: scoring.MEAN_ERROR_ROWS]
    codes = _each_member(model, scoring.codes, X)
    return any((units.var(axis=0) < ACTIVE_VARIANCE).all() for units in codes)


def reconstruct(model: Model, X: Any) -> np.ndarray:
    """Float64 reconstructions, averaged over the members."""
    outputs = _each_member(model, scoring.reconstructions, X)
    return np.asarray(np.mean(outputs, axis=0, dtype=np.float64))


def feature_errors(model: Model, X: Any, *, normalize: bool) -> np.ndarray:
    """Squared residuals, averaged over the members; relative to training if asked."""
    roots = _each_member(model, scoring.residuals, X)
    errors = np.mean(np.square(roots, dtype=np.float64), axis=0)
    start = 0
    for block in batching.blocks(X, SCORE_ROWS):
        errors[start : start + len(block)][np.isnan(block)] = np.nan
        start += len(block)
    return errors / usual_errors(model) if normalize else errors


def usual_errors(model: Model) -> np.ndarray:
    """Mean squared residual of each feature on training rows, at least a floor."""
    usual = model.statistics["feature_error"].mean(axis=0)
    floor = max(ERROR_FLOOR * usual.mean(), np.finfo(np.float32).tiny)
    return np.maximum(usual, floor)


def denoising_score(model: Model, X: Any) -> float:
    """Minus the median denoising error, in training variances."""
    scale = model.statistics["scale"][0].astype(np.float64)
    errors = []
    rng = np.random.default_rng(SCORE_SEED)
    for clean in batching.blocks(X, SCORE_ROWS):
        noise = rng.standard_normal(clean.shape) * SCORE_NOISE * scale
        error = (clean - reconstruct(model, clean + noise)) / scale
        errors.append(np.nanmean(np.square(error), axis=1))
    return -float(np.median(np.concatenate(errors)))


def to_module(model: Model) -> Any:
    """Return the first member's network as a module of its own."""
    params = {name: jnp.asarray(v[0]) for name, v in model.weights.items()}
    return networks.merge(params, config=NetworkConfig(**model.architecture))


def layer_table(shape: Mapping[str, Any]) -> list[Layer]:
    """Describe the layers."""
    return networks.layer_table(NetworkConfig(**shape))
