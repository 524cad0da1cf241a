"""What is to be said of the layers of a network: names, shapes, sizes."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple


class Layer(NamedTuple):
    """What is to be said of a layer: ``shape`` is that of its output for one row."""

    name: str
    shape: tuple[int, ...]
    n_parameters: int
    n_products: int


def dense_layer(name: str, n_in: int, n_out: int, times: int = 1) -> Layer:
    """Describe a dense layer, which a row passes ``times`` times."""
    shape = (n_out,) if times == 1 else (times, n_out)
    return Layer(name, shape, (n_in + 1) * n_out, times * n_in * n_out)


def dense_layers(
    part: str, sizes: Iterable[int], last: str | None = None
) -> list[Layer]:
    """Describe dense layers; the last may have a name of its own."""
    layers = [
        dense_layer(f"{part}.{i}", *pair) for i, pair in enumerate(pairwise(sizes))
    ]
    if last:
        layers[-1] = layers[-1]._replace(name=last)
    return layers
