"""Rows with outliers of known kinds, drawn from seeds."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from skae._ranges import Float, Int, Range
from skae._types import RandomState
from skae._validation import check_range, generator_of

_COUNT = Int("[1, inf)")
# Waves that make a surface curved.
_N_WAVES = 8
# Kinds of jobs of a machine.
_N_JOBS = 6


def make_dependence_outliers(
    n_samples: int = 1000,
    n_features: int = 10,
    *,
    contamination: float = 0.05,
    n_factors: int = 2,
    noise: float = 0.05,
    random_state: RandomState = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw rows near a curved surface, and outliers with usual values.

    Each column is a smooth function of few hidden factors. An outlier has each value
    from another row, so that no column alone tells of it.

    Parameters
    ----------
    n_samples : int, default=1000
        Rows, inliers and outliers.
    n_features : int, default=10
        Columns.
    contamination : float, default=0.05
        Share of outliers, in [0, 0.5].
    n_factors : int, default=2
        Dimensions of the surface.
    noise : float, default=0.05
        Standard deviation of the noise of each column, whose own is about 1.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Rows.
    y : ndarray of shape (n_samples,)
        +1 for inliers, -1 for outliers.

    Examples
    --------
    >>> from skae.datasets import make_dependence_outliers
    >>> X, y = make_dependence_outliers(200, contamination=0.1, random_state=0)
    >>> X.shape, int((y == -1).sum())
    ((200, 10), 20)
    """
    _check(
        make_dependence_outliers.__name__,
        n_samples=(n_samples, _COUNT),
        n_features=(n_features, _COUNT),
        contamination=(contamination, Float("[0, 0.5]")),
        n_factors=(n_factors, _COUNT),
        noise=(noise, Float("[0, inf)")),
    )
    rng = generator_of(random_state)
    factors = rng.normal(size=(n_samples, n_factors))
    X = _surface(factors, n_features, rng) + noise * rng.normal(
        size=(n_samples, n_features)
    )
    y = np.ones(n_samples, dtype=int)
    outliers = rng.permutation(n_samples)[: round(contamination * n_samples)]
    y[outliers] = -1
    donors = rng.randint(n_samples, size=(len(outliers), n_features))
    X[outliers] = X[donors, np.arange(n_features)]
    return X, y


def make_sensor_outliers(
    n_samples: int = 3000,
    n_features: int = 12,
    *,
    n_spans: int = 5,
    random_state: RandomState = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw sensors of a machine that does one job after the other, with faults.

    All sensors follow the load of the job at hand, which is of one of six kinds, each
    in its own way. In a span of
    outliers a third of them do not: they stay where they were when it began. The
    first half of the rows has no outliers, to train on.

    Parameters
    ----------
    n_samples : int, default=3000
        Rows, in the order of time.
    n_features : int, default=12
        Sensors.
    n_spans : int, default=5
        Spans of outliers, of 20 to 60 rows each.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Rows.
    y : ndarray of shape (n_samples,)
        +1 for inliers, -1 for outliers.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or the spans do not fit into half of the
        rows.

    Examples
    --------
    >>> from skae.datasets import make_sensor_outliers
    >>> X, y = make_sensor_outliers(random_state=0)
    >>> bool((y[:1500] == 1).all()), bool((y == -1).any())
    (True, True)
    """
    _check(
        make_sensor_outliers.__name__,
        n_samples=(n_samples, _COUNT),
        n_features=(n_features, _COUNT),
        n_spans=(n_spans, Int("[0, inf)")),
    )
    if n_samples < 160 * n_spans:
        raise ValueError(
            f"n_samples must be at least 160 for each of the n_spans={n_spans}, so "
            f"that they fit into its second half. Got {n_samples}."
        )
    rng = generator_of(random_state)
    load = _load(n_samples, rng)
    X = _surface(load, n_features, rng) + 0.05 * rng.normal(
        size=(n_samples, n_features)
    )
    y = np.ones(n_samples, dtype=int)
    half = n_samples // 2
    stretches = np.array_split(np.arange(half, n_samples), n_spans) if n_spans else []
    for stretch in stretches:
        length = rng.randint(20, 61)
        start = stretch[rng.randint(len(stretch) - length)]
        stuck = rng.permutation(n_features)[: max(1, n_features // 3)]
        rows = slice(start, start + length)
        X[rows, stuck] = X[rng.randint(half), stuck] + 0.05 * rng.normal(
            size=(length, len(stuck))
        )
        y[rows] = -1
    return X, y


def make_sparse_counts(
    n_samples: int = 1000,
    n_features: int = 2000,
    *,
    n_topics: int = 5,
    length: int = 80,
    random_state: RandomState = None,
) -> tuple[csr_array, NDArray[np.int64]]:
    """Draw counts of words in texts that are each about two topics.

    Parameters
    ----------
    n_samples : int, default=1000
        Texts.
    n_features : int, default=2000
        Words.
    n_topics : int, default=5
        Topics, at least 2, each a distribution over words of which few are frequent.
    length : int, default=80
        Mean number of words of a text.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    X : csr_array of shape (n_samples, n_features)
        Counts, of which most are 0.
    topic : ndarray of shape (n_samples,)
        The topic that a text is most about.

    Examples
    --------
    >>> from skae.datasets import make_sparse_counts
    >>> X, topic = make_sparse_counts(100, 500, random_state=0)
    >>> X.shape, bool(X.nnz < 0.2 * 100 * 500), len(set(topic))
    ((100, 500), True, 5)
    """
    _check(
        make_sparse_counts.__name__,
        n_samples=(n_samples, _COUNT),
        n_features=(n_features, _COUNT),
        n_topics=(n_topics, Int("[2, inf)")),
        length=(length, _COUNT),
    )
    rng = generator_of(random_state)
    words = rng.dirichlet(np.full(n_features, 0.05), size=n_topics)
    shares = np.zeros((n_samples, n_topics))
    for row in shares:
        first, second = rng.permutation(n_topics)[:2]
        row[first] = rng.uniform(0.5, 1)
        row[second] = 1 - row[first]
    X = csr_array(rng.poisson(length * shares @ words), dtype=float)
    return X, shares.argmax(axis=1)


def _check(owner: str, **values: tuple[object, Range]) -> None:
    """Refuse values out of their ranges."""
    for name, (value, allowed) in values.items():
        check_range(name, value, allowed, owner)


def _surface(
    factors: np.ndarray, n_features: int, rng: np.random.RandomState
) -> np.ndarray:
    """Columns that are sums of waves over the factors, standardised."""
    columns = np.empty((len(factors), n_features))
    for j in range(n_features):
        frequencies = rng.normal(size=(factors.shape[1], _N_WAVES))
        waves = np.cos(factors @ frequencies + rng.uniform(0, 2 * np.pi, _N_WAVES))
        columns[:, j] = waves @ rng.normal(size=_N_WAVES)
    # Of a single row the deviation is 0.
    return (columns - columns.mean(axis=0)) / np.maximum(columns.std(axis=0), 1e-12)


def _load(n_samples: int, rng: np.random.RandomState) -> np.ndarray:
    """Two loads of each row: steps from job to job, and slow drifts within one."""
    load = np.empty((n_samples, 2))
    kinds = rng.normal(size=(_N_JOBS, 2))
    row = 0
    while row < n_samples:
        length = rng.randint(30, 120)
        level = kinds[rng.randint(_N_JOBS)]
        drift = np.linspace(0, 1, length)[:, None] * rng.normal(scale=0.2, size=2)
        load[row : row + length] = (level + drift)[: n_samples - row]
        row += length
    return load
