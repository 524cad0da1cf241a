"""Rows beside what the network makes of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import check_array, check_consistent_length

from skae._ranges import Int
from skae._tracing import trace
from skae._types import MatrixLike
from skae._validation import check_range, refused
from skae.inspection._explanations import detector_with
from skae.inspection._figure import ABNORMAL, NORMAL, axes_grid, name_of, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_ROWS = Int("[1, inf)")

# More names than this do not fit below a panel.
MAX_NAMES = 12


class ReconstructionDisplay:
    """Rows and their reconstructions: curves over the features, or images.

    Create it by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows.
    reconstruction : array-like of shape (n_samples, n_features)
        Reconstructions of the same rows.
    feature_names : array-like of str of shape (n_features,), default=None
        Names of the features. None: their numbers.
    image_shape : tuple of int, default=None
        (height, width) or (height, width, 3), where rows are images in C order.
    estimator_name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first axes.
    axes_ : ndarray of matplotlib Axes
        All axes: one for each row, or originals above and reconstructions below.
    figure_ : matplotlib Figure
        Figure of the picture.

    See Also
    --------
    FeatureErrorDisplay : The same differences in units of the usual ones.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderOutlierDetector
    >>> from skae.inspection import ReconstructionDisplay
    >>> X = load_digits().data / 16
    >>> X += np.random.default_rng(0).normal(scale=0.02, size=X.shape)
    >>> detector = AutoencoderOutlierDetector(max_iter=2, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(
    ...     detector, X[:3], image_shape=(8, 8)
    ... )
    """

    def __init__(
        self,
        *,
        X: MatrixLike,
        reconstruction: MatrixLike,
        feature_names: Sequence[str] | None = None,
        image_shape: Sequence[int] | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.estimator_name = estimator_name
        self.X = X
        self.reconstruction = reconstruction
        self.feature_names = feature_names
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        image_shape: Sequence[int] | None = None,
        n_rows: int = 8,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw rows and what a detector makes of them.

        Parameters
        ----------
        estimator : object
            Fitted :class:`~skae.AutoencoderOutlierDetector`, or a Pipeline, search or
            meta-estimator around one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as they enter the estimator.
        image_shape : tuple of int, default=None
            (height, width) or (height, width, 3), where rows are images in C order.
            None takes the ``input_shape`` of a detector of images.
        n_rows : int, default=8
            Rows to draw, the first ones.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title. None: the name of the detector's class.

        Returns
        -------
        ReconstructionDisplay
            The display, drawn. Images are in the units of ``X`` where the transformers
            of a Pipeline can be inverted; curves are in the units that enter the
            detector, so that features can be compared.

        Raises
        ------
        TypeError
            If the detector does not reconstruct.
        """
        transformers, detector = detector_with("reconstruct", estimator)
        check_range("n_rows", n_rows, N_ROWS, cls.__name__)
        rows = X[:n_rows]
        inputs, names, column = trace(estimator, transformers, rows)
        names = [names[j] for j in column]
        original, restored = _dense(inputs), detector.reconstruct(inputs)
        if image_shape is None:
            image_shape = _image_shape(detector)
        if image_shape is not None and all(
            hasattr(step, "inverse_transform") for step in transformers
        ):
            original = _dense(rows)
            for step in reversed(transformers):
                restored = _dense(step.inverse_transform(restored))
        return cls.from_predictions(
            original,
            restored,
            feature_names=names,
            image_shape=image_shape,
            n_rows=n_rows,
            ax=ax,
            name=name_of(detector, name),
        )

    @classmethod
    def from_predictions(
        cls,
        X: MatrixLike,
        reconstruction: MatrixLike,
        *,
        feature_names: Sequence[str] | None = None,
        image_shape: Sequence[int] | None = None,
        n_rows: int = 8,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw rows and their reconstructions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        reconstruction : array-like of shape (n_samples, n_features)
            Reconstructions of the same rows.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the features. None: their numbers.
        image_shape : tuple of int, default=None
            (height, width) or (height, width, 3), where rows are images in C order.
        n_rows : int, default=8
            Rows to draw, the first ones.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Title.

        Returns
        -------
        ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the shapes do not fit together.
        """
        return cls(
            X=X,
            reconstruction=reconstruction,
            feature_names=feature_names,
            image_shape=image_shape,
            estimator_name=name,
        ).plot(ax=ax, n_rows=n_rows)

    def plot(self, ax: "Axes | None" = None, *, n_rows: int = 8) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        n_rows : int, default=8
            Rows to draw, the first ones.

        Returns
        -------
        ReconstructionDisplay
            The display itself.
        """
        owner = type(self).__name__
        check_range("n_rows", n_rows, N_ROWS, owner)
        original, restored = (
            check_array(_dense(part), dtype=np.float64, ensure_all_finite="allow-nan")[
                :n_rows
            ]
            for part in (self.X, self.reconstruction)
        )
        check_consistent_length(original, restored)
        if original.shape != restored.shape:
            raise ValueError(
                f"reconstruction must have the shape of X, {original.shape}. Got "
                f"{restored.shape}."
            )
        if self.image_shape is None:
            self._draw_curves(ax, original, restored)
        else:
            shape = _check_image_shape(self.image_shape, original.shape[1], owner)
            self._draw_images(ax, original, restored, shape)
        self.ax_ = self.axes_.flat[0]
        if self.estimator_name is not None:
            # The figure of given axes is the user's: it may have a title of its own.
            write = self.figure_.suptitle if ax is None else ax.set_title
            write(text(self.estimator_name), fontsize="medium")
        return self

    def _draw_curves(
        self, ax: "Axes | None", original: np.ndarray, restored: np.ndarray
    ) -> None:
        n_rows, n_features = original.shape
        n_columns = 1 if n_rows == 1 else 2
        n_lines = -(-n_rows // n_columns)
        self.figure_, self.axes_ = axes_grid(ax, n_lines, n_columns, (4.5, 1.8))
        marker = "." if n_features <= 50 else None
        for part in self.axes_.flat[n_rows:]:
            part.set_axis_off()
        for i, part in zip(range(n_rows), self.axes_.flat, strict=False):
            part.plot(original[i], color=NORMAL, marker=marker, label="row")
            part.plot(
                restored[i], "--", color=ABNORMAL, marker=marker, label="reconstruction"
            )
            part.set_title(f"row {i}", fontsize="small")
            if i + n_columns >= n_rows:
                self._name_features(part, n_features)
        self.axes_.flat[0].legend(fontsize="small")
        self.axes_.flat[0].set_ylabel("input of the detector", fontsize="small")

    def _name_features(self, ax: "Axes", n_features: int) -> None:
        if self.feature_names is None or n_features > MAX_NAMES:
            ax.set_xlabel("number of the feature", fontsize="small")
            return
        names = [text(name, 16) for name in self.feature_names]
        ax.set_xticks(
            np.arange(n_features), names, rotation=45, ha="right", fontsize="x-small"
        )

    def _draw_images(
        self,
        ax: "Axes | None",
        original: np.ndarray,
        restored: np.ndarray,
        shape: tuple[int, ...],
    ) -> None:
        self.figure_, self.axes_ = axes_grid(ax, 2, len(original), (1.1, 1.1))
        low, high = np.nanmin(original), np.nanmax(original)
        for axes, images, label in zip(
            self.axes_,
            (original, restored),
            ("original", "reconstruction"),
            strict=True,
        ):
            axes[0].set_ylabel(label, fontsize="small")
            for part, image in zip(axes, images, strict=True):
                if len(shape) == 3 and shape[-1] == 3:
                    # Colours need values from 0 to 1.
                    image = np.clip((image - low) / ((high - low) or 1), 0, 1)
                part.imshow(image.reshape(shape), cmap="gray_r", vmin=low, vmax=high)
                part.set(xticks=[], yticks=[])


def _dense(rows: Any) -> np.ndarray:
    return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)


def _image_shape(detector: Any) -> tuple[int, ...] | None:
    shape = detector.architecture_["input_shape"]
    is_image = shape is not None and len(shape) == 3 and shape[-1] in (1, 3)
    return shape if is_image else None


def _check_image_shape(
    shape: Sequence[int], n_features: int, owner: str
) -> tuple[int, ...]:
    shape = tuple(shape)
    if len(shape) == 3 and shape[-1] == 1:
        shape = shape[:2]
    channels = shape[2:] in ((), (3,))
    if len(shape) < 2 or not channels or np.prod(shape) != n_features:
        wanted = f"(height, width) or (height, width, 3) of {n_features} features"
        raise refused("image_shape", wanted, shape, owner)
    return shape
