"""Networks by name, one file each, and modules of the user."""

from skae.core import bottlenecks
from skae.core.config import NetworkConfig
from skae.core.errors import Refusal
from skae.core.layers import Layer
from skae.core.networks import user
from skae.core.networks.binding import NETWORKS as NETWORKS
from skae.core.networks.binding import Autoencoder as Autoencoder
from skae.core.networks.binding import bind as bind
from skae.core.networks.binding import class_of as class_of
from skae.core.networks.binding import init as init
from skae.core.networks.binding import merge as merge
from skae.core.networks.binding import shapes as shapes
from skae.core.networks.ours import ACTIVATIONS as ACTIVATIONS
from skae.core.networks.user import config_of as config_of
from skae.core.networks.user import is_random as is_random


def refusal(config: NetworkConfig) -> Refusal | None:
    """Return what is wrong with sizes and shape of rows: the one place that says so."""
    return (class_of(config) or user).refusal(config)


def layer_table(config: NetworkConfig) -> list[Layer]:
    """Describe the layers."""
    table = (class_of(config) or user).table(config)
    return table + bottlenecks.of(config).layers(config)
