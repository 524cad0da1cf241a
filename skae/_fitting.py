"""What ``fit`` does: split, train every network, measure, set the threshold."""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skae import thresholds
from skae._callbacks import EpochReporter, inside_search
from skae._validation import generator_of
from skae.core import fitting, splitting
from skae.core.batching import Rows
from skae.core.config import Plan
from skae.core.course import History
from skae.core.fitting import Member
from skae.core.losses import LOSSES
from skae.core.model import Model, has_collapsed, score_rows, unstack
from skae.core.sample import Sample
from skae.core.splitting import Split

# Share of held-out rows below the threshold with contamination="auto".
AUTO_FALSE_ALARMS = 0.05

# Spread of columns, in raw units, outside of which users are warned.
SPREAD = (0.01, 100.0)


def fit(
    estimator: Any,
    plan: Plan,
    X: Any,
    sample_weight: np.ndarray,
    X_val: Any,
    *,
    reported: dict[str, Any],
) -> dict[str, Any]:
    """Train and return the fitted attributes as a dict.

    ``reported`` holds X, y and metadata as callbacks shall see them.
    """
    rows = Rows(X, sample_weight)
    if not sample_weight.all():
        rows = rows.select(np.flatnonzero(sample_weight))
        if rows.X.shape[0] < 2:
            raise ValueError(
                "sample_weight must leave at least 2 rows of positive weight. Got 1."
            )
    check_values(plan.training.loss, X, "X")
    if X_val is not None:
        check_values(plan.training.loss, X_val, "X_val")
        _warn_of_few(X_val)
    seeds, previous = seeds_and_previous(estimator, plan, estimator.warm_start)
    split = splitting.split_rows(plan, rows, X_val, seed=seeds[0])
    warn_of_spread(estimator, split)
    make = partial(
        attributes,
        plan,
        rows,
        split,
        seeds,
        contamination=estimator.contamination,
        keeps_optimizer=estimator.warm_start,
    )
    n_epochs = fitting.n_epochs(plan, split.train.X.shape[0])
    reporter = EpochReporter(estimator, reported, n_epochs * (len(seeds) - 1))
    members = _train(estimator, plan, split, seeds, previous, make, reporter, n_epochs)
    fitted = make(members, is_last=True)
    reporter.end(fitted)
    return fitted


def check_values(loss: str, X: Any, name: str) -> None:
    """Refuse rows that the loss is not defined for."""
    domain = LOSSES[loss].domain
    if domain is None:
        return
    low, high = splitting.extremes(X)
    if low < domain[0] or high > domain[1]:
        raise ValueError(
            f"loss={loss!r} needs values in [{domain[0]:g}, {domain[1]:g}]. {name} has "
            f"values from {low:.4g} to {high:.4g}: put a MinMaxScaler in front."
        )


def _train(
    estimator: Any,
    plan: Plan,
    split: Split,
    seeds: np.ndarray,
    previous: list[Member | None],
    make: Callable[..., dict[str, Any]],
    reporter: EpochReporter,
    n_epochs: int,
) -> list[Member]:
    members: list[Member] = []

    def on_epoch(history: History, params: Any) -> bool:
        _log_epoch(history, n_epochs, estimator.verbose)

        def current() -> dict[str, Any]:
            copied = {name: list(values) for name, values in history.items()}
            member = Member(fitting.to_numpy(params), [], copied, "running")
            return make([*members, member])

        return reporter.epoch(current)

    for seed, start in zip(seeds[1:], previous, strict=True):
        member = fitting.train_member(
            plan, split, seed=seed, previous=start, on_epoch=on_epoch
        )
        warn_of_ending(member.ending)
        # An ensemble goes without a network that was interrupted or never learnt.
        unfinished = member.ending == "interrupted" or not member.history["loss"]
        if not (unfinished and members):
            members.append(member)
        if member.ending == "interrupted" or reporter.stopped:
            break
    return members


def seeds_and_previous(
    estimator: Any, plan: Plan, continues: bool
) -> tuple[np.ndarray, list[Member | None]]:
    """Seeds of the split and of every member, and the members to continue from."""
    n_members = estimator.n_estimators
    if not (continues and hasattr(estimator, "weights_")):
        generator = generator_of(estimator.random_state)
        return generator.randint(2**31 - 1, size=1 + n_members), [None] * n_members
    shape = dict(vars(plan.network))
    if shape != estimator.architecture_:
        raise ValueError(
            "warm_start=True continues the fitted network, whose shape must stay "
            f"{estimator.architecture_}. Got {shape}."
        )
    weights = unstack(estimator.weights_)
    if n_members != len(weights):
        raise ValueError(
            "warm_start=True continues the fitted networks, so 'n_estimators' must "
            f"stay {len(weights)}. Got {n_members}."
        )
    leaves = estimator._optimizer_leaves or [[]] * n_members
    return estimator._seeds, [
        Member(member, old, estimator.history_, "finished")
        for member, old in zip(weights, leaves, strict=True)
    ]


