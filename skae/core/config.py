"""The plan of a fit: frozen, built once by the shell from checked parameters.

What changes compiled code is in :class:`NetworkConfig` and :class:`TrainingConfig`,
which are hashable and serve as static arguments of jitted functions. What only changes
numbers (learning rate, penalty strengths, noise scale) is in :class:`Hyperparameters`,
which is traced: a grid over them compiles nothing new.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture of an autoencoder.

    ``network`` names one of ours, or makes one. ``input_shape`` is the shape of a row
    where it matters and is not (n_features, 1).
    """

    n_features: int
    encoder_layer_sizes: tuple[int, ...]
    latent_dim: int
    decoder_layer_sizes: tuple[int, ...]
    activation: str
    output_activation: str
    bottleneck: str = "plain"
    network: str | Callable[..., Any] = "dense"
    input_shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class TrainingConfig:
    """Active terms of the objective, optimiser and batch height.

    ``is_masked`` says that cells may be missing (NaN).
    """

    loss: str
    corruption: str | None
    is_masked: bool
    penalties: tuple[str, ...]
    dropout: bool
    optimizer: str | Callable[[Any], Any]
    learning_rate_schedule: str
    batch_size: int


class Hyperparameters(NamedTuple):
    """Traced numbers of the training that do not depend on the rows.

    ``penalties`` holds one strength for each active penalty. ``beta`` is the weight of
    the prior, which rises from 0 over the first ``warm_up`` steps. ``n_steps`` is the
    length of the learning rate schedule. A plan leaves these two to the training, which
    knows the number of rows.
    """

    learning_rate: Any
    weight_decay: Any
    dropout: Any
    corruption_low: Any
    corruption_high: Any
    penalties: dict[str, Any]
    sparsity_target: Any
    beta: Any
    warm_up: Any = 0
    n_steps: Any = 1


class Features(NamedTuple):
    """What training knows of each feature: mean, deviation, lowest and highest value.

    Corruptions need them, and the mean stands in for missing cells.
    """

    center: Any
    scale: Any
    low: Any
    high: Any


@dataclass(frozen=True)
class Plan:
    """What to train, for how long, on which rows, and what to measure.

    ``training`` holds the batch size that was asked for: the height for few rows is
    lower. ``max_epochs`` of None is the usual length. ``patience`` of None trains to
    the end. ``is_contaminated`` says that outliers are known to be among the rows.
    """

    network: NetworkConfig
    training: TrainingConfig
    hyper: Hyperparameters
    score: str
    trim: float
    validation_fraction: float
    max_epochs: int | None
    patience: int | None
    tol: float
    is_contaminated: bool = False
