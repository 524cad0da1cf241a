"""What workers do with a partition. All of it can be done again, anywhere."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from skae import AutoencoderOutlierDetector, __version__
from skae.core import averaging, batching, splitting, spread
from skae.core.averaging import Schedule, Sum
from skae.core.batching import Rows
from skae.core.config import Features, Plan
from skae.core.course import TrainingState
from skae.core.gaussian import Statistics
from skae.core.model import Model, score_rows


@cache
def versions() -> dict[str, str]:
    """Versions that the bits of a result depend on, in this process."""
    others = {name: version(name) for name in ("jax", "jaxlib", "numpy")}
    return {"skae": __version__} | others


class Alike:
    """A function for workers that have the versions of the process that sent it.

    Workers with others would make other bits of the same rows, and nobody would know.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.wanted = function, versions()
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, *arguments: Any) -> Any:
        here = versions()
        for name, wanted in self.wanted.items():
            if here[name] != wanted:
                raise RuntimeError(
                    f"A worker has {name} {here[name]}, but the process that sent its "
                    f"task has {wanted}. Their results would differ: install the same "
                    "versions for all."
                )
        return self.function(*arguments)


class Look(NamedTuple):
    """What a partition holds: rows of some weight, their weights, and extremes."""

    n_rows: int
    total_weight: float
    extremes: tuple[float, float] | None
    width: int
    names: list[str] | None


class Draw(NamedTuple):
    """Rows as they are, with their weights."""

    X: np.ndarray
    weight: np.ndarray


class Samples(NamedTuple):
    """Rows that do not train, rows that do, and rows held out."""

    new: Draw
    trained: Draw
    held_out: Draw


@dataclass(frozen=True)
class Table:
    """What tasks need to know of the whole table, beside their own partition.

    ``local`` is an unfitted detector with the parameters. ``mean_weight`` is that of
    rows of some weight. ``share_new`` is the share of rows that do not train, of those
    that are neither held out nor suspects; these are farther than ``cut`` from
    ``center``.
    """

    local: AutoencoderOutlierDetector
    plan: Plan
    seed: int
    mean_weight: float = 1.0
    shift: Statistics | None = None
    center: tuple[Statistics, Statistics] | None = None
    cut: float = np.inf
    share_new: float = 0.0


def look(X: Any, weight: Any, local: AutoencoderOutlierDetector) -> Look:
    """Check the rows of a partition, and count them."""
    if not len(X):
        return Look(0, 0.0, None, 0, None)
    local = copy.copy(local)
    X = local._validate(X, reset=True, min_rows=1)
    weight = _checked(weight, X.shape[0])
    is_used = weight > 0
    names = getattr(local, "feature_names_in_", None)
    ends = splitting.extremes(X) if is_used.any() else None
    return Look(
        int(is_used.sum()),
        float(weight.sum()),
        ends,
        X.shape[1],
        None if names is None else list(names),
    )


def _checked(weight: Any, n_rows: int) -> np.ndarray:
    if weight is None:
        return np.broadcast_to(1.0, n_rows)
    weight = np.asarray(weight, dtype=np.float64)
    if weight.shape != (n_rows,):
        raise ValueError(
            "sample_weight must have partitions as long as those of X. Got "
            f"{weight.shape} beside {n_rows} rows."
        )
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise ValueError("sample_weight must be finite numbers >= 0.")
    return weight


def rows_of(X: Any, weight: Any, table: Table) -> Rows | None:
    """Rows of some weight of a partition, shifted; None where there are none."""
    if not len(X):
        return None
    X = copy.copy(table.local)._validate(X, reset=True, min_rows=1)
    weight = _checked(weight, X.shape[0])
    if not weight.any():
        return None
    rows = Rows(spread.shifted(X, table.shift or {}), weight / table.mean_weight)
    return rows if weight.all() else rows.select(np.flatnonzero(weight))


class Deal(NamedTuple):
    """Numbers of rows that are held out, that do not train, and that train."""

    held_out: np.ndarray
    new: np.ndarray
    trained: np.ndarray


