"""Bottlenecks by name: one file each."""

from skae.core.bottlenecks.adversarial import ADVERSARIAL
from skae.core.bottlenecks.bottleneck import Bottleneck as Bottleneck
from skae.core.bottlenecks.bottleneck import Parameters as Parameters
from skae.core.bottlenecks.plain import PLAIN
from skae.core.bottlenecks.variational import VARIATIONAL
from skae.core.config import NetworkConfig

BOTTLENECKS: dict[str, Bottleneck] = {
    "plain": PLAIN,
    "variational": VARIATIONAL,
    "adversarial": ADVERSARIAL,
}

# What names of a bottleneck's own parameters start with.
PREFIXES = tuple(b.prefix for b in BOTTLENECKS.values() if b.prefix)


def of(config: NetworkConfig) -> Bottleneck:
    """Bottleneck of a network."""
    return BOTTLENECKS[config.bottleneck]


def encoded_width(config: NetworkConfig) -> int:
    """Width of the encoder's output."""
    return config.latent_dim * len(of(config).parts)


def code_activation(config: NetworkConfig) -> str:
    """Activation of the code: none where it has a Gaussian prior."""
    return "identity" if of(config).has_prior else config.activation
