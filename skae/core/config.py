"""Static configuration: everything that changes compiled code, and nothing else.

Instances are frozen and hashable, so they serve as static arguments of jitted
functions. Values that only change numbers (learning rate, penalty strengths, noise
scale) are in :class:`Hyperparameters`, which is traced: a grid over them compiles
nothing new.
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

    @property
    def encoded_width(self) -> int:
        """Width of the encoder's output: code, or mean and variance of it."""
        return self.latent_dim * (2 if self.bottleneck == "variational" else 1)

    @property
    def code_activation(self) -> str:
        """Activation of the code: none where it has a Gaussian prior."""
        return self.activation if self.bottleneck == "plain" else "identity"


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
    """Traced numbers of the training.

    ``penalties`` holds one strength for each active penalty. ``beta`` is the weight of
    the prior, which rises from 0 over the first ``warm_up`` steps. ``n_steps`` is the
    length of the learning rate schedule. The corruptions need deviation, mean, lowest
    and highest value of each feature; the mean stands in for missing cells too.
    """

    learning_rate: Any
    weight_decay: Any
    dropout: Any
    corruption_low: Any
    corruption_high: Any
    penalties: dict[str, Any]
    sparsity_target: Any
    beta: Any
    warm_up: Any
    n_steps: Any
    feature_scale: Any
    feature_center: Any
    feature_low: Any
    feature_high: Any
