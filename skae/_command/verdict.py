"""What the figures of several detectors say, in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score

from skae._command.detectors import OURS, Measured

if TYPE_CHECKING:
    from rich.table import Table

# Draws of the test rows, and how many of 100 must agree for a difference to count.
N_DRAWS, SURE = 200, 90

# Digits of the figures that are ranked, as they are shown.
DIGITS = 3

Results = dict[str, Measured]


def mean_ranks(tasks: Sequence[Results]) -> dict[str, np.ndarray]:
    """Mean ranks of each detector by ROC AUC and average precision; 1 is the best."""
    figures = [[measured.figures[:2] for measured in task.values()] for task in tasks]
    ranks = rankdata(-np.round(figures, DIGITS), axis=1).mean(axis=0)
    return dict(zip(tasks[0], ranks, strict=True))


def table_of_ranks(blocks: dict[str, list[Results]]) -> "Table":
    """Table of mean ranks for each block of tasks."""
    from rich.table import Table

    table = Table(title="[bold]mean ranks (ROC AUC / AP)[/bold]", title_justify="left")
    table.add_column("detector", no_wrap=True)
    for name in blocks:
        table.add_column(name, justify="right")
    columns = [mean_ranks(tasks) for tasks in blocks.values()]
    for detector in columns[0]:
        cells = [" / ".join(f"{rank:.1f}" for rank in c[detector]) for c in columns]
        table.add_row(detector, *cells)
    return table


def of_blocks(blocks: dict[str, list[Results]]) -> list[str]:
    """Say who is ahead in each block, by how much, and what our fits cost."""
    lines = [_of_block(name, tasks) for name, tasks in blocks.items()]
    tasks = [task for block in blocks.values() for task in block]
    lines.append(_of_time(tasks))
    lines.append(
        f"On {len(tasks)} small tables these are hints. What counts is your own table: "
        "python -m skae compare FILE --label COLUMN"
    )
    return lines


def _of_block(name: str, tasks: list[Results]) -> str:
    """Leader of a block by mean rank of average precision, and where we stand."""
    ranks = {key: values[1] for key, values in mean_ranks(tasks).items()}
    means = {
        key: np.mean([task[key].average_precision for task in tasks]) for key in ranks
    }
    # Ties go to the higher mean.
    order = sorted(ranks, key=lambda key: (ranks[key], -means[key]))
    first, second = order[:2]
    line = (
        f"{name}: {first} is ahead (mean rank {ranks[first]:.1f}, average precision "
        f"{means[first]:.3f} on average), then {second} ({ranks[second]:.1f}, "
        f"{means[second]:.3f})"
    )
    if OURS not in (first, second):
        place = order.index(OURS) + 1
        line += f"; {OURS} is number {place} ({ranks[OURS]:.1f}, {means[OURS]:.3f})"
    return line + "."


def _of_time(tasks: list[Results]) -> str:
    first, again, forest = (
        np.median(values)
        for values in (
            [task[OURS].fit_seconds for task in tasks],
            [task[OURS].again_seconds for task in tasks],
            [task["IsolationForest"].again_seconds for task in tasks],
        )
    )
    return (
        f"A first fit of {OURS} takes {first:.1f} s here (programs are compiled or "
        f"read), a later one {again:.1f} s; IsolationForest {forest:.1f} s (medians)."
    )


def of_one(results: Results, is_outlier: np.ndarray, rng: np.random.Generator) -> str:
    """Say whether we or another detector is ahead, and whether that may be chance.

    Test rows are drawn again, with replacement, and both average precisions compared.
    """
    scored = {key: found for key, found in results.items() if found.pipeline}
    if OURS not in scored:
        return f"No verdict: {OURS} did not end in time."
    others = {k: v for k, v in scored.items() if not _is_ours(k)}
    if not others:
        return f"{OURS} alone ended in time."
    rival = max(others, key=lambda key: others[key].average_precision)
    ours, theirs = scored[OURS], others[rival]
    wins = _wins(ours.scores, theirs.scores, is_outlier, rng)
    word = "level with"
    if wins >= SURE or wins <= 100 - SURE:
        word = "ahead of" if wins >= SURE else "behind"
    return (
        f"{OURS} is {word} {rival}, the best of the others: average precision "
        f"{ours.average_precision:.3f} against {theirs.average_precision:.3f}. Were "
        f"the test rows drawn again, it would be higher {wins:.0f} times of 100."
    )


def _is_ours(name: str) -> bool:
    return name == OURS or name.startswith("the same")


def _wins(
    ours: np.ndarray,
    theirs: np.ndarray,
    is_outlier: np.ndarray,
    rng: np.random.Generator,
) -> float:
    """Count the times of 100 that our average precision is higher, ties for a half."""
    kinds = np.flatnonzero(is_outlier), np.flatnonzero(~is_outlier)
    wins = []
    for _ in range(N_DRAWS):
        # Of each kind as many as there are.
        draw = np.concatenate([rng.choice(rows, len(rows)) for rows in kinds])
        a, b = (
            average_precision_score(is_outlier[draw], -scores[draw])
            for scores in (ours, theirs)
        )
        wins.append(0.5 * (1 + np.sign(a - b)))
    return float(100 * np.mean(wins))
