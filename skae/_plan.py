"""Parameters of the detector as the core's plan, or the reason why they make none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from skae._validation import check_ranges, refused
from skae.core import networks
from skae.core.bottlenecks import BOTTLENECKS
from skae.core.config import Hyperparameters, NetworkConfig, Plan, TrainingConfig
from skae.core.corruptions import CORRUPTIONS
from skae.core.errors import Refusal
from skae.core.losses import LOSSES
from skae.core.networks import ACTIVATIONS, NETWORKS
from skae.core.optimizers import OPTIMIZERS, SCHEDULES
from skae.core.penalties import PENALTIES, Penalty
from skae.core.scores import SCORES

# Parameters that select by name, and what there is to select from.
CHOICES = {
    "network": NETWORKS,
    "activation": ACTIVATIONS,
    "output_activation": ACTIVATIONS,
    "bottleneck": BOTTLENECKS,
    "corruption": CORRUPTIONS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "learning_rate_schedule": SCHEDULES,
    "anomaly_score": SCORES,
}


# What trim="auto" leaves out beyond the share of outliers, which it doubles at most,
# and the largest share in all.
MORE, LARGEST_TRIM = 0.1, 0.45


@contextmanager
def naming(estimator: Any) -> Iterator[None]:
    """Say whose parameter it is that the core refuses."""
    try:
        yield
    except Refusal as refusal:
        # A user's network may have led to it.
        raise refused(
            refusal.name, refusal.wanted, refusal.value, type(estimator).__name__
        ) from refusal.__cause__


def checked_parameters(estimator: Any) -> dict[str, Any]:
    """Return parameters that are in range and make sense beside each other.

    Sizes of networks and shapes of rows are left to :func:`make_plan`.
    """
    parameters = estimator.get_params(deep=False)
    check_ranges(estimator, parameters, CHOICES)
    with naming(estimator):
        _check_together(parameters)
    return parameters


# Numbers beyond float32 become infinite, and training then says that it diverges.
@np.errstate(over="ignore")
def make_plan(parameters: dict[str, Any], n_features: int) -> Plan:
    """Plan of a fit on so many columns from checked parameters."""
    network = _network(parameters, n_features)
    penalties = {name: np.float32(parameters[name]) for name, _ in _active(parameters)}
    scale = parameters["corruption_scale"]
    low, high = scale if isinstance(scale, (tuple, list)) else (scale, scale)
    is_told = parameters["max_iter"] != "auto"
    return Plan(
        network,
        TrainingConfig(
            loss=parameters["loss"],
            corruption=parameters["corruption"],
            is_masked=parameters["missing"] == "mask",
            penalties=tuple(penalties),
            dropout=parameters["dropout"] > 0 or networks.is_random(network),
            optimizer=parameters["optimizer"],
            learning_rate_schedule=parameters["learning_rate_schedule"],
            batch_size=int(parameters["batch_size"]),
        ),
        Hyperparameters(
            learning_rate=np.float32(parameters["learning_rate"]),
            weight_decay=np.float32(parameters["weight_decay"]),
            dropout=np.float32(parameters["dropout"]),
            corruption_low=np.float32(low),
            corruption_high=np.float32(high),
            penalties=penalties,
            sparsity_target=np.float32(parameters["sparsity_target"]),
            beta=np.float32(parameters["beta"]),
        ),
        score=parameters["anomaly_score"],
        trim=_trim(parameters),
        validation_fraction=float(parameters["validation_fraction"]),
        max_epochs=int(parameters["max_iter"]) if is_told else None,
        patience=parameters["n_iter_no_change"]
        if parameters["early_stopping"]
        else None,
        tol=parameters["tol"],
        is_contaminated=parameters["contamination"] != "auto",
    )


def _trim(parameters: dict[str, Any]) -> float:
    """Share of the rows to leave out: more than what is told, as none tells which."""
    if parameters["trim"] != "auto":
        return float(parameters["trim"])
    if parameters["contamination"] == "auto":
        return 0.0
    share = float(parameters["contamination"])
    return min(share + min(share, MORE), LARGEST_TRIM)


def _network(parameters: dict[str, Any], n_features: int) -> NetworkConfig:
    """Architecture, whose sizes and shape of rows belong together."""
    network, bottleneck = parameters["network"], parameters["bottleneck"]
    if callable(network):
        return networks.config_of(network, n_features, bottleneck)
    encoder = tuple(map(int, parameters["hidden_layer_sizes"]))
    decoder, shape = parameters["decoder_layer_sizes"], parameters["input_shape"]
    if shape is not None:
        is_used = NETWORKS[network].takes_shape
        shape = tuple(map(int, shape)) if is_used else None
    config = NetworkConfig(
        n_features=n_features,
        encoder_layer_sizes=encoder,
        latent_dim=int(parameters["latent_dim"]),
        decoder_layer_sizes=(
            encoder[::-1] if decoder is None else tuple(map(int, decoder))
        ),
        activation=parameters["activation"],
        output_activation=parameters["output_activation"],
        bottleneck=bottleneck,
        network=network,
        input_shape=shape,
    )
    refusal = networks.refusal(config)
    if refusal:
        raise refusal
    return config if shape != (n_features, 1) else replace(config, input_shape=None)


def _check_together(parameters: dict[str, Any]) -> None:
    """Refuse values that make no sense beside those of other parameters."""
    loss = parameters["loss"]
    if not callable(parameters["network"]):
        for name, penalty in _active(parameters):
            needed = penalty.activation
            _check_activation(parameters, "activation", needed, f"{name} > 0")
        needed = LOSSES[loss].output_activation
        _check_activation(parameters, "output_activation", needed, f"loss={loss!r}")
    elif parameters["dropout"] > 0:
        wanted = "0 with a network of your own, which has its own nnx.Dropout"
        raise Refusal("dropout", wanted, parameters["dropout"])
    _check_bottleneck(parameters)
    corruption, scale = parameters["corruption"], parameters["corruption_scale"]
    if corruption and CORRUPTIONS[corruption].of_cells and np.max(scale) > 1:
        wanted = f"a share of the cells, at most 1, with corruption={corruption!r}"
        raise Refusal("corruption_scale", wanted, scale)


def _check_activation(
    parameters: dict[str, Any], name: str, needed: str | None, why: str
) -> None:
    """Refuse another activation than the one that something needs, if it does."""
    if needed and parameters[name] != needed:
        raise Refusal(name, f"{needed!r} with {why}", parameters[name])


def _active(parameters: dict[str, Any]) -> list[tuple[str, Penalty]]:
    """Names and values of the penalties that are on."""
    return [(n, penalty) for n, penalty in PENALTIES.items() if parameters[n] > 0]


def _check_bottleneck(parameters: dict[str, Any]) -> None:
    """Refuse what the bottleneck does not go with."""
    name, score, loss = (parameters[n] for n in ("bottleneck", "anomaly_score", "loss"))
    bottleneck = BOTTLENECKS[name]
    for penalty_name, penalty in _active(parameters):
        if penalty.activation and bottleneck.has_prior:
            others = [n for n, b in BOTTLENECKS.items() if not b.has_prior]
            wanted = f"{' or '.join(map(repr, others))} with {penalty_name} > 0"
            raise Refusal("bottleneck", wanted, name)
    if bottleneck.loss and loss != bottleneck.loss:
        wanted = f"{bottleneck.loss!r} with bottleneck={name!r}"
        raise Refusal("loss", wanted, loss)
    if not SCORES[score].suits(name):
        needed = " and ".join(map(repr, SCORES[score].bottlenecks))
        raise Refusal("bottleneck", f"{needed} with anomaly_score={score!r}", name)
