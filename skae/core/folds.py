"""Few rows as if they were new: scored by networks that have not seen them."""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import NamedTuple

import numpy as np

from skae.core import batching
from skae.core.batching import Rows
from skae.core.config import Plan
from skae.core.devices import carried
from skae.core.fitting import train_member
from skae.core.model import Model, energies, measured, with_units
from skae.core.sample import Sample
from skae.core.scores import SCORES
from skae.core.splitting import Split, split_off, trusted
from skae.core.statistics import fitted_units

N_FOLDS = 5


class OutOfFold(NamedTuple):
    """Energies of each row where it was left out, and the number of its fold.

    ``is_trusted`` says which rows are not left out by all folds, as suspects.
    """

    energies: np.ndarray
    fold: np.ndarray
    is_trusted: np.ndarray


def needs_folds(plan: Plan, split: Split) -> bool:
    """Whether rows are too few to hold any out for threshold or units."""
    has_units = split.sample.n_new > 0 or not SCORES[plan.score].needs_new_rows
    return not has_units or (split.held_out is None and plan.validation_fraction > 0)


def cross_fit(plan: Plan, rows: Rows, model: Model, *, seed: int) -> OutOfFold:
    """Measure each row by a network, and all else, that have not seen it.

    For few rows, of which none are held out: energies of rows that a wide network has
    learnt say nothing about new ones. Every fold trusts the rows that ``model`` trusts.
    Concentration ends in one of many optima, and rows of a category that one of them
    leaves out would be outliers of this fold alone.
    """
    whole = model.members[0].statistics
    n_rows = rows.X.shape[0]
    order = batching.permutation(n_rows, np.random.default_rng(seed))
    folds = np.array_split(order, min(N_FOLDS, n_rows))
    is_over = Event()

    def left_out(fold: np.ndarray) -> np.ndarray:
        split = split_off(plan, rows, order[~np.isin(order, fold)], whole=whole)
        member = train_member(
            plan, split, seed=seed, on_epoch=lambda *_: is_over.is_set()
        )
        part = measured(plan.network, plan.score, split.sample, [member.weights])
        return energies(part, batching.take(rows.X, fold))[0]

    found = np.empty((n_rows, len(SCORES[plan.score].energies)))
    number = np.empty(n_rows, int)
    # While one measures, in NumPy, another trains.
    with ThreadPoolExecutor(min(len(folds), os.cpu_count() or 1)) as pool:
        parts = [pool.submit(carried(left_out), fold) for fold in folds]
        try:
            for i, (fold, part) in enumerate(zip(folds, parts, strict=True)):
                found[fold], number[fold] = part.result(), i
        except BaseException:
            is_over.set()
            pool.shutdown(cancel_futures=True)
            raise
    is_trusted = np.ones(n_rows, bool)
    if plan.trim > 0:
        is_trusted = np.isin(np.arange(n_rows), trusted(rows, plan.trim, whole))
    return OutOfFold(found, number, is_trusted)


def in_units_of(
    model: Model, out_of_fold: OutOfFold, weight: np.ndarray, sample: Sample
) -> tuple[Model, np.ndarray]:
    """Return the model with its units, and scores of the rows as if they were new.

    Units are those of ``model``, which depend on how well the training rows were
    learnt; or they are made of energies of trusted rows in other folds.
    """
    score, (found, number, is_trusted) = SCORES[model.score], out_of_fold
    merge, members = score.combination.merge, model.members
    if not score.needs_new_rows:
        return model, -merge(found, members[0].statistics)
    scores, weight = np.empty(len(found)), weight * is_trusted
    for i in np.unique(number):
        own = number == i
        units = fitted_units(score, found[~own], weight[~own], sample)
        scores[own] = -merge(found[own], units)
    return with_units(model, [found] * len(members), weight, sample), scores