def attributes(
    plan: Plan,
    rows: Rows,
    split: Split,
    seeds: np.ndarray,
    members: list[Member],
    *,
    contamination: float | Literal["auto"],
    keeps_optimizer: bool,
    is_last: bool = False,
) -> dict[str, Any]:
    """Fitted attributes that the trained members make.

    The last ones of a training are worth a look at the codes, and scores of rows as
    if they were new where none are held out; otherwise training scores stand in.
    """
    model = fitting.fitted_model(plan, split, members)
    if is_last and has_collapsed(model, split.sample):
        _warn_of_collapse(plan.hyper.beta)
    calibration = split.held_out or rows
    scores = None
    if is_last and fitting.needs_folds(plan, split):
        model, out_of_fold = _cross_fitted(plan, rows, model, split.sample, seeds[0])
        if split.held_out is None and plan.validation_fraction > 0:
            scores = out_of_fold
    if scores is None:
        scores = score_rows(model, calibration.X)
    if contamination == "auto":
        offset = thresholds.contamination_offset(
            scores, AUTO_FALSE_ALARMS, calibration.weight
        )
    else:
        offset = thresholds.contamination_offset(
            score_rows(model, rows.X), contamination, rows.weight
        )
    history = members[0].history
    return {
        "architecture_": dict(vars(model.network)),
        "weights_": model.weights,
        "statistics_": model.statistics,
        "fitted_score_": model.score,
        "offset_": offset,
        "calibration_scores_": thresholds.calibration_sample(scores),
        "history_": history,
        "n_iter_": len(history["loss"]),
        "n_parameters_": sum(array.size for array in model.weights.values()),
        "_seeds": seeds[: 1 + len(members)],
        "_optimizer_leaves": [m.optimizer_leaves for m in members]
        if keeps_optimizer
        else None,
        "_stream": None,
    }


def _cross_fitted(
    plan: Plan, rows: Rows, model: Model, sample: Sample, seed: int
) -> tuple[Model, np.ndarray | None]:
    """Model with units of new rows where it needs them, and scores of rows as new."""
    try:
        out_of_fold = fitting.cross_fit(plan, rows, model, seed=seed)
    except KeyboardInterrupt:
        warn_of_ending("interrupted")
        return model, None
    return fitting.in_units_of(model, out_of_fold, rows.weight, sample)


def _warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's code that led here."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].startswith(
        ("skae.", "sklearn.")
    ):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _warn_of_few(X_val: Any) -> None:
    if X_val.shape[0] < splitting.MIN_HELD_OUT:
        _warn(
            f"X_val has {X_val.shape[0]} rows, fewer than the {splitting.MIN_HELD_OUT} "
            "that a threshold needs. It is not used."
        )


def warn_of_spread(estimator: Any, split: Split) -> None:
    """Warn of columns that are too narrow or too wide to train on."""
    scale = split.sample.ball["scale"]
    names = getattr(estimator, "feature_names_in_", range(len(scale)))
    outside = np.flatnonzero((scale < SPREAD[0]) | (scale > SPREAD[1]))
    if len(outside):
        first = outside[0]
        more = f" (and {len(outside) - 1} more)" if len(outside) > 1 else ""
        _warn(
            f"Column {names[first]}{more} has standard "
            f"deviation {scale[first]:.3g}, outside {SPREAD[0]} to {SPREAD[1]}. "
            "Training needs columns of similar scale: put a StandardScaler in front."
        )


def _warn_of_collapse(beta: float) -> None:
    _warn(
        "The posterior has collapsed: no unit of the variational code tells the "
        "decoder anything of the rows, which are all restored as the mean. A beta "
        f"smaller than {beta:g} or a longer training may help.",
        ConvergenceWarning,
    )


def warn_of_ending(ending: str) -> None:
    """Warn of a training that did not end as it should; in a search, stop."""
    if ending == "diverged":
        _warn(
            "Training diverged: the loss was not finite. The last finite weights are "
            "kept. A smaller learning_rate or scaled columns may help.",
            ConvergenceWarning,
        )
    if ending == "interrupted":
        if inside_search():
            raise KeyboardInterrupt
        _warn(
            "Training was interrupted. The best weights so far are kept.",
            ConvergenceWarning,
        )


def _log_epoch(history: History, n_epochs: int, verbose: int) -> None:
    """Print a line: about ten in a training with verbose=1, each epoch with 2."""
    done = len(history["loss"])
    if verbose == 0 or (verbose == 1 and done % max(1, n_epochs // 10)):
        return
    line = f"epoch {done}/{n_epochs}, loss {history['loss'][-1]:.6g}"
    if history["validation_loss"]:
        line += f", validation loss {history['validation_loss'][-1]:.6g}"
    print(f"[AutoencoderOutlierDetector] {line}")
