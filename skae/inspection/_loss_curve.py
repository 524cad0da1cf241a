"""Loss of training and validation, epoch by epoch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import column_or_1d

from skae.inspection._explanations import detector_with
from skae.inspection._figure import (
    ABNORMAL,
    NORMAL,
    axes_of,
    name_of,
    title,
    whole_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LossCurveDisplay:
    """Picture of the training: loss and validation loss of each epoch.

    Create it by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    loss : array-like of shape (n_epochs,)
        Loss of the training rows after each epoch.
    validation_loss : array-like of shape (n_epochs,), default=None
        Loss of the rows held out.
    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the picture is.
    figure_ : matplotlib Figure
        Figure of the picture.
    lines_ : list of matplotlib Line2D
        Curve of the training loss, and that of the validation loss where there is one.

    See Also
    --------
    skae.AutoencoderOutlierDetector : Its ``history_`` holds the losses.

    Notes
    -----
    Both losses are taken under the corruption of the training, and the validation loss
    without penalties and dropout: it may be the lower one. The axis is logarithmic
    where all losses are above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderOutlierDetector
    >>> from skae.inspection import LossCurveDisplay
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> detector = AutoencoderOutlierDetector(max_iter=5, random_state=0).fit(X)
    >>> display = LossCurveDisplay.from_estimator(detector)
    """

    def __init__(
        self,
        *,
        loss: Sequence[float],
        validation_loss: Sequence[float] | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.loss = loss
        self.validation_loss = validation_loss
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: "Axes | None" = None, name: str | None = None
    ) -> Self:
        """Draw the losses of a fitted detector.

        Parameters
        ----------
        estimator : object
            Fitted :class:`~skae.AutoencoderOutlierDetector`, or a Pipeline, search or
            meta-estimator around one.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title. None: the name of the detector's class.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the detector has no history.
        """
        _, detector = detector_with("history_", estimator)
        history = detector.history_
        return cls.from_predictions(
            history["loss"],
            history["validation_loss"] or None,
            ax=ax,
            name=name_of(detector, name),
        )

    @classmethod
    def from_predictions(
        cls,
        loss: Sequence[float],
        validation_loss: Sequence[float] | None = None,
        *,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw losses.

        Parameters
        ----------
        loss : array-like of shape (n_epochs,)
            Loss of the training rows after each epoch.
        validation_loss : array-like of shape (n_epochs,), default=None
            Loss of the rows held out.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.
        """
        return cls(
            loss=loss, validation_loss=validation_loss, estimator_name=name
        ).plot(ax=ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        LossCurveDisplay
            The display itself.
        """
        ax = axes_of(ax)
        curves = [("training", self.loss, NORMAL, "-")]
        if self.validation_loss is not None:
            curves.append(("validation", self.validation_loss, ABNORMAL, "--"))
        self.lines_ = []
        lowest = np.inf
        for label, values, color, style in curves:
            values = column_or_1d(values)
            epochs = np.arange(1, len(values) + 1)
            marker = "o" if len(values) < 3 else None
            self.lines_ += ax.plot(
                epochs, values, style, color=color, marker=marker, label=label
            )
            lowest = np.nanmin(values, initial=lowest)
        if 0 < lowest < np.inf:
            ax.set_yscale("log")
        ax.set(xlabel="epoch", ylabel="loss")
        whole_numbers(ax)
        ax.legend()
        title(ax, self.estimator_name)
        self.ax_, self.figure_ = ax, ax.figure
        return self
