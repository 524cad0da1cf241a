"""What a fit warns of, at the line of the user's code that led to it."""

import sys
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skae._callbacks import inside_search
from skae.core import splitting
from skae.core.fitting import Trained
from skae.core.gaussian import Statistics
from skae.core.splitting import Split
from skae.core.spread import Spread

# Share of the rows of X_val outside of the ball of X from which on users are warned.
FAR_SHARE = 0.9

# A network is lost whose squared errors are so many times the squares of the rows.
LOST = 1e3

# Spread of columns, in raw units, outside of which users are warned.
SPREAD = (0.01, 100.0)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's code that led here."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].startswith(
        ("skae.", "sklearn.")
    ):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def warn_of_zeros_and_ones(y: Any) -> None:
    """Warn of labels that a search would take the wrong way round."""
    if y is None or not inside_search():
        return
    labels = np.asarray(y)
    is_number = labels.dtype.kind in "biuf"
    if is_number and set(np.unique(labels).tolist()) == {0, 1}:
        warn(
            "y holds 0 and 1. Scorers take +1 for inliers and -1 for outliers: where 1 "
            "marks outliers, pass np.where(y == 1, -1, 1)."
        )


def warn_of_few(X_val: Any) -> None:
    """Warn of too few rows held out."""
    if X_val.shape[0] < splitting.MIN_HELD_OUT:
        warn(
            f"X_val has {X_val.shape[0]} rows, fewer than the {splitting.MIN_HELD_OUT} "
            "that a threshold needs. It is not used."
        )


def warn_of_far(X_val: Any, around: Statistics) -> None:
    """Warn of rows held out that are nowhere near those that train."""
    n_far, n_seen = splitting.count_outside(X_val, around)
    if n_far > FAR_SHARE * n_seen:
        warn(
            f"{n_far} of {n_seen} rows of X_val are farther from the mean than any row "
            "of X. Was X_val left unscaled? In a Pipeline, transform_input=['X_val'] "
            "passes it through the steps in front."
        )


def warn_of_spread(estimator: Any, found: Spread | None, split: Split) -> None:
    """Warn of columns that vary, but too little or too much to train on.

    What one gross value spreads is no matter of scale: it may be left out.
    """
    if found is None:
        return
    scale = found.scale
    is_narrow = (scale > 0) & (scale < SPREAD[0])
    is_wide = np.minimum(scale, split.sample.ball["scale"]) > SPREAD[1]
    outside = np.flatnonzero(is_narrow | is_wide)
    if len(outside):
        names = getattr(estimator, "feature_names_in_", range(len(scale)))
        first = outside[0]
        more = f" (and {len(outside) - 1} more)" if len(outside) > 1 else ""
        warn(
            f"Column {names[first]}{more} has standard "
            f"deviation {scale[first]:.3g}, outside {SPREAD[0]} to {SPREAD[1]}. "
            "Training needs columns of similar scale: put a StandardScaler in front."
        )


def warn_of_lost(fitted: dict[str, Any], members: list[Trained]) -> None:
    """Warn of a network that restores rows far worse than zeros would."""
    if all(member.ending == "diverged" for member in members):
        return
    found = fitted["statistics_"]
    center, scale = (found[name][0].astype(np.float64) for name in ("center", "scale"))
    is_of_odd_scale = scale.min() < SPREAD[0] or scale.max() > SPREAD[1]
    squares = np.sum(np.square(center) + np.square(scale))
    errors = found["feature_error"].sum(axis=1).max()
    # Columns of odd scale have a warning of their own.
    if errors > LOST * squares and not is_of_odd_scale:
        warn(
            "The network restores rows far worse than zeros would: squared errors are "
            f"{errors / squares:.2g} times theirs. A smaller learning_rate, scaled "
            "columns or a longer training may help.",
            ConvergenceWarning,
        )


def warn_of_collapse(beta: float) -> None:
    """Warn of a variational code that tells nothing."""
    warn(
        "The posterior has collapsed: no unit of the variational code tells the "
        "decoder anything of the rows, which are all restored as the mean. A beta "
        f"smaller than {beta:g} or a longer training may help.",
        ConvergenceWarning,
    )


def warn_of_ending(ending: str) -> None:
    """Warn of a training that did not end as it should; in a search, stop."""
    if ending == "diverged":
        warn(
            "Training diverged: the loss was not finite. The last finite weights are "
            "kept. A smaller learning_rate or scaled columns may help.",
            ConvergenceWarning,
        )
    if ending == "interrupted":
        if inside_search():
            raise KeyboardInterrupt
        warn(
            "Training was interrupted. The best weights so far are kept.",
            ConvergenceWarning,
        )
