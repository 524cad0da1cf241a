"""Models that are kept, so that what scoring has on the device is put there once."""

from collections.abc import Mapping
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from skae.core.config import NetworkConfig
from skae.core.gaussian import Statistics
from skae.core.model import Model, Weights

# Of detectors, as long as these live; not among their attributes, which are copied and
# pickled.
_models: WeakKeyDictionary[Any, Model] = WeakKeyDictionary()
_lock = Lock()


def model_of(
    owner: Any,
    architecture: Mapping[str, Any],
    weights: Weights,
    statistics: Statistics,
    score: str,
) -> Model:
    """Return the model of a detector's parts: the same one as long as they are.

    Their arrays become read-only, since nobody would notice a change.
    """
    with _lock:
        model = _models.get(owner)
        if (
            model is None
            or not _are_same(model.weights, weights)
            or not _are_same(model.statistics, statistics)
            or (vars(model.network), model.score) != (architecture, score)
        ):
            for array in (*weights.values(), *statistics.values()):
                array.flags.writeable = False
            network = NetworkConfig(**architecture)
            model = Model(network, dict(weights), dict(statistics), score)
            _models[owner] = model
        return model


def _are_same(ours: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    return len(ours) == len(others) and all(
        others.get(name) is array for name, array in ours.items()
    )
