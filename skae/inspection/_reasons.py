"""Reasons of abnormal rows in words: what a cell holds, and what was expected there."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any

import numpy as np

from skae._ranges import Int
from skae._ranking import worst_features
from skae._tracing import trace
from skae._types import MatrixLike
from skae._validation import check_range
from skae.inspection._cells import Cells, as_text
from skae.inspection._explanations import detector_with, parts_by_column

# How far a cell is from what was expected, in usual errors of its column, hidden and
# restored: below the first it is no reason.
DEGREES = (
    (3.0, "slightly unusual"),
    (6.0, "unusual"),
    (12.0, "very unusual"),
    (30.0, "far outside"),
)

# A column that does not follow another raises the score, when mended, by this share of
# what the first column raises it.
SHARE = 0.2

# Remembered rows to learn usual errors from; of these, the grossest share is left out.
N_USUAL, GROSS = 300, 0.05

# Columns of a row that are tried, and times that a hidden cell is restored.
MAX_TRIED, STEPS = 12, 5

# Rows that are worked on at a time.
MAX_ROWS = 256


@dataclass(frozen=True)
class Reason:
    """Why a row is abnormal: a cell that does not fit the others of its row.

    ``str()`` gives a line such as ``"quantity = 250, expected about 6: far outside"``.

    Attributes
    ----------
    column : str
        Name of the column that entered the estimator.
    value : str or float
        What the cell holds.
    expected : str
        What was expected, given the rest of the row; empty where it cannot be told in
        the units of the column.
    degree : str
        How unusual that is: "slightly unusual", "unusual", "very unusual" or "far
        outside".
    """

    column: str
    value: Any
    expected: str
    degree: str

    def __str__(self) -> str:
        expected = f", expected {self.expected}" if self.expected else ""
        return f"{self.column} = {as_text(self.value)}{expected}: {self.degree}"


def reasons(estimator: Any, X: MatrixLike, n_features: int = 3) -> list[list[Reason]]:
    """Say which cells make rows abnormal, and what was expected in their place.

    A cell is hidden and restored from the rest of its row; the column whose cell makes
    the score most normal that way is to blame. With it mended, the next is sought, as
    long as the row stays abnormal: what merely follows from a wrong cell, such as a
    sum, is not blamed. Nor is a cell that holds what was expected, so a row may have
    no reason.

    Parameters
    ----------
    estimator : object
        Fitted :class:`~skae.AutoencoderOutlierDetector`, or a Pipeline, search or
        meta-estimator around one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, as they enter the estimator. Each is scored some 40 times.
    n_features : int, default=3
        Columns to blame for each row, at most.

    Returns
    -------
    list of list of Reason
        For each row, the worst cell first. Values are in the units of ``X``; where a
        column is made from several, such as a principal component, in its own. Missing
        cells are not blamed.

    Raises
    ------
    TypeError
        If the detector does not explain.

    See Also
    --------
    explain : Columns and their parts of the score, of many rows in little time.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import AutoencoderOutlierDetector
    >>> from skae.inspection import reasons
    >>> a = np.random.default_rng(0).normal(50, 5, size=(300, 1))
    >>> X = np.hstack([a, 2 * a, 3 * a])
    >>> detector = make_pipeline(
    ...     StandardScaler(), AutoencoderOutlierDetector(random_state=0)
    ... ).fit(X)
    >>> (of_row,) = reasons(detector, [[50, 400, 150]])
    >>> of_row[0].column, of_row[0].degree
    ('x1', 'far outside')
    """
    check_range("n_features", n_features, Int("[1, inf)"), "reasons")
    transformers, detector = detector_with("explain", estimator)
    inputs, names, column = trace(estimator, transformers, X)
    inputs = _dense(inputs)
    tried = worst_features(parts_by_column(detector, inputs, column), MAX_TRIED)
    found: list[list[tuple[int, np.ndarray]]] = []
    for start in range(0, len(inputs), MAX_ROWS):
        part = slice(start, start + MAX_ROWS)
        found += _blamed(detector, inputs[part], column, tried[part], n_features)
    cells = Cells(estimator, X, inputs, names, column, transformers)
    usual = cache(partial(_usual_error, detector, column))
    return [
        [
            reason
            for j, mended in of_row
            if (reason := _reason(cells, i, j, mended, usual(j)))
        ]
        for i, of_row in enumerate(found)
    ]


def _dense(inputs: Any) -> np.ndarray:
    if hasattr(inputs, "toarray"):
        inputs = inputs.toarray()
    return np.array(inputs, dtype=np.float64)


def _blamed(
    detector: Any,
    inputs: np.ndarray,
    column: np.ndarray,
    tried: np.ndarray,
    n_features: int,
) -> list[list[tuple[int, np.ndarray]]]:
    """For each row, the columns to blame, each with the row in which it is mended."""
    found: list[list[tuple[int, np.ndarray]]] = [[] for _ in inputs]
    rows, first = inputs.copy(), np.zeros(len(inputs))
    scores = detector.score_samples(rows)
    is_open = np.ones(len(rows), bool)
    for _ in range(min(n_features, tried.shape[1])):
        numbers = np.flatnonzero(is_open)
        if not len(numbers):
            break
        mended = _mended(detector, rows[numbers], column, tried[numbers])
        raised = detector.score_samples(np.concatenate(mended))
        raised = raised.reshape(len(mended), -1)
        for row, k in zip(numbers, raised.argmax(axis=0), strict=True):
            at = int(np.searchsorted(numbers, row))
            gain = raised[k, at] - scores[row]
            first[row] = first[row] or gain
            if gain <= 0 or gain < SHARE * first[row]:
                is_open[row] = False
                continue
            found[row].append((int(tried[row, k]), mended[k][at]))
            rows[row], scores[row] = mended[k][at], raised[k, at]
        is_open &= scores < detector.offset_
    return found


def _mended(
    detector: Any, rows: np.ndarray, column: np.ndarray, tried: np.ndarray
) -> np.ndarray:
    """Rows with one column each restored from the others, for each of those tried."""
    hidden = column == tried.T[:, :, None]
    many = np.broadcast_to(rows, hidden.shape).reshape(-1, rows.shape[1])
    return _restored(detector, many, hidden.reshape(many.shape)).reshape(hidden.shape)


def _restored(detector: Any, rows: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Rows with hidden cells restored from the others."""
    hidden = hidden & ~np.isnan(rows)
    made = np.where(hidden, detector._usual_row(), rows)
    for _ in range(STEPS):
        made = np.where(hidden, detector.reconstruct(made), rows)
    return made


