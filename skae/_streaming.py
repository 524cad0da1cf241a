"""What ``partial_fit`` does: one pass over a batch, statistics from a sample."""

import numpy as np

from skae import _fitting
from skae.core import engine


def partial_fit(estimator, parameters, X, sample_weight):
    """Train on a batch and return the fitted attributes as a dict."""
    _fitting.check_values(parameters, X, "X")
    rows = engine.Rows(X, sample_weight)
    if not sample_weight.all():
        rows = rows.select(np.flatnonzero(sample_weight))
    # Any pass may be the last, so the learning rate does not decay.
    parameters = parameters | {
        "warm_start": True,
        "max_iter": 1,
        "early_stopping": False,
        "learning_rate_schedule": "constant",
    }
    with engine.device_context(parameters["device"]):
        seeds, previous = _fitting.seeds_and_previous(estimator, parameters, X.shape[1])
        stream = getattr(estimator, "_stream", None)
        _check_enough(rows, stream, previous)
        sample, held_out, train = _deal(rows, parameters, stream, seeds[0])
        split = engine.split_stream(train, sample.rows)
        if previous[0] is None:
            names = getattr(estimator, "feature_names_in_", range(X.shape[1]))
            _fitting.warn_of_spread(split.ball["scale"], names)
        members = previous
        if train.X.shape[0]:
            members = [
                engine.train_member(parameters, split, seed=seed, previous=start)
                for seed, start in zip(seeds[1:], previous, strict=True)
            ]
            for member in members:
                _fitting.warn_of_ending(member.ending)
        if len(held_out.X) >= engine.MIN_HELD_OUT:
            split = split._replace(held_out=held_out.rows)
        attributes = _fitting.attributes(parameters, sample.rows, split, seeds, members)
    return attributes | {"_stream": _as_arrays(sample, held_out)}


def _check_enough(rows, stream, previous):
    """Statistics need some rows; those that ``fit`` saw are gone."""
    n_rows = rows.X.shape[0]
    if stream is None and previous[0] is not None and n_rows < engine.MIN_HELD_OUT:
        raise ValueError(
            "The first partial_fit after fit measures its statistics anew and needs at "
            f"least {engine.MIN_HELD_OUT} rows. Got {n_rows}."
        )
    if stream is None and n_rows < 2:
        raise ValueError(f"The first batch needs at least 2 rows. Got {n_rows}.")


def _deal(rows, parameters, stream, seed):
    """Return samples of training rows and of held-out rows, and rows to train on."""
    sample, held_out = _from_arrays(stream, rows.X.shape[1])
    generator = np.random.default_rng([seed, sample.n_seen + held_out.n_seen])
    is_held_out = generator.random(rows.X.shape[0]) < parameters["validation_fraction"]
    is_held_out[: max(0, engine.MIN_HELD_OUT - sample.n_seen)] = False
    train, others = (
        rows.select(np.flatnonzero(mask)) for mask in (~is_held_out, is_held_out)
    )
    sample = engine.add_to_reservoir(sample, train, generator)
    return sample, engine.add_to_reservoir(held_out, others, generator), train


def _from_arrays(stream, n_features):
    if stream is None:
        return engine.empty_reservoir(n_features), engine.empty_reservoir(n_features)
    return tuple(
        engine.Reservoir(stream[part], stream[f"{part}_weight"], int(n_seen))
        for part, n_seen in zip(("sample", "held_out"), stream["n_seen"], strict=True)
    )


def _as_arrays(sample, held_out):
    """Both samples as NumPy, to be pickled and saved."""
    return {
        "sample": sample.X,
        "sample_weight": sample.weight,
        "held_out": held_out.X,
        "held_out_weight": held_out.weight,
        "n_seen": np.array([sample.n_seen, held_out.n_seen]),
    }
