"""What the pictures share: axes, colours, labels, groups of rows, and long series."""

from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d

from skae._optional import optional
from skae._validation import check_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A light blue and a dark red: told apart by the colour-blind, and in grey.
NORMAL, ABNORMAL, UNKNOWN = "#4c9bd6", "#9c2c00", "#8a8a8a"

# More columns of pixels than a figure has.
MAX_POINTS = 2000

MAX_LABEL = 32

# Axes cannot hold more, nor can means.
LARGEST = 1e150


class Group(NamedTuple):
    """Rows that look alike in a picture."""

    name: str
    rows: np.ndarray
    color: str
    marker: str
    hatch: str | None


def groups(y: np.ndarray | None, n_rows: int) -> list[Group]:
    """Group rows by their labels: inliers, outliers, and those without a label."""
    if y is None:
        return [Group("rows", np.ones(n_rows, bool), NORMAL, ".", None)]
    found = [
        Group("inliers", y == 1, NORMAL, ".", None),
        Group("outliers", y == -1, ABNORMAL, "x", "////"),
        Group("no label", np.isnan(y), UNKNOWN, "+", "...."),
    ]
    return [group for group in found if group.rows.any()]


def check_partial_labels(y: Any, rows: Any) -> np.ndarray | None:
    """Labels as floats: +1, -1, or NaN where there is none. None stays None."""
    if y is None:
        return None
    if getattr(getattr(y, "dtype", None), "kind", None) == "b":
        # Of pandas, where True becomes 1.0 beside a missing label.
        y = [str(label) for label in y]
    labels = column_or_1d(y)
    check_consistent_length(rows, labels)
    if labels.dtype.kind == "O":
        missing = np.array([_is_missing(label) for label in labels], dtype=bool)
        # Of their common type, which check_labels looks at.
        known = np.array([_plain(label) for label in labels[~missing]])
    else:
        missing = labels != labels
        known = labels[~missing]
    found = np.full(len(labels), np.nan)
    if len(known):
        found[~missing] = check_labels(known, "y_true")
    return found


def _is_missing(label: Any) -> bool:
    return label is None or type(label).__name__ == "NAType" or label != label


def _plain(label: Any) -> Any:
    """Keep numbers; name all else, so that True does not become 1 among them."""
    is_number = isinstance(label, Real) and not isinstance(label, (bool, np.bool_))
    return label if is_number else str(label)


def axes_of(ax: "Axes | None", height: float = 0.0) -> "Axes":
    """Axes to draw on: those given, or new ones, at least ``height`` inches high."""
    if ax is not None:
        return ax
    pyplot = optional("matplotlib.pyplot", "plot")
    width, usual = pyplot.rcParams["figure.figsize"]
    figure = pyplot.figure(figsize=(width, max(usual, height)), layout="constrained")
    return figure.add_subplot()


def axes_grid(
    ax: "Axes | None", n_rows: int, n_columns: int, size: tuple[float, float]
) -> tuple[Any, Any]:
    """Split axes into a grid; new ones have ``size`` inches for each part."""
    pyplot = optional("matplotlib.pyplot", "plot")
    if ax is None:
        width, height = size
        figure, axes = pyplot.subplots(
            n_rows,
            n_columns,
            squeeze=False,
            layout="constrained",
            figsize=(width * n_columns, height * n_rows + 0.5),
        )
        return figure, axes
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            "ax must be of a grid, as plt.subplots makes them, since it is divided."
        )
    ax.set_axis_off()
    axes = place.subgridspec(n_rows, n_columns).subplots(squeeze=False)
    return ax.figure, axes


def text(name: object, length: int = MAX_LABEL) -> str:
    """Name of a column or estimator as a label: one short line, nothing typeset."""
    line = " ".join(str(name).split())
    if len(line) > length:
        line = f"{line[: length // 2 - 1]}…{line[-length // 2 :]}"
    # Between dollar signs, matplotlib expects a formula.
    return line.replace("$", r"\$")


def whole_numbers(ax: Any) -> None:
    """Tick rows and epochs where they are, and not between them."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def title(ax: Any, name: str | None, **style: Any) -> None:
    """Write the name of an estimator above its picture, where it has one."""
    if name is not None:
        ax.set_title(text(name), **style)


def name_of(estimator: Any, name: str | None) -> str:
    """Name for the title: the given one, or that of the estimator's class."""
    return type(estimator).__name__ if name is None else name


def threshold_line(draw: Callable[..., Any], threshold: float) -> Any:
    """Draw a threshold by ``ax.axvline`` or ``ax.axhline``."""
    return draw(
        threshold,
        color="black",
        linestyle="--",
        linewidth=1,
        label=f"threshold {threshold:.4g}",
    )


def histogram(
    ax: Any, group: Group, values: np.ndarray, limits: tuple[float, float], bins: int
) -> Any:
    """Draw the shares of a group's rows in bins; return the outline."""
    return ax.hist(
        values,
        bins=int(bins),
        range=limits,
        weights=np.full(len(values), 1 / len(values)),
        histtype="stepfilled",
        facecolor=(group.color, 0.45),
        edgecolor=group.color,
        hatch=group.hatch,
        label=f"{group.name} ({len(values):,})",
    )[2][0]


def window(values: np.ndarray, *inside: float) -> tuple[float, float]:
    """Range that shows the bulk of the values and all those of ``inside``.

    A few far values must not squeeze the others into one pixel.
    """
    finite = values[np.abs(values) < LARGEST]
    if not len(finite):
        finite = np.zeros(1)
    inside = tuple(value for value in inside if abs(value) < LARGEST)
    bottom, top = np.percentile(finite, [5, 95])
    reach = 3 * (top - bottom)
    low = max(finite.min(), bottom - reach)
    high = min(finite.max(), top + reach)
    if reach == 0:
        low, high = finite.min(), finite.max()
    low, high = min(low, *inside, high), max(high, *inside, low)
    margin = 0.02 * (high - low) or max(abs(high), 1.0) * 0.05
    return low - margin, high + margin


def envelope(x: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thin a long series out to its lowest and highest values, in their order."""
    if len(values) <= 2 * MAX_POINTS:
        return x, values
    starts = bin_starts(len(values))
    kept = []
    for start, stop in zip(starts, [*starts[1:], len(values)], strict=True):
        part = values[start:stop]
        kept += sorted({start + int(part.argmin()), start + int(part.argmax())})
    return x[kept], values[kept]


def bin_starts(n_rows: int) -> np.ndarray:
    """First rows of bins that are no more than a figure has pixels."""
    return np.linspace(0, n_rows, min(n_rows, MAX_POINTS) + 1).astype(int)[:-1]


def spans(marked: np.ndarray, x: np.ndarray) -> list[tuple[float, float]]:
    """(start, width) of each run of marked rows along ``x``, which ascends.

    Runs are at least as wide as a line, and those that would touch are joined.
    """
    edges = np.flatnonzero(np.diff(marked, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    if not len(starts):
        return []
    half = (x[-1] - x[0]) / max(len(x) - 1, 1) / 2 or 0.5
    least = max(half, (x[-1] - x[0]) / MAX_POINTS)
    low, high = x[starts] - least, x[stops - 1] + least
    first = np.r_[True, low[1:] > high[:-1]]
    last = np.r_[first[1:], True]
    return list(zip(low[first], high[last] - low[first], strict=True))
