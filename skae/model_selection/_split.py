"""Splitters whose training folds hold inliers only."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedKFold

from skae._types import MatrixLike, RandomState
from skae._validation import check_labels


class NoveltyKFold(StratifiedKFold):
    """K folds that train on inliers only and test on inliers and outliers.

    Every row is in one test fold; outliers are dealt evenly to the test folds and
    are left out of all training folds.

    Parameters
    ----------
    n_splits : int, default=5
        Folds, at least 2.
    shuffle : bool, default=False
        Whether to shuffle inliers and outliers before they are dealt. Otherwise test
        folds follow the order of the rows.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling.

    See Also
    --------
    NoveltySplit : The same for any splitter, such as one that respects time.

    Notes
    -----
    A search that refits does so on all rows, outliers too. Pass ``refit=False`` and
    fit the best parameters on inliers, or search over a
    :class:`TunedThresholdDetector`, which trains on inliers itself.

    Examples
    --------
    >>> from skae.model_selection import NoveltyKFold
    >>> y = [1, 1, -1, 1, 1, -1]
    >>> for train, test in NoveltyKFold(2).split(y, y):
    ...     print(train, test)
    [3 4] [0 1 2]
    [0 1] [3 4 5]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: RandomState = None,
    ) -> None:
        super().__init__(n_splits, shuffle=shuffle, random_state=random_state)

    def split(
        self, X: MatrixLike, y: ArrayLike, groups: Any = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the rows of each training and test fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Only its length counts.
        y : array-like of shape (n_samples,)
            +1 for inliers, -1 for outliers, at least ``n_splits`` of each.
        groups : Ignored
            Present for compatibility.

        Yields
        ------
        train : ndarray
            Indices of inliers.
        test : ndarray
            Indices of inliers and outliers.

        Raises
        ------
        ValueError
            If labels are not +1 and -1, or one of them is rarer than ``n_splits``.
        """
        labels = check_labels(y)
        for value, name in ((1, "inliers (+1)"), (-1, "outliers (-1)")):
            count = np.count_nonzero(labels == value)
            if count < self.n_splits:
                raise ValueError(
                    f"n_splits={self.n_splits} needs at least as many {name} in y. "
                    f"Got {count}."
                )
        yield from _inliers_only(super().split(X, labels), labels)


class NoveltySplit:
    """Any splitter, with the outliers left out of its training folds.

    Parameters
    ----------
    cv : splitter
        An object with ``split`` and ``get_n_splits``, such as scikit-learn's
        ``TimeSeriesSplit`` (rows in the order of time), ``StratifiedShuffleSplit``,
        ``GroupKFold`` or ``PredefinedSplit``.

    See Also
    --------
    NoveltyKFold : Stratified folds, which suit rows without order or groups.

    Notes
    -----
    A test fold has outliers if the splitter puts some there.

    Examples
    --------
    >>> from sklearn.model_selection import TimeSeriesSplit
    >>> from skae.model_selection import NoveltySplit
    >>> y = [1, -1, 1, 1, -1, 1]
    >>> for train, test in NoveltySplit(TimeSeriesSplit(2)).split(y, y):
    ...     print(train, test)
    [0] [2 3]
    [0 2 3] [4 5]
    """

    def __init__(self, cv: Any) -> None:
        if isinstance(cv, type) or not hasattr(cv, "split"):
            raise TypeError(f"cv must be a splitter, an object with split. Got {cv!r}.")
        self.cv = cv

    def __repr__(self) -> str:
        return f"NoveltySplit({self.cv!r})"

    def __getattr__(self, name: str) -> Any:
        # Number of splits, metadata and randomness are those of the splitter.
        if name == "cv" or name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.cv, name)

    def split(
        self, X: MatrixLike, y: ArrayLike, groups: ArrayLike | None = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the rows of each training and test fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Passed to the splitter.
        y : array-like of shape (n_samples,)
            +1 for inliers, -1 for outliers.
        groups : array-like of shape (n_samples,), default=None
            Passed to the splitter.

        Yields
        ------
        train : ndarray
            Indices of inliers.
        test : ndarray
            Indices of inliers and outliers.

        Raises
        ------
        ValueError
            If labels are not +1 and -1.
        """
        labels = check_labels(y)
        # Splitters that do not use groups warn when given some.
        given = () if groups is None else (groups,)
        yield from _inliers_only(self.cv.split(X, labels, *given), labels)


def _inliers_only(
    splits: Iterable[tuple[np.ndarray, np.ndarray]], labels: np.ndarray
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    for train, test in splits:
        train = np.arange(len(labels))[train]
        yield train[labels[train] == 1], np.arange(len(labels))[test]
