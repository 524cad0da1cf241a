"""A meta-estimator that sets the threshold of any detector from labelled rows."""

from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold, StratifiedShuffleSplit, check_cv
from sklearn.utils import (
    Bunch,
    _safe_indexing,
    check_consistent_length,
    indexable,
)
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import (
    _check_method_params,
    _num_samples,
    check_is_fitted,
    check_memory,
)

from skae._callbacks import reported_fits, with_callbacks
from skae._parts import offset_of, require_scores
from skae._ranges import Anything, Flag, Ranges
from skae._types import MatrixLike, RandomState
from skae._validation import check_labels, check_ranges, check_scores, refused
from skae.metrics import AlarmCost
from skae.model_selection._meta_detector import MetaDetector
from skae.model_selection._objectives import OWNER, Objective, best_threshold, resolve
from skae.model_selection._split import NoveltyKFold, NoveltySplit


class TunedThresholdDetector(MetaDetector):
    """Set the threshold of any outlier detector from labelled rows.

    Rows that the detector was not trained on are scored, every distinct score is
    tried as threshold, and the one that serves the objective best is kept. Whatever
    the number of candidates, the detector is trained once for each split of ``cv``,
    and once more with ``refit``.

    Parameters
    ----------
    estimator : object
        Detector with ``score_samples``, higher for more normal rows: scikit-learn's
        outlier detectors, KernelDensity, skae's, or a Pipeline of them. A fitted one
        in a :class:`~sklearn.frozen.FrozenEstimator` is not trained again; all rows
        given then serve to tune.
    objective : AlarmCost, {"f1", "balanced_accuracy"} or callable, default="f1"
        What the threshold shall minimise (AlarmCost) or maximise. A callable gets the
        arrays ``(tn, fp, fn, tp)``, one entry for each candidate, with the outlier as
        the positive class, and returns an array of values. :class:`FBeta`,
        :class:`RecallAtPrecision` and :class:`FalseAlarmRate` are such callables.
    cv : int, float, splitter, iterable or None, default=None
        How rows to train on are kept apart from rows to tune on. An int takes
        :class:`NoveltyKFold`, None with 5 folds, or as many as there are outliers if
        these are fewer. A float in (0, 1) holds this share of the inliers and of the
        outliers out, and trains on the other inliers. Splitters and iterables are
        used as they are: wrap them into :class:`NoveltySplit` to keep outliers from
        training.
    refit : bool, default=True
        Whether to train on all rows in the end, or on all inliers if no split has
        trained on an outlier. False keeps the detector of the only split, to which
        the threshold then fits exactly.
    n_jobs : int or None, default=None
        Splits to train in parallel.
    random_state : int, RandomState instance or None, default=None
        Seed of the rows held out with a float ``cv``.
    memory : str, object with the joblib.Memory interface or None, default=None
        Where trainings are cached, so that a search over objectives trains no
        detector twice. By default nothing is cached.

    Attributes
    ----------
    estimator_ : object
        The fitted detector.
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    best_score_ : float or None
        Value of the objective at the threshold; minus the cost for an AlarmCost. None
        without labels.
    objective_curve_ : dict of str to ndarray, or None
        "thresholds", ascending, and "values" of the objective (higher is better; minus
        infinity where not allowed).
    n_features_in_ : int
        Columns seen in ``fit``, where the detector has it.
    feature_names_in_ : ndarray of str
        Names of the columns, where the detector has it.

    See Also
    --------
    sklearn.model_selection.TunedThresholdClassifierCV : The same for classifiers.

    Notes
    -----
    Of equally good thresholds, those with needless false alarms or misses are left
    out, and the middle of the longest run of the others is taken.

    ``estimator_`` keeps its own threshold; only this object uses the tuned one.

    Scores of all splits are pooled, so detectors of different splits should score
    alike; where they do not, hold rows out (``cv=0.3, refit=False``).

    With an AlarmCost of ``tolerance > 0`` the rows must be in the order of time, and
    those that splits test must make one block: whole folds, or the end of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from skae.metrics import AlarmCost
    >>> from skae.model_selection import TunedThresholdDetector
    >>> rng = np.random.default_rng(0)
    >>> X = np.r_[rng.normal(size=(300, 2)), rng.normal(4, 1, size=(20, 2))]
    >>> y = np.r_[np.ones(300), -np.ones(20)]
    >>> detector = TunedThresholdDetector(
    ...     IsolationForest(random_state=0), objective=AlarmCost(missed=5)
    ... ).fit(X, y)
    >>> detector.predict([[0, 0], [4, 4]])
    array([ 1, -1])
    """

    _ranges: ClassVar[Ranges] = {
        "estimator": Anything(),
        "objective": Anything(),
        "cv": Anything(),
        "refit": Flag(),
        "n_jobs": Anything(),
        "random_state": Anything(),
        "memory": Anything(),
    }

    best_score_: float | None
    objective_curve_: dict[str, np.ndarray] | None

    def __init__(
        self,
        estimator: Any,
        *,
        objective: str | AlarmCost | Callable[..., ArrayLike] = "f1",
        cv: Any = None,
        refit: bool = True,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        memory: Any = None,
    ) -> None:
        self.estimator = estimator
        self.objective = objective
        self.cv = cv
        self.refit = refit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.memory = memory

    @with_callbacks
    def fit(self, X: MatrixLike, y: ArrayLike | None = None, **fit_params: Any) -> Self:
        """Train the detector and set the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            +1 for inliers, -1 for outliers. None trains on all rows and keeps the
            detector's own threshold.
        **fit_params : dict
            Passed to ``fit`` of the detector, those of length n_samples split like
            the rows; ``groups`` is passed to the splitter. With metadata routing
            enabled, requests decide.

        Returns
        -------
        TunedThresholdDetector
            The fitted detector itself.

        Raises
        ------
        ValueError
            If labels are not +1 and -1, or a parameter is out of range, or a
            threshold that the objective allows does not exist.
        """
        objective = self._check_parameters()
        X, y = indexable(X, y)
        y = None if y is None else check_labels(y)
        routed = self._routed(fit_params)
        splits = self._splits(X, y, routed.splitter.split)
        n_fits = 1 if splits is None else len(splits) + self.refit
        with reported_fits(self, X, y, n_fits) as announce:
            train = partial(self._train, X, y, routed.estimator.fit)
            self._fit(objective, X, y, train, splits, announce)
        self._adopt_columns()
        return self

    def _fit(
        self,
        objective: Objective,
        X: Any,
        y: Any,
        train: Callable[..., Any],
        splits: list[tuple[np.ndarray, np.ndarray]] | None,
        announce: Callable[..., Any],
    ) -> None:
        if splits is None:
            self.estimator_ = train(slice(None), announce())
            if y is None:
                self.offset_ = self._own_offset()
                self.best_score_ = self.objective_curve_ = None
                return
            rows = np.arange(len(y))
            scores = check_scores(self.estimator_.score_samples(X))
        else:
            detectors, parts = zip(
                *Parallel(n_jobs=self.n_jobs)(
                    delayed(_train_and_score)(train, X, *split, announce())
                    for split in splits
                ),
                strict=True,
            )
            rows = np.concatenate([np.arange(len(y))[test] for _, test in splits])
            scores = np.concatenate(parts)
            self.estimator_ = detectors[0]
            if self.refit:
                clean = all((y[trained_on] == 1).all() for trained_on, _ in splits)
                self.estimator_ = train(
                    np.flatnonzero((y == 1) | (not clean)), announce()
                )
        check_consistent_length(rows, scores)
        order = np.argsort(rows, kind="stable")
        self._set_threshold(objective, y, rows[order], scores[order])

    def _own_offset(self) -> float:
        offset = offset_of(self.estimator_)
        if offset is None:
            raise ValueError(
                f"{type(self.estimator_).__name__} has no threshold of its own "
                "(offset_) to keep: pass labels y."
            )
        return offset

    def _splits(
        self, X: Any, y: np.ndarray | None, split_params: dict[str, Any]
    ) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Rows to train and to tune on; None where all rows serve for both."""
        if y is None or isinstance(self.estimator, FrozenEstimator):
            return None
        splits = list(self._splitter(y).split(X, y, **split_params))
        if not splits:
            raise ValueError(f"cv must make at least one split. Got none: {self.cv!r}.")
        if not self.refit and len(splits) > 1:
            raise ValueError(
                f"refit=False needs a cv of one split. Got {len(splits)} splits."
            )
        return splits

    def _train(
        self,
        X: Any,
        y: np.ndarray | None,
        fit_params: dict[str, Any],
        rows: Any,
        report: Callable[..., Any],
    ) -> Any:
        train = check_memory(self.memory).cache(_train, ignore=["report"])
        return train(
            clone(self.estimator),
            _safe_indexing(X, rows),
            None if y is None else y[rows],
            _check_method_params(X, fit_params, np.arange(_num_samples(X))[rows]),
            report,
        )

    def _set_threshold(
        self, objective: Objective, y: np.ndarray, rows: np.ndarray, scores: np.ndarray
    ) -> None:
        tolerance = getattr(objective, "tolerance", 0)
        if tolerance and (np.diff(rows) != 1).any():
            raise ValueError(
                "An AlarmCost with tolerance needs a cv that tests consecutive rows, "
                f"each once, such as an int, KFold or TimeSeriesSplit. Got {self.cv!r}."
            )
        candidates, values, best = best_threshold(objective, y[rows], scores)
        self.offset_ = float(candidates[best])
        self.best_score_ = float(values[best])
        self.objective_curve_ = {"thresholds": candidates, "values": values}

    def _check_parameters(self) -> Objective:
        """Return the objective."""
        require_scores(self.estimator, OWNER)
        check_ranges(self, self.get_params(deep=False))
        return resolve(self.objective)

    def _splitter(self, y: np.ndarray) -> Any:
        cv = self.cv
        if cv is None:
            rarest = np.unique(y, return_counts=True)[1].min()
            cv = int(np.clip(rarest, 2, 5))
        if isinstance(cv, Integral):
            # Without outliers, as FalseAlarmRate allows, there is none to leave out.
            return NoveltyKFold(int(cv)) if (y == -1).any() else KFold(cv)
        if isinstance(cv, Real):
            if not 0 < float(cv) < 1:
                raise refused(
                    "cv", "in the range (0, 1) where it is a float", cv, OWNER
                )
            return NoveltySplit(
                StratifiedShuffleSplit(1, test_size=cv, random_state=self.random_state)
            )
        return check_cv(cv)

    def _routed(self, fit_params: dict[str, Any]) -> Any:
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", **fit_params)
        fit_params = dict(fit_params)
        split_params = {"groups": fit_params.pop("groups", None)}
        return Bunch(
            estimator=Bunch(fit=fit_params), splitter=Bunch(split=split_params)
        )

    def score_samples(self, X: MatrixLike) -> NDArray[np.float64]:
        """Score rows by the detector; higher means more normal.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        ndarray of shape (n_samples,)
            Float64 scores.
        """
        check_is_fitted(self)
        # In float32, as some detectors score, the threshold would be rounded.
        return check_scores(self.estimator_.score_samples(X))

    def get_metadata_routing(self) -> MetadataRouter:
        """Metadata that the detector and the splitter ask for.

        Returns
        -------
        MetadataRouter
            Passes metadata of ``fit`` on.
        """
        router = MetadataRouter(owner=self)
        router.add(
            estimator=self.estimator,
            method_mapping=MethodMapping().add(caller="fit", callee="fit"),
        )
        return router.add(
            splitter=self.cv,
            method_mapping=MethodMapping().add(caller="fit", callee="split"),
        )


def _train(
    estimator: Any,
    X: Any,
    y: np.ndarray | None,
    fit_params: dict[str, Any],
    report: Callable[..., Any],
) -> Any:
    with report(estimator):
        return estimator.fit(X, y, **fit_params)


def _train_and_score(
    train: Callable[..., Any],
    X: Any,
    train_rows: np.ndarray,
    test_rows: np.ndarray,
    report: Callable[..., Any],
) -> tuple[Any, np.ndarray]:
    detector = train(train_rows, report)
    scores = detector.score_samples(_safe_indexing(X, test_rows))
    return detector, check_scores(scores)
