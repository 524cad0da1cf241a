"""A meta-estimator that learns from labelled rows to dismiss false alarms."""

import warnings
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_predict
from sklearn.utils import _safe_indexing, check_array, get_tags, indexable
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import _check_method_params, check_is_fitted

from skae._callbacks import reported_fits, with_callbacks
from skae._parts import entering, offset_of, parts, require_scores
from skae._ranges import Anything, Float, OrNone, Ranges
from skae._types import MatrixLike, RandomState
from skae._validation import check_labels, check_ranges, check_scores, generator_of
from skae.model_selection._meta_detector import MetaDetector

OWNER = "AlarmFilter"
# What classifiers may compute in.
LARGEST = np.finfo(np.float32).max


class AlarmFilter(MetaDetector):
    """Dismiss false alarms of any outlier detector by a classifier.

    A second stage behind the detector: what the detector flags goes to a classifier,
    trained on labelled rows, which lets the alarm stand or dismisses it. It never adds
    an alarm. The classifier sees each row as it enters the detector, and the
    detector's codes (``transform``) and ``feature_errors`` where it has them, and
    score.

    Parameters
    ----------
    estimator : object
        Detector with ``score_samples``, higher for more normal rows, and a threshold
        ``offset_``: scikit-learn's outlier detectors, skae's, or a Pipeline of them. A
        fitted one in a :class:`~sklearn.frozen.FrozenEstimator` is not trained again;
        all rows given then train the classifier.
    classifier : object, default=None
        Classifier of inliers (+1) and outliers (-1). None takes an
        :class:`~sklearn.ensemble.ExtraTreesClassifier`, which takes missing cells too.
    max_recall_loss : float or None, default=0.01
        Share of the true alarms, in [0, 1), that may be dismissed by mistake. It is
        kept on labelled rows that the classifier was not trained on, by
        cross-validation. None lets ``predict`` of the classifier decide, such as that
        of a :class:`~sklearn.model_selection.TunedThresholdClassifierCV`.
    holdout : float, default=0.3
        Share of the inliers, in (0, 1), that train the classifier and not the
        detector, which scores rows that it was trained on too well. They are drawn at
        random: where rows depend on each other, as in time, freeze a detector that was
        trained on other rows. Without effect on a FrozenEstimator.
    random_state : int, RandomState instance or None, default=None
        Seed of the inliers held out and of the default classifier.

    Attributes
    ----------
    estimator_ : object
        The fitted detector.
    classifier_ : object
        The fitted classifier.
    classifier_threshold_ : float or None
        An alarm stands where the classifier's probability of the outlier, or its
        ``decision_function`` for the outlier, is at least this. Minus infinity where
        nothing is dismissed, None with ``max_recall_loss=None``.
    offset_ : float
        Threshold of the detector: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Columns seen in ``fit``, where the detector has it.
    feature_names_in_ : ndarray of str
        Names of the columns, where the detector has it.

    See Also
    --------
    TunedThresholdDetector : Sets the threshold of a detector from labelled rows.

    Notes
    -----
    The detector is trained on inliers only. The classifier is trained on the outliers
    and on the inliers held out, whether flagged or not: most inliers raise no alarm,
    yet they show what is normal.

    Of n known true alarms, a classifier loses one in n + 1 of the new ones even where
    it may lose none of the known: bounds below that are beyond what labels can tell.
    Outliers of kinds without labels may well be dismissed more often.

    Dismissed rows score as those at the threshold do: ``decision_function`` is 0.

    The idea is from a case study of attacks in network traffic [1]_, where a second
    stage reduces the false positives of an autoencoder.

    References
    ----------
    .. [1] D. Charte, "Autoencoders: teoría, herramientas y casos prácticos", lecture,
       University of Granada, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from skae.model_selection import AlarmFilter
    >>> rng = np.random.default_rng(0)
    >>> X = np.r_[rng.normal(size=(500, 2)), rng.normal([4, 0], 1, size=(50, 2))]
    >>> y = np.r_[np.ones(500), -np.ones(50)]
    >>> detector = AlarmFilter(IsolationForest(random_state=0), random_state=0)
    >>> detector.fit(X, y).predict([[0, 0], [4, 0], [-4, 0]])
    array([ 1, -1,  1])
    >>> detector.estimator_.predict([[0, 0], [4, 0], [-4, 0]])
    array([ 1, -1, -1])
    """

    _ranges: ClassVar[Ranges] = {
        "estimator": Anything(),
        "classifier": Anything(),
        "max_recall_loss": OrNone(Float("[0, 1)")),
        "holdout": Float("(0, 1)"),
        "random_state": Anything(),
    }

    def __init__(
        self,
        estimator: Any,
        classifier: Any = None,
        *,
        max_recall_loss: float | None = 0.01,
        holdout: float = 0.3,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.classifier = classifier
        self.max_recall_loss = max_recall_loss
        self.holdout = holdout
        self.random_state = random_state

    @with_callbacks
    def fit(self, X: MatrixLike, y: ArrayLike, **fit_params: Any) -> Self:
        """Train the detector and the classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            +1 for inliers, -1 for outliers.
        **fit_params : dict
            Passed to ``fit`` of the detector, those of length n_samples split like
            the rows. With metadata routing enabled, requests decide.

        Returns
        -------
        AlarmFilter
            The fitted detector itself.

        Raises
        ------
        ValueError
            If labels are not +1 and -1, or too few of one, or a parameter is out of
            range, or the detector has no threshold.
        """
        self._check_parameters()
        X, y = indexable(X, y)
        y = check_labels(y)
        generator = generator_of(self.random_state)
        train, labelled = self._deal(y, generator)
        with reported_fits(self, X, y, 1) as announce:
            self.estimator_ = clone(self.estimator)
            with announce()(self.estimator_):
                self.estimator_.fit(
                    _safe_indexing(X, train),
                    y[train],
                    **_check_method_params(X, self._routed(fit_params), train),
                )
        self.offset_ = self._own_offset()
        self._learn(_safe_indexing(X, labelled), y[labelled], generator)
        self._adopt_columns()
        return self

    def _check_parameters(self) -> None:
        require_scores(self.estimator, OWNER)
        check_ranges(self, self.get_params(deep=False))
        if self.classifier is not None and not is_classifier(self.classifier):
            raise TypeError(
                f"The 'classifier' parameter of {OWNER} must be a classifier. Got "
                f"{self.classifier!r} instead."
            )
        if self.max_recall_loss is not None and self.classifier is not None:
            _response_method(self.classifier)

    def _deal(
        self, y: np.ndarray, generator: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows that train the detector, and rows that train the classifier."""
        train = labelled = np.arange(len(y))
        if not isinstance(self.estimator, FrozenEstimator):
            inliers = generator.permutation(np.flatnonzero(y == 1))
            n_held_out = int(np.ceil(self.holdout * len(inliers)))
            train = np.sort(inliers[n_held_out:])
            labelled = np.setdiff1d(labelled, train)
        n_outliers = (y[labelled] == -1).sum()
        n_inliers = len(labelled) - n_outliers
        # Two of a kind, so that one can be judged by a classifier that knows the other.
        if min(n_outliers, n_inliers) < 2 or len(train) == 0:
            raise ValueError(
                "AlarmFilter needs at least two outliers (y = -1), and two inliers "
                f"(y = 1) that the detector is not trained on. Of n_samples={len(y)}, "
                f"{n_outliers} are outliers and {n_inliers} such inliers."
            )
        return train, labelled

    def _routed(self, fit_params: dict[str, Any]) -> dict[str, Any]:
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", **fit_params).estimator.fit
        return fit_params

    def _own_offset(self) -> float:
        offset = offset_of(self.estimator_)
        if offset is None:
            raise ValueError(
                f"{type(self.estimator_).__name__} has no threshold (offset_), so it "
                "raises no alarms: put it, in a TunedThresholdDetector that is fitted "
                "with labels, into a FrozenEstimator."
            )
        return offset

    def _learn(self, X: Any, y: np.ndarray, generator: np.random.RandomState) -> None:
        """Train the classifier, and find the response at which alarms stand."""
        classifier = self._classifier(generator.randint(np.iinfo(np.int32).max))
        scores = check_scores(self.estimator_.score_samples(X))
        features = _features(self.estimator_, X, scores)
        self.classifier_ = clone(classifier).fit(features, y)
        self.classifier_threshold_ = None
        if self.max_recall_loss is not None:
            true_alarms = (y == -1) & (scores < self.offset_)
            self.classifier_threshold_ = self._response_to_reach(
                classifier, features, y, true_alarms
            )

    def _classifier(self, seed: int | None = None) -> Any:
        if self.classifier is None:
            return ExtraTreesClassifier(random_state=seed)
        return self.classifier

    def _response_to_reach(
        self, classifier: Any, features: Any, y: np.ndarray, true_alarms: np.ndarray
    ) -> float:
        if not true_alarms.any():
            warnings.warn(
                f"The detector flags none of the {(y == -1).sum()} labelled outliers, "
                "so nothing tells which alarms are true: none is dismissed.",
                stacklevel=5,
            )
            return -np.inf
        rarest = np.unique(y, return_counts=True)[1].min()
        method = _response_method(classifier)
        responses = cross_val_predict(
            clone(classifier), features, y, cv=min(5, rarest), method=method
        )
        known = np.sort(_of_outlier(responses)[true_alarms])
        share: Any = self.max_recall_loss
        return float(known[int(share * len(known))])

    def score_samples(self, X: MatrixLike) -> NDArray[np.float64]:
        """Score rows by the detector, those dismissed by its threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        ndarray of shape (n_samples,)
            Float64 scores; higher means more normal.
        """
        check_is_fitted(self)
        (X,) = indexable(X)
        scores = np.array(check_scores(self.estimator_.score_samples(X)))
        alarms = np.flatnonzero(scores < self.offset_)
        if len(alarms):
            rows = _safe_indexing(X, alarms)
            features = _features(self.estimator_, rows, scores[alarms])
            scores[alarms[self._dismisses(features)]] = self.offset_
        return scores

    def _dismisses(self, features: Any) -> np.ndarray:
        if self.classifier_threshold_ is None:
            return self.classifier_.predict(features) == 1
        respond = getattr(self.classifier_, _response_method(self.classifier_))
        return _of_outlier(respond(features)) < self.classifier_threshold_

    def get_metadata_routing(self) -> MetadataRouter:
        """Metadata that the detector asks for.

        Returns
        -------
        MetadataRouter
            Passes metadata of ``fit`` on.
        """
        return MetadataRouter(owner=self).add(
            estimator=self.estimator,
            method_mapping=MethodMapping().add(caller="fit", callee="fit"),
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        accepted = get_tags(self._classifier()).input_tags
        tags.input_tags.sparse &= accepted.sparse
        tags.input_tags.allow_nan &= accepted.allow_nan
        tags.target_tags.required = True
        return tags


def _features(estimator: Any, X: Any, scores: np.ndarray) -> Any:
    """Collect what the classifier sees: rows, codes, feature errors and scores."""
    transformers, detector = parts(estimator)
    X = entering(transformers, X)
    views = [
        np.asarray(getattr(detector, name)(X))
        for name in ("transform", "feature_errors")
        if hasattr(detector, name)
    ]
    # Scores of densities may be infinite.
    derived = np.clip(np.hstack([*views, scores[:, None]]), -LARGEST, LARGEST)
    if sparse.issparse(X):
        X = X.copy()
        X.data = np.clip(X.data, -LARGEST, LARGEST)
        return sparse.hstack([X, sparse.csr_array(derived)], format="csr")
    rows = np.clip(check_array(X, ensure_all_finite=False), -LARGEST, LARGEST)
    return np.hstack([rows, derived])


def _response_method(classifier: Any) -> str:
    for name in ("predict_proba", "decision_function"):
        if hasattr(classifier, name):
            return name
    raise TypeError(
        f"The 'classifier' parameter of {OWNER} must have predict_proba or "
        f"decision_function, unless max_recall_loss is None. Got {classifier!r} "
        "instead."
    )


def _of_outlier(responses: np.ndarray) -> np.ndarray:
    """Response for the outlier, which is the first of the two classes."""
    return responses[:, 0] if responses.ndim == 2 else -responses
