"""What ``fit`` does on partitions: look, sample, train round by round, score."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from dask.base import compute
from dask.delayed import delayed

from skae import _fitting, _plan, thresholds
from skae._callbacks import EpochReporter
from skae._validation import generator_of
from skae._warnings import warn_of_collapse, warn_of_ending, warn_of_lost
from skae.core import (
    averaging,
    ball,
    batching,
    fitting,
    gaussian,
    robust,
    splitting,
    spread,
)
from skae.core.averaging import Schedule
from skae.core.batching import Rows, as_float32
from skae.core.config import Plan
from skae.core.course import Course
from skae.core.fitting import Trained
from skae.core.losses import LOSSES
from skae.core.model import has_collapsed
from skae.core.sample import Sample
from skae.core.scores import SCORES
from skae.core.splitting import MIN_HELD_OUT, Split
from skae.dask import _tasks
from skae.dask._tasks import Alike, Draw, Look, Table

# Sums of so many partitions are added by one task.
FAN_IN = 16

# Held-out rows that measure the loss after each round, and scores that a threshold is
# taken from: at most.
MAX_CHECKED, MAX_SCORES = 20_000, 1_000_000


class Partitions:
    """Delayed partitions with their weights, and where tasks are computed."""

    def __init__(self, parts: list[Any], weights: list[Any], client: Any) -> None:
        self.parts, self.weights, self.client = parts, weights, client

    def compute(self, *tasks: Any) -> Any:
        """Compute tasks, which are lost and found again with their workers."""
        scheduler = {} if self.client is None else {"scheduler": self.client}
        return compute(*tasks, **scheduler)

    def map(self, function: Any, *arguments: Any, numbered: bool = True) -> list[Any]:
        """Make a task of each partition; it gets its number, unless told otherwise."""
        task = delayed(Alike(function), pure=False)
        shared = [delayed(argument, pure=False) for argument in arguments]
        return [
            task(part, weight, *shared[:1], *([i] if numbered else []), *shared[1:])
            for i, (part, weight) in enumerate(
                zip(self.parts, self.weights, strict=True)
            )
        ]


def fit(
    estimator: Any,
    local: Any,
    partitions: Partitions,
    local_steps: int | None,
    reported: dict[str, Any],
) -> dict[str, Any]:
    """Train and return the fitted attributes as a dict."""
    parameters = _plan.checked_parameters(local)
    looks = partitions.compute(*partitions.map(_tasks.look, local, numbered=False))
    first = _agreed(looks)
    n_rows = sum(found.n_rows for found in looks)
    plan = _plan.make_plan(parameters, first.width)
    _check_values(plan, looks)
    few = plan.validation_fraction * n_rows < MIN_HELD_OUT
    if len(looks) == 1 or few:
        whole = delayed(Alike(_tasks.fit_whole), pure=False)
        (fitted,) = partitions.compute(
            whole(partitions.parts, partitions.weights, local)
        )
        return dict(fitted)
    n_members = int(local.n_estimators)
    generator = generator_of(local.random_state)
    seeds = generator.randint(2**31 - 1, size=1 + n_members)
    mean_weight = sum(found.total_weight for found in looks) / n_rows
    table = Table(local, plan, int(seeds[0]), mean_weight)
    table, split, shift = _split(partitions, table, n_rows)
    share = (1 - plan.validation_fraction) * (1 - plan.trim)
    most = max(found.n_rows for found in looks)
    rounds = averaging.schedule(
        plan, max(1, int(share * most)), max(1, int(share * n_rows)), local_steps
    )
    reporter = EpochReporter(estimator, reported, rounds.n_rounds)
    members = _train(partitions, table, split, rounds, seeds, reporter)
    fitted = _measured(partitions, table, split, members, seeds, shift, local)
    warn_of_lost(fitted, members)
    names = {} if first.names is None else {"feature_names_in_": np.array(first.names)}
    fitted |= {"n_features_in_": first.width, **names}
    reporter.end(fitted)
    return fitted


def _agreed(looks: list[Look]) -> Look:
    """Return the first partition with rows, which all others must be like."""
    numbered = [(i, found) for i, found in enumerate(looks) if found.width]
    used = [(i, found) for i, found in numbered if found.n_rows]
    if sum(found.n_rows for _, found in used) < 2:
        raise ValueError("X must have at least 2 rows of positive weight.")
    _, first = numbered[0]
    for i, found in numbered:
        if (found.width, found.names) != (first.width, first.names):
            raise ValueError(
                f"All partitions of X must have the same columns. Number {i} has "
                f"{found.names or found.width}, others "
                f"{first.names or first.width}."
            )
    return first


def _check_values(plan: Plan, looks: list[Look]) -> None:
    ends = np.array([[found.extremes] for found in looks if found.extremes])
    _fitting.check_values(plan.training.loss, ends.reshape(-1, 1), "X")


def _split(
    partitions: Partitions, table: Table, n_rows: int
) -> tuple[Table, Split, dict[str, Any]]:
    """Sample rows of all partitions, for statistics and thresholds."""
    plan = table.plan
    width = plan.network.n_features
    n_sample = gaussian.n_rows(width + plan.network.latent_dim)
    rng = np.random.default_rng(table.seed)
    shift: dict[str, Any] | None = None
    if plan.trim > 0:
        n_drawn = min(n_sample, robust.sample_size(width))
        share = min(1.0, n_drawn / n_rows)
        # Of each partition its share, of the largest at most all.
        draws = partitions.compute(*partitions.map(_tasks.draw, table, share))
        drawn = _shuffled([found for found in draws if found is not None], rng)
        shift = _shift_of(plan, drawn)
        table = _trusting(replace(table, shift=shift), drawn)
    n_train = n_rows * (1 - plan.validation_fraction) * (1 - plan.trim)
    wants_new = SCORES[plan.score].needs_new_rows
    share_new = splitting.n_new_of(int(n_train)) / n_train if wants_new else 0.0
    table = replace(table, share_new=share_new)
    share = min(1.0, n_sample / n_train)
    share_held_out = min(1.0, MAX_CHECKED / (n_rows * plan.validation_fraction))
    tasks = partitions.map(_tasks.sample, table, share, share_held_out)
    found = [part for part in partitions.compute(*tasks) if part is not None]
    new, trained, held_out = (
        _shuffled([getattr(part, name) for part in found], rng)
        for name in ("new", "trained", "held_out")
    )
    if shift is None:
        shift = _shift_of(plan, trained)
        table = replace(table, shift=shift)
        new, trained, held_out = (
            Draw(_less(part.X, shift), part.weight) for part in (new, trained, held_out)
        )
    X = as_float32(np.concatenate([new.X, trained.X])[:n_sample])
    weight = np.concatenate([new.weight, trained.weight])[:n_sample]
    sample = Sample(
        X, weight, ball.fit(X, weight), {}, len(new.X), plan.is_contaminated
    )
    checked = Rows(as_float32(held_out.X), held_out.weight)
    return table, Split(Rows(X, weight), checked, sample), shift


def _shuffled(draws: list[Draw], rng: np.random.Generator) -> Draw:
    """Rows of all partitions in random order: the first ones are a sample too."""
    X = np.concatenate([found.X for found in draws])
    weight = np.concatenate([found.weight for found in draws])
    order = rng.permutation(len(X))
    return Draw(X[order], weight[order])


def _shift_of(plan: Plan, drawn: Draw) -> dict[str, Any]:
    if LOSSES[plan.training.loss].domain:
        return {}
    return spread.shift_of(spread.measure(Rows(drawn.X, drawn.weight)))


def _less(X: np.ndarray, shift: dict[str, Any]) -> np.ndarray:
    """Rows less the shift."""
    return np.asarray(batching.dense(spread.shifted(X, shift), slice(None)))


def _trusting(table: Table, drawn: Draw) -> Table:
    """Table that knows which rows are suspects."""
    X = _less(drawn.X, table.shift or {})
    trim = table.plan.trim
    center = splitting.trust_of(Rows(X, drawn.weight), trim, {})
    far = np.sort(splitting.suspicion(X, center))
    cut = far[splitting.n_trusted(len(far), trim) - 1]
    return replace(table, center=center, cut=float(cut))


def _train(
    partitions: Partitions,
    table: Table,
    split: Split,
    rounds: Schedule,
    seeds: np.ndarray,
    reporter: EpochReporter,
) -> list[Trained]:
    plan = table.plan
    features = splitting.features_of(split.sample, plan.training.corruption)
    held_out = split.held_out or split.train
    own_seeds = [int(seed) for seed in seeds[1:]]
    courses = [
        Course(averaging.begin(plan, rounds, seed), plan.tol, 0) for seed in own_seeds
    ]
    running = list(range(len(courses)))
    for i in range(rounds.n_rounds):
        now = [courses[j].state for j in running]
        its_seeds = [own_seeds[j] for j in running]
        sums = partitions.map(_tasks.train, table, rounds, features, now, i, its_seeds)
        (totals,) = partitions.compute(_added(sums))
        for j, total in zip(list(running), totals, strict=True):
            state = averaging.mean(total, courses[j].state)
            check = averaging.held_out_loss(
                plan, rounds, held_out, features, state, own_seeds[j]
            )
            loss = total.loss / total.n_rows
            if not np.isfinite([loss, check]).all():
                courses[j].ending = "diverged"
            else:
                courses[j].add(state, [loss], check)
                if courses[j].waited == plan.patience:
                    courses[j].ending = "stopped"
            if courses[j].ending != "finished":
                running.remove(j)
        if reporter.epoch(partial(_so_far, courses)) or not running:
            break
    return [_member(course, plan) for course in courses]


def _member(course: Course, plan: Plan) -> Trained:
    warn_of_ending(course.ending)
    result = course.result(wants_best=plan.patience is not None)
    return Trained(result.params, [], result.history, result.ending)


def _so_far(courses: list[Course]) -> dict[str, Any]:
    """Show callbacks the history: a fit that goes on has no more."""
    return {"history_": courses[0].history}


def _added(tasks: list[Any]) -> Any:
    """Add sums of all partitions, a few at a time."""
    add = delayed(_tasks.add, pure=False)
    while len(tasks) > 1:
        tasks = [
            add(tasks[start : start + FAN_IN]) for start in range(0, len(tasks), FAN_IN)
        ]
    return tasks[0]


def _measured(
    partitions: Partitions,
    table: Table,
    split: Split,
    members: list[Trained],
    seeds: np.ndarray,
    shift: dict[str, Any],
    local: Any,
) -> dict[str, Any]:
    """Fitted attributes, with a threshold of scores of all partitions."""
    plan = table.plan
    model = fitting.fitted_model(plan, split, members)
    if has_collapsed(model, split.sample):
        warn_of_collapse(plan.hyper.beta)
    is_auto = local.contamination == "auto"
    most = -(-MAX_SCORES // len(partitions.parts))
    tasks = partitions.map(_tasks.score, table, model, most, not is_auto)
    found = [part for part in partitions.compute(*tasks) if part is not None]
    scores, weight = (
        np.concatenate([part.held_out[k] for part in found]) for k in range(2)
    )
    if is_auto:
        offset = thresholds.expected_offset(scores, _fitting.AUTO_FALSE_ALARMS, weight)
    else:
        every, its_weight = (
            np.concatenate([scores_or, *(part.others[k] for part in found)])
            for k, scores_or in enumerate((scores, weight))
        )
        offset = thresholds.contamination_offset(every, local.contamination, its_weight)
    return _fitting.described(
        model, members, seeds, offset, scores, shift, keeps_optimizer=False
    )
