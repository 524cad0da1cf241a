"""Whether parts that were read from a file make a model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from skae.core import networks, statistics
from skae.core.bottlenecks import BOTTLENECKS
from skae.core.config import NetworkConfig
from skae.core.gaussian import Statistics
from skae.core.model import Model, Weights
from skae.core.networks import ACTIVATIONS, NETWORKS
from skae.core.scores import SCORES
from skae.core.scores.combination import Statistic


def checked_model(
    architecture: Mapping[str, Any], weights: Weights, found: Statistics, score: str
) -> Model:
    """Put parts together; those that do not fit or make no sense are refused."""
    if not _is_known(architecture, len(weights)) or score not in SCORES:
        raise ValueError("its architecture is not one of skae.")
    network = NetworkConfig(**architecture)
    parts = SCORES[score]
    if not parts.suits(network.bottleneck) or networks.refusal(network):
        raise ValueError("its architecture is not one of skae.")
    n_members = max(1, len(next(iter(weights.values()))))
    shapes = networks.shapes(network)
    _check_arrays(
        "weights",
        weights,
        {name: Statistic(name, (n_members, *rest)) for name, rest in shapes.items()},
    )
    declared = statistics.expected(parts, found, n_members, network=network)
    _check_arrays("statistics", found, declared)
    return Model(network, weights, found, score)


def _is_known(shape: Mapping[str, Any], n_weights: int) -> bool:
    """Whether names are known and sizes are numbers that memory has room for."""
    sizes = [
        shape["n_features"],
        *shape["encoder_layer_sizes"],
        shape["latent_dim"],
        *shape["decoder_layer_sizes"],
    ]
    row = shape["input_shape"]
    network = shape["network"]
    return (
        all(type(size) is int and 0 < size < 2**31 for size in [*sizes, *(row or ())])
        and len(sizes) <= 2 + n_weights
        and {shape["activation"], shape["output_activation"]} <= set(ACTIVATIONS)
        and (callable(network) or network in NETWORKS)
        and shape["bottleneck"] in BOTTLENECKS
    )


def _check_arrays(
    part: str, arrays: Mapping[str, np.ndarray], declared: Mapping[str, Statistic]
) -> None:
    wanted = {name: statistic.shape for name, statistic in declared.items()}
    if {name: array.shape for name, array in arrays.items()} != wanted:
        raise ValueError(f"its {part} do not have the shapes that they should.")
    for name, array in arrays.items():
        if array.dtype != declared[name].dtype:
            raise ValueError(f"its {part} {name!r} are of type {array.dtype}.")
        if not np.isfinite(array).all():
            raise ValueError(f"its {part} {name!r} are not all finite.")
        if declared[name].is_positive and not (array > 0).all():
            raise ValueError(f"its {part} {name!r} are not all positive.")
