"""What ``fit`` does: split, train every network, measure, set the threshold."""

import warnings
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skae import thresholds
from skae._callbacks import EpochReporter, inside_search
from skae._validation import check_parameters
from skae.core import engine

# Share of held-out rows below the threshold with contamination="auto".
AUTO_FALSE_ALARMS = 0.05

# Spread of columns, in raw units, outside of which users are warned.
SPREAD = (0.01, 100.0)


def checked_parameters(estimator):
    """Return the estimator's parameters, or raise a ValueError that names the bad."""
    parameters = estimator.get_params(deep=False)
    check_parameters(parameters, engine.CHOICES)
    return parameters


def fit(estimator, parameters, X, sample_weight, X_val, *, reported):
    """Train and return the fitted attributes as a dict.

    ``reported`` holds X and y as callbacks shall see them.
    """
    rows = engine.Rows(engine.as_float32(X), sample_weight)
    if not sample_weight.all():
        rows = rows.select(np.flatnonzero(sample_weight))
    if X_val is not None:
        X_val = engine.as_float32(X_val)
    with engine.device_context(parameters["device"]):
        seeds, previous = _seeds_and_previous(estimator, parameters, X.shape[1])
        split = engine.split_rows(
            rows,
            X_val,
            validation_fraction=parameters["validation_fraction"],
            seed=seeds[0],
        )
        _warn_of_spread(split.ball["scale"])
        make = partial(_attributes, parameters, rows, split, seeds)
        n_epochs = engine.n_epochs(parameters, split.train.X.shape[0])
        reporter = EpochReporter(estimator, reported, n_epochs * (len(seeds) - 1))
        members = _train(parameters, split, seeds, previous, make, reporter, n_epochs)
        reporter.end()
        return make(members)


def _train(parameters, split, seeds, previous, make, reporter, n_epochs):
    members: list[engine.Member] = []

    def on_epoch(history, params):
        _log_epoch(history, n_epochs, parameters["verbose"])

        def current():
            member = engine.Member(engine.to_numpy(params), [], history, "running")
            return make([*members, member])

        return reporter.epoch(current)

    for seed, start in zip(seeds[1:], previous, strict=True):
        member = engine.train_member(
            parameters, split, seed=seed, previous=start, on_epoch=on_epoch
        )
        members.append(member)
        _warn_of_ending(member.ending)
        if member.ending == "interrupted":
            break
    return members


def _seeds_and_previous(estimator, parameters, n_features):
    """Seeds of the split and of every member, and the members to continue from."""
    n_members = parameters["n_estimators"]
    if not (parameters["warm_start"] and hasattr(estimator, "_optimizer_leaves")):
        random_state = check_random_state(estimator.random_state)
        return random_state.randint(2**31 - 1, size=1 + n_members), [None] * n_members
    shape = engine.architecture(parameters, n_features)
    if shape != estimator.architecture_:
        raise ValueError(
            "warm_start=True continues the fitted network, whose shape must stay "
            f"{estimator.architecture_}. Got {shape}."
        )
    if n_members != len(estimator._optimizer_leaves):
        raise ValueError(
            "warm_start=True continues the fitted networks, so 'n_estimators' must "
            f"stay {len(estimator._optimizer_leaves)}. Got {n_members}."
        )
    weights = engine.unstack(estimator.weights_)
    return estimator._seeds, [
        engine.Member(member, leaves, estimator.history_, "finished")
        for member, leaves in zip(weights, estimator._optimizer_leaves, strict=True)
    ]


def _attributes(parameters, rows, split, seeds, members):
    """Fitted attributes that the trained members make."""
    model = engine.build(parameters, split, members)
    calibration = split.held_out or split.train
    scores = engine.score_rows(model, calibration.X)
    if parameters["contamination"] == "auto":
        offset = thresholds.contamination_offset(
            scores, AUTO_FALSE_ALARMS, calibration.weight
        )
    else:
        all_scores = scores if calibration is rows else engine.score_rows(model, rows.X)
        offset = thresholds.contamination_offset(
            all_scores, parameters["contamination"], rows.weight
        )
    history = members[0].history
    attributes = {
        "architecture_": model.architecture,
        "weights_": model.weights,
        "statistics_": model.statistics,
        "fitted_score_": model.score,
        "offset_": offset,
        "calibration_scores_": thresholds.calibration_sample(scores),
        "history_": history,
        "n_iter_": len(history["loss"]),
        "n_parameters_": sum(array.size for array in model.weights.values()),
        "_seeds": seeds[: 1 + len(members)],
    }
    if parameters["warm_start"]:
        attributes["_optimizer_leaves"] = [m.optimizer_leaves for m in members]
    return attributes


def _warn_of_spread(scale):
    outside = np.flatnonzero((scale < SPREAD[0]) | (scale > SPREAD[1]))
    if len(outside):
        warnings.warn(
            f"Column {outside[0]} (and {len(outside) - 1} more) has standard deviation "
            f"{scale[outside[0]]:.3g}, outside {SPREAD[0]} to {SPREAD[1]}. Training "
            "needs columns of similar scale: put a StandardScaler in front.",
            UserWarning,
            stacklevel=2,
        )


def _warn_of_ending(ending):
    if ending == "diverged":
        warnings.warn(
            "Training diverged: the loss was not finite. The last finite weights are "
            "kept. A smaller learning_rate or scaled columns may help.",
            ConvergenceWarning,
            stacklevel=2,
        )
    if ending == "interrupted":
        if inside_search():
            raise KeyboardInterrupt
        warnings.warn(
            "Training was interrupted. The best weights so far are kept.",
            ConvergenceWarning,
            stacklevel=2,
        )


def _log_epoch(history, n_epochs, verbose):
    """Print a line: about ten in a training with verbose=1, each epoch with 2."""
    done = len(history["loss"])
    if verbose == 0 or (verbose == 1 and done % max(1, n_epochs // 10)):
        return
    line = f"epoch {done}/{n_epochs}, loss {history['loss'][-1]:.6g}"
    if history["validation_loss"]:
        line += f", validation loss {history['validation_loss'][-1]:.6g}"
    print(f"[AutoencoderOutlierDetector] {line}")
