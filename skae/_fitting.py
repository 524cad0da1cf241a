"""What ``fit`` does: split, train every network, measure, set the threshold."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skae import thresholds
from skae._callbacks import EpochReporter, inside_search
from skae._validation import generator_of
from skae._warnings import (
    warn,
    warn_of_collapse,
    warn_of_ending,
    warn_of_far,
    warn_of_few,
    warn_of_lost,
    warn_of_spread,
    warn_of_zeros_and_ones,
)
from skae.core import fitting, folds, splitting, spread
from skae.core.batching import Rows
from skae.core.config import Plan
from skae.core.course import History
from skae.core.fitting import Trained
from skae.core.gaussian import Statistics
from skae.core.losses import LOSSES
from skae.core.model import Model, has_collapsed, score_rows, unstack
from skae.core.sample import Sample
from skae.core.splitting import Split
from skae.core.spread import Spread

# Share of new normal rows below the threshold with contamination="auto".
AUTO_FALSE_ALARMS = 0.05

# Networks of folds know the rows that they left out less well than the network of all
# rows knows new ones, so fewer new rows are flagged than left out ones. By so much on
# tables of 20 to 180 rows of known distributions (benchmarks.quality.false_alarms).
STRICTNESS_OF_FOLDS = 1.25

# Fields of an architecture that parameters of another name give.
PARAMETERS = {"encoder_layer_sizes": "hidden_layer_sizes"}


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
    rows = _of_some_weight(X, sample_weight)
    check_values(plan.training.loss, X, "X")
    if X_val is not None:
        check_values(plan.training.loss, X_val, "X_val")
        warn_of_few(X_val)
    warn_of_zeros_and_ones(reported["y"])
    continued_by = "warm_start=True" if estimator.warm_start else None
    seeds, previous = seeds_and_previous(estimator, plan, continued_by)
    found = spread.measure(rows) if previous[0] is None else None
    shift = shift_of(estimator, plan, found)
    rows = Rows(spread.shifted(rows.X, shift), rows.weight)
    X_val = None if X_val is None else spread.shifted(X_val, shift)
    split = splitting.split_rows(plan, rows, X_val, seed=seeds[0])
    warn_of_spread(estimator, found, split)
    if X_val is not None and split.held_out is not None:
        warn_of_far(X_val, split.sample.ball)
    make = partial(
        attributes,
        plan,
        rows,
        split,
        seeds,
        shift=shift,
        contamination=estimator.contamination,
        keeps_optimizer=estimator.warm_start,
    )
    n_epochs = fitting.n_epochs(plan, split.train.X.shape[0])
    reporter = EpochReporter(estimator, reported, n_epochs * (len(seeds) - 1))
    members = _train(estimator, plan, split, seeds, previous, make, reporter, n_epochs)
    fitted = make(members, is_last=True)
    warn_of_lost(fitted, members)
    reporter.end(fitted)
    return fitted


def _of_some_weight(X: Any, sample_weight: np.ndarray) -> Rows:
    """Rows whose weight is not 0, of which there must be two."""
    rows = Rows(X, sample_weight)
    if sample_weight.all():
        return rows
    rows = rows.select(np.flatnonzero(sample_weight))
    if rows.X.shape[0] < 2:
        raise ValueError(
            "sample_weight must leave at least 2 rows of positive weight. Got 1."
        )
    return rows


def shift_of(estimator: Any, plan: Plan, found: Spread | None) -> Statistics:
    """How far rows are shifted before they are cast to float32.

    ``found`` is what the first rows of all say, None where a network goes on, which
    knows rows by the shift that they had. A loss that is defined for some values alone
    needs them as they are.
    """
    if found is None:
        kept = estimator.statistics_
        return {spread.SHIFT: kept[spread.SHIFT]} if spread.SHIFT in kept else {}
    return {} if LOSSES[plan.training.loss].domain else spread.shift_of(found)


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
    previous: list[Trained | None],
    make: Callable[..., dict[str, Any]],
    reporter: EpochReporter,
    n_epochs: int,
) -> list[Trained]:
    members: list[Trained] = []

    def on_epoch(history: History, params: Any) -> bool:
        _log_epoch(history, n_epochs, estimator.verbose)

        def current() -> dict[str, Any]:
            copied = {name: list(values) for name, values in history.items()}
            member = Trained(fitting.to_numpy(params), [], copied, "running")
            return make([*members, member])

        return reporter.epoch(current)

    for seed, start in zip(seeds[1:], previous, strict=True):
        member = fitting.train_member(
            plan,
            split,
            seed=seed,
            previous=start,
            on_epoch=on_epoch,
            on_chunk=reporter.part if reporter.active else None,
            each_epoch=reporter.active or bool(estimator.verbose),
        )
        has_learnt = bool(member.history["loss"])
        if member.ending == "interrupted" and not (has_learnt or members):
            raise KeyboardInterrupt
        warn_of_ending(member.ending)
        # An ensemble goes without a network that was interrupted or never learnt.
        unfinished = member.ending == "interrupted" or not has_learnt
        if not (unfinished and members):
            members.append(member)
        if member.ending == "interrupted" or reporter.stopped:
            break
    return members


def seeds_and_previous(
    estimator: Any, plan: Plan, continued_by: str | None
) -> tuple[np.ndarray, list[Trained | None]]:
    """Seeds of the split and of every member, and the members to continue from.

    ``continued_by`` is what asks to continue, None if nothing does.
    """
    n_members = int(estimator.n_estimators)
    if continued_by is None or not hasattr(estimator, "weights_"):
        generator = generator_of(estimator.random_state)
        return generator.randint(2**31 - 1, size=1 + n_members), [None] * n_members
    shape, fitted = dict(vars(plan.network)), estimator.architecture_
    changed = [name for name in shape if shape[name] != fitted[name]]
    if changed:
        name = changed[0]
        raise ValueError(
            f"{continued_by} trains on a fitted network, whose "
            f"{PARAMETERS.get(name, name)!r} must stay "
            f"{fitted[name]!r}. Got {shape[name]!r}."
        )
    weights = unstack(estimator.weights_)
    if n_members != len(weights):
        raise ValueError(
            f"{continued_by} trains on fitted networks, so 'n_estimators' must stay "
            f"{len(weights)}. Got {n_members}."
        )
    leaves = estimator._optimizer_leaves or [[]] * n_members
    return estimator._seeds, [
        Trained(member, old, estimator.history_, "finished")
        for member, old in zip(weights, leaves, strict=True)
    ]


def attributes(
    plan: Plan,
    rows: Rows,
    split: Split,
    seeds: np.ndarray,
    members: list[Trained],
    *,
    shift: Statistics,
    contamination: float | Literal["auto"],
    keeps_optimizer: bool,
    is_last: bool = False,
) -> dict[str, Any]:
    """Fitted attributes that the trained members make of shifted rows.

    The last ones of a training are worth a look at the codes, and scores of rows as
    if they were new where none are held out; otherwise training scores stand in.
    """
    model = fitting.fitted_model(plan, split, members)
    if is_last and has_collapsed(model, split.sample):
        warn_of_collapse(plan.hyper.beta)
    calibration = split.held_out or rows
    scores, rate = None, AUTO_FALSE_ALARMS
    if is_last and folds.needs_folds(plan, split):
        model, out_of_fold = _cross_fitted(plan, rows, model, split.sample, seeds[0])
        if split.held_out is None and plan.validation_fraction > 0:
            scores = out_of_fold
            rate *= 1 if scores is None else STRICTNESS_OF_FOLDS
    if scores is None:
        scores = score_rows(model, calibration.X)
    if contamination == "auto":
        offset = thresholds.expected_offset(scores, rate, calibration.weight)
    else:
        offset = thresholds.contamination_offset(
            score_rows(model, rows.X), contamination, rows.weight
        )
    return described(
        model, members, seeds, offset, scores, shift, keeps_optimizer=keeps_optimizer
    )


def described(
    model: Model,
    members: list[Trained],
    seeds: np.ndarray,
    offset: float,
    scores: np.ndarray,
    shift: Statistics,
    *,
    keeps_optimizer: bool,
) -> dict[str, Any]:
    """Fitted attributes of a model, its threshold, and scores of rows as if new."""
    history = members[0].history
    return {
        "architecture_": dict(vars(model.network)),
        "weights_": model.weights,
        "statistics_": model.statistics | shift,
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
        out_of_fold = folds.cross_fit(plan, rows, model, seed=seed)
    except KeyboardInterrupt:
        if inside_search():
            raise
        warn(
            "The fit was interrupted while rows were scored by networks that have not "
            "seen them. Threshold and p-values rest on scores of training rows, so "
            "that more new rows are flagged: calibrate on rows of your own.",
            ConvergenceWarning,
        )
        return model, None
    model, scores = folds.in_units_of(model, out_of_fold, rows.weight, sample)
    # Other networks may restore rows better, where nothing but luck tells them apart.
    high, low = np.median(scores), np.median(score_rows(model, rows.X))
    return model, scores if high <= low else scores - high + low


def _log_epoch(history: History, n_epochs: int, verbose: int) -> None:
    """Print a line: about ten in a training with verbose=1, each epoch with 2."""
    done = len(history["loss"])
    if verbose == 0 or (verbose == 1 and done % max(1, n_epochs // 10)):
        return
    line = f"epoch {done}/{n_epochs}, loss {history['loss'][-1]:.6g}"
    if history["validation_loss"]:
        line += f", validation loss {history['validation_loss'][-1]:.6g}"
    print(f"[AutoencoderOutlierDetector] {line}")
