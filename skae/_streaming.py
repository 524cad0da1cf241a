"""What ``partial_fit`` does: one pass over a batch, statistics from a sample."""

from dataclasses import replace
from typing import Any

import numpy as np

from skae import _fitting
from skae._warnings import warn_of_ending, warn_of_lost, warn_of_spread
from skae.core import fitting, memory, reservoir, splitting, spread
from skae.core.batching import Rows
from skae.core.config import Plan
from skae.core.fitting import Trained
from skae.core.reservoir import Reservoir, empty_reservoir
from skae.core.splitting import MIN_HELD_OUT


def partial_fit(
    estimator: Any, plan: Plan, X: Any, sample_weight: np.ndarray
) -> dict[str, Any]:
    """Train on a batch and return the fitted attributes as a dict."""
    _fitting.check_values(plan.training.loss, X, "X")
    rows = Rows(X, sample_weight)
    if not sample_weight.all():
        rows = rows.select(np.flatnonzero(sample_weight))
    # Any pass may be the last, so the learning rate does not decay.
    training = replace(plan.training, learning_rate_schedule="constant")
    plan = replace(plan, training=training, max_epochs=1, patience=None)
    seeds, previous = _fitting.seeds_and_previous(estimator, plan, "partial_fit")
    stream = getattr(estimator, "_stream", None)
    _check_enough(rows, stream, previous)
    found = spread.measure(rows) if previous[0] is None else None
    shift = _fitting.shift_of(estimator, plan, found)
    rows = Rows(spread.shifted(rows.X, shift), rows.weight)
    sample, held_out, train = _deal(rows, plan, stream, seeds[0])
    split = splitting.split_stream(plan, train, sample.rows)
    warn_of_spread(estimator, found, split)
    members: list[Any] = previous
    n_seen = sample.n_seen + held_out.n_seen
    if train.X.shape[0]:
        members = [
            fitting.train_member(plan, split, seed=seed, previous=start, n_done=n_seen)
            for seed, start in zip(seeds[1:], previous, strict=True)
        ]
        for member in members:
            warn_of_ending(member.ending)
    if len(held_out.X) >= MIN_HELD_OUT:
        split = split._replace(held_out=held_out.rows)
    attributes = _fitting.attributes(
        plan,
        sample.rows,
        split,
        seeds,
        members,
        shift=shift,
        contamination=estimator.contamination,
        keeps_optimizer=True,
    )
    warn_of_lost(attributes, members)
    return attributes | {"_stream": _as_arrays(sample, held_out)}


def _check_enough(
    rows: Rows, stream: dict[str, np.ndarray] | None, previous: list[Trained | None]
) -> None:
    """Statistics need some rows; those that ``fit`` saw are gone."""
    n_rows = rows.X.shape[0]
    if stream is None and previous[0] is not None and n_rows < MIN_HELD_OUT:
        raise ValueError(
            "The first partial_fit after fit measures its statistics anew and needs at "
            f"least {MIN_HELD_OUT} rows. Got {n_rows}."
        )
    if stream is None and n_rows < 2:
        raise ValueError(f"The first batch needs at least 2 rows. Got {n_rows}.")


def _deal(
    rows: Rows, plan: Plan, stream: dict[str, np.ndarray] | None, seed: int
) -> tuple[Reservoir, Reservoir, Rows]:
    """Return samples of training rows and of held-out rows, and rows to train on."""
    sample, held_out = _from_arrays(stream, rows.X.shape[1])
    generator = np.random.default_rng([seed, sample.n_seen + held_out.n_seen])
    is_held_out = generator.random(rows.X.shape[0]) < plan.validation_fraction
    is_held_out[: max(0, MIN_HELD_OUT - sample.n_seen)] = False
    train, others = (
        rows.select(np.flatnonzero(mask)) for mask in (~is_held_out, is_held_out)
    )
    # As many as are remembered.
    capacity = memory.capacity(rows.X.shape[1])
    sample = reservoir.add(sample, train, capacity, generator)
    return sample, reservoir.add(held_out, others, capacity, generator), train


def _from_arrays(
    stream: dict[str, np.ndarray] | None, n_features: int
) -> tuple[Reservoir, ...]:
    if stream is None:
        return empty_reservoir(n_features), empty_reservoir(n_features)
    return tuple(
        Reservoir(stream[part], stream[f"{part}_weight"], int(n_seen))
        for part, n_seen in zip(("sample", "held_out"), stream["n_seen"], strict=True)
    )


def _as_arrays(sample: Reservoir, held_out: Reservoir) -> dict[str, np.ndarray]:
    """Both samples as NumPy, to be pickled and saved."""
    return {
        "sample": sample.X,
        "sample_weight": sample.weight,
        "held_out": held_out.X,
        "held_out_weight": held_out.weight,
        "n_seen": np.array([sample.n_seen, held_out.n_seen]),
    }