def _usual_error(detector: Any, column: np.ndarray, j: int) -> np.ndarray:
    """Mean squared error of each input of a column on rows of the training.

    Hidden and restored on rows that the detector remembers; where it does not, seen
    and reconstructed, which is less.
    """
    seen: np.ndarray = detector._usual_errors()[column == j]
    rows = detector._remembered_rows()
    if rows is None:
        return seen
    rows = rows[np.linspace(0, len(rows) - 1, min(N_USUAL, len(rows))).astype(int)]
    restored = _restored(detector, rows, column == j)
    errors = np.square(restored - rows)[:, column == j]
    few = np.argsort(errors.sum(axis=1))[: max(1, int((1 - GROSS) * len(rows)))]
    return np.maximum(seen, errors[few].mean(axis=0))


def _reason(
    cells: Cells, i: int, j: int, mended: np.ndarray, usual: np.ndarray
) -> Reason | None:
    """Put the mended cell in words; None where it is no more than usual."""
    value, expected = cells.value(i, j), cells.expected(i, j, mended)
    away = np.square(cells.inputs[i] - mended)[cells.column == j]
    known = ~np.isnan(away)
    away, usual = away[known], usual[known]
    # Parts of a date are things of their own, while categories exclude each other.
    is_date = isinstance(value, datetime)
    square = (away / usual).max() if is_date else away.sum() / usual.sum()
    degrees = [degree for least, degree in DEGREES if np.sqrt(square) >= least]
    if not degrees or expected == as_text(value):
        return None
    return Reason(cells.names[j], value, expected, degrees[-1])