def deal(rows: Rows, table: Table, part: int) -> Deal:
    """Deal the rows of a partition, which are in random order then."""
    generator = np.random.default_rng([table.seed, part])
    order = batching.permutation(rows.X.shape[0], generator)
    n_held_out = int(table.plan.validation_fraction * len(order))
    held_out, order = order[:n_held_out], order[n_held_out:]
    if table.center is not None and len(order):
        far = splitting.suspicion(rows.select(order).X, table.center)
        order = order[far <= table.cut]
    n_new = round(table.share_new * len(order))
    return Deal(held_out, order[:n_new], order[n_new:])


def draw(X: Any, weight: Any, table: Table, part: int, share: float) -> Draw | None:
    """Draw a share of the rows of a partition."""
    rows = rows_of(X, weight, table)
    if rows is None:
        return None
    generator = np.random.default_rng([table.seed, part, 0])
    order = batching.permutation(rows.X.shape[0], generator)
    return _taken(rows, order[: _n_of(share, order)])


def _n_of(share: float, order: np.ndarray) -> int:
    return int(np.ceil(share * len(order)))


def sample(
    X: Any, weight: Any, table: Table, part: int, share: float, share_held_out: float
) -> Samples | None:
    """Draw a share of the rows that train and of those that do not; some held out."""
    rows = rows_of(X, weight, table)
    if rows is None:
        return None
    dealt = deal(rows, table, part)
    return Samples(
        _taken(rows, dealt.new),
        _taken(rows, dealt.trained[: _n_of(share, dealt.trained)]),
        _taken(rows, dealt.held_out[: _n_of(share_held_out, dealt.held_out)]),
    )


def _taken(rows: Rows, chosen: np.ndarray) -> Draw:
    return Draw(batching.dense(rows.X, chosen), rows.weight[chosen])


def train(
    X: Any,
    weight: Any,
    table: Table,
    part: int,
    rounds: Schedule,
    features: Features,
    commons: list[TrainingState],
    i: int,
    seeds: list[int],
) -> list[Sum]:
    """Train each member on the rows of one round."""
    nothing = [Sum(0, [], 0.0) for _ in commons]
    rows = rows_of(X, weight, table)
    if rows is None:
        return nothing
    trained = deal(rows, table, part).trained
    if not len(trained):
        return nothing
    rows = rows.select(np.sort(trained))
    with table.local._on_device():
        return [
            averaging.train_part(
                table.plan, rounds, rows, features, common, i=i, seed=seed, part=part
            )
            for common, seed in zip(commons, seeds, strict=True)
        ]


def add(of_parts: list[list[Sum]]) -> list[Sum]:
    """Add what partitions have learnt, member by member."""
    return [averaging.add(list(sums)) for sums in zip(*of_parts, strict=True)]


class Scores(NamedTuple):
    """Scores of rows held out and of others, with their weights."""

    held_out: tuple[np.ndarray, np.ndarray]
    others: tuple[np.ndarray, np.ndarray]


def score(
    X: Any,
    weight: Any,
    table: Table,
    part: int,
    model: Model,
    most: int,
    needs_others: bool,
) -> Scores | None:
    """Score the rows held out, and all others if the threshold asks for them."""
    rows = rows_of(X, weight, table)
    if rows is None:
        return None
    held_out = deal(rows, table, part).held_out
    others = np.setdiff1d(np.arange(rows.X.shape[0]), held_out)
    others = others if needs_others else others[:0]
    if len(others) > most:
        others = np.random.default_rng([table.seed, part, 2]).choice(others, most)
    with table.local._on_device():
        found = [
            (
                score_rows(model, rows.select(chosen).X)
                if len(chosen)
                else np.empty(0),
                np.array(rows.weight[chosen]),
            )
            for chosen in (held_out[:most], others)
        ]
    return Scores(*found)


def fit_whole(
    parts: list[Any], weights: list[Any], local: AutoencoderOutlierDetector
) -> dict[str, Any]:
    """Fit an ordinary detector on partitions that are taken together."""
    X = parts[0] if len(parts) == 1 else _joined(parts)
    weight = None
    if weights[0] is not None:
        weight = np.concatenate([np.asarray(part) for part in weights])
    return dict(vars(copy.copy(local).fit(X, sample_weight=weight)))


def _joined(parts: list[Any]) -> Any:
    if hasattr(parts[0], "iloc"):
        import pandas as pd

        return pd.concat(parts)
    if hasattr(parts[0], "tocsr"):
        from scipy.sparse import vstack

        return vstack(parts, format="csr")
    return np.concatenate(parts)
