"""The score over time, with the threshold and what is known of the rows."""

from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length, column_or_1d

from skae._optional import optional
from skae._parts import offset_of, require_scores
from skae._types import MatrixLike
from skae._validation import check_scores
from skae.inspection._figure import (
    ABNORMAL,
    LARGEST,
    NORMAL,
    UNKNOWN,
    axes_of,
    check_partial_labels,
    envelope,
    name_of,
    spans,
    threshold_line,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class AlarmSignalDisplay:
    """The anomaly signal, which is minus the score, over time, and the threshold.

    Create it by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Higher is more normal, as ``score_samples`` returns them, in the order of time.
    y_true : array-like of shape (n_samples,), default=None
        +1 for inliers, -1 for outliers, NaN where it is not known.
    threshold : float, default=None
        Score below which a row is an alarm.
    time : array-like of shape (n_samples,), default=None
        Numbers or dates of the rows, ascending. None numbers the rows.
    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the picture is.
    figure_ : matplotlib Figure
        Figure of the picture.
    line_ : matplotlib Line2D
        The signal.
    alarms_ : matplotlib Line2D or None
        Signals above the threshold.
    threshold_line_ : matplotlib Line2D or None
        Minus the threshold.
    spans_ : list of matplotlib PolyCollection
        Outliers, and rows without a label.

    See Also
    --------
    ScoreDistributionDisplay : The same scores without their order.

    Notes
    -----
    Of more than 4,000 rows, the lowest and the highest signals of each of 2,000
    stretches are drawn, so no peak is lost. An infinite signal stands at the top.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from skae.inspection import AlarmSignalDisplay
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> detector = IsolationForest(random_state=0).fit(X)
    >>> display = AlarmSignalDisplay.from_estimator(detector, X)
    """

    def __init__(
        self,
        *,
        scores: ArrayLike,
        y_true: ArrayLike | None = None,
        threshold: float | None = None,
        time: ArrayLike | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.scores = scores
        self.y_true = y_true
        self.threshold = threshold
        self.time = time
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        time: ArrayLike | None = None,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw the signal of rows in the order of time.

        Parameters
        ----------
        estimator : object
            Any fitted outlier detector with ``score_samples``, or a Pipeline of one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the order of time.
        y : array-like of shape (n_samples,), default=None
            +1 for inliers, -1 for outliers, NaN where it is not known.
        time : array-like of shape (n_samples,), default=None
            Numbers or dates of the rows, ascending. None numbers the rows.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title. None: the name of the estimator's class.

        Returns
        -------
        AlarmSignalDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``score_samples``.
        """
        require_scores(estimator, cls.__name__)
        return cls.from_predictions(
            y,
            estimator.score_samples(X),
            threshold=offset_of(estimator),
            time=time,
            ax=ax,
            name=name_of(estimator, name),
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike | None,
        scores: ArrayLike,
        *,
        threshold: float | None = None,
        time: ArrayLike | None = None,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw the signal that scores make.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or None
            +1 for inliers, -1 for outliers, NaN where it is not known.
        scores : array-like of shape (n_samples,)
            Higher is more normal, in the order of time.
        threshold : float, default=None
            Score below which a row is an alarm.
        time : array-like of shape (n_samples,), default=None
            Numbers or dates of the rows, ascending. None numbers the rows.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title.

        Returns
        -------
        AlarmSignalDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If scores are NaN, labels are others than +1, -1 and NaN, or times do not
            ascend.
        """
        return cls(
            scores=scores,
            y_true=y_true,
            threshold=threshold,
            time=time,
            estimator_name=name,
        ).plot(ax=ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        AlarmSignalDisplay
            The display itself.
        """
        scores = check_scores(self.scores)
        y = check_partial_labels(self.y_true, scores)
        x, has_dates = _check_time(self.time, scores)
        ax = axes_of(ax)
        if has_dates:
            ax.xaxis_date()
        x_drawn, drawn = envelope(x, _finite_signal(scores, self.threshold))
        marker = "." if len(scores) < 3 else None
        self.spans_ = _draw_spans(ax, y, x)
        self.line_ = ax.plot(
            x_drawn, drawn, color=NORMAL, linewidth=0.8, marker=marker, label="signal"
        )[0]
        self.alarms_ = self.threshold_line_ = None
        if self.threshold is not None:
            n_alarms = np.count_nonzero(scores < self.threshold)
            alarm = drawn > -self.threshold
            self.alarms_ = ax.plot(
                x_drawn[alarm],
                drawn[alarm],
                linestyle="",
                marker=".",
                markersize=4,
                color="black",
                label=f"{n_alarms:,} alarms",
            )[0]
            self.threshold_line_ = threshold_line(ax.axhline, -self.threshold)
        ax.set(
            xlabel="row" if self.time is None else "time",
            ylabel="anomaly signal (minus score)",
        )
        ax.margins(x=0.01)
        ax.legend()
        title(ax, self.estimator_name)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _finite_signal(scores: np.ndarray, threshold: float | None) -> np.ndarray:
    """Minus the scores; infinite ones beyond the others and beyond the threshold."""
    signal = -scores
    inside = signal[np.abs(signal) < LARGEST]
    if threshold is not None and abs(threshold) < LARGEST:
        inside = np.append(inside, -threshold)
    low, high = inside.min(initial=0), inside.max(initial=0)
    margin = (high - low) / 20 or 1.0
    return np.clip(signal, low - margin, high + margin)


def _check_time(time: Any, scores: np.ndarray) -> tuple[np.ndarray, bool]:
    """Places along the axis, which ascend, and whether they are dates."""
    if time is None:
        return np.arange(len(scores)), False
    times = column_or_1d(time)
    check_consistent_length(scores, times)
    is_number = times.dtype.kind in "iuf" or isinstance(times[0], Real)
    x = times.astype(np.float64) if is_number else _days(times)
    # NaN and NaT are not in order with anything.
    if not (x[1:] >= x[:-1]).all() or not np.isfinite(x).all():
        raise ValueError(
            "time must ascend and be finite, since alarms are drawn in its order. "
            "Sort the rows."
        )
    return x, not is_number


def _days(times: np.ndarray) -> np.ndarray:
    """Dates as matplotlib counts them."""
    try:
        if times.dtype.kind == "U":
            times = times.astype("datetime64[us]")
        # NaT among dates with a time zone is refused there.
        return optional("matplotlib.dates", "plot").date2num(times)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"time must hold numbers or dates. Got {times[:3].tolist()}, for example."
        ) from error


def _draw_spans(ax: Any, y: np.ndarray | None, x: np.ndarray) -> list[Any]:
    if y is None:
        return []
    kinds = [
        ("outliers", y == -1, (ABNORMAL, 0.3), None),
        ("no label", np.isnan(y), (UNKNOWN, 0.15), "...."),
    ]
    return [
        ax.broken_barh(
            spans(rows, x),
            (0, 1),
            transform=ax.get_xaxis_transform(),
            facecolor=color,
            edgecolor=color,
            linewidth=0,
            hatch=hatch,
            label=label,
        )
        for label, rows, color, hatch in kinds
        if rows.any()
    ]
