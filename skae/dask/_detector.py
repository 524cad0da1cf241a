"""The detector for Dask collections."""

import inspect
import re
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from skae import AutoencoderOutlierDetector
from skae._callbacks import CallbackSupportMixin, with_callbacks
from skae._ranges import Int, OrAuto
from skae._validation import check_range, refused
from skae.dask import _partitions


class DaskAutoencoderOutlierDetector(CallbackSupportMixin, OutlierMixin, BaseEstimator):
    """Autoencoder for tables that are spread over a Dask cluster.

    Partitions stay with the workers. In each round every partition trains some steps
    from common weights, and what it makes of them is averaged by rows: local SGD
    [1]_, also known as federated averaging [2]_. Rounds depend on the seed and the
    partitions alone, so what is lost with a worker is computed again, and the result is
    the same to the last bit. Rows of all partitions, at most some 20,000 of those that
    train and of those held out, are gathered for statistics; the threshold rests on
    scores of rows held out in all partitions. A table of one partition, or of so few
    rows that none are held out (200), is fitted by one worker as
    :class:`skae.AutoencoderOutlierDetector` does it, with the same bits.

    Where partitions are computed from files, that happens in each round: ``persist``
    what fits into the memory of the workers. An epoch is a round in ``history_``,
    ``n_iter_`` and ``n_iter_no_change``, and ``warm_start`` is refused.

    Parameters
    ----------
    local_steps : int or "auto", default="auto"
        Steps that the largest partition trains in each round, others in proportion to
        their rows. "auto": an epoch, but at least 50 steps (or 8 epochs) and at most
        200: more steps lose detection, above all where partitions differ.
    client : distributed.Client, default=None
        Where to compute. None: Dask's own choice, which is the current client if there
        is one. It is no parameter: clones use the default.
    {parameters}

    Attributes
    ----------
    offset_, history_, n_iter_, ...
        As of :class:`skae.AutoencoderOutlierDetector`.

    References
    ----------
    .. [1] S. U. Stich, "Local SGD converges fast and communicates little", ICLR 2019.
    .. [2] H. B. McMahan et al., "Communication-efficient learning of deep networks from
       decentralized data", AISTATS 2017.

    Examples
    --------
    >>> import dask.array as da
    >>> from skae.dask import DaskAutoencoderOutlierDetector
    >>> X = da.random.default_rng(0).normal(size=(2000, 3), chunks=(500, 3))
    >>> detector = DaskAutoencoderOutlierDetector(max_iter=5, random_state=0).fit(X)
    >>> labels = detector.predict(X)
    >>> type(labels), labels.shape
    (<class 'dask.array.core.Array'>, (2000,))
    >>> detector.to_local().predict([[0, 0, 0], [9, 9, 9]])
    array([ 1, -1])
    """

    _ranges: ClassVar[dict[str, OrAuto]] = {"local_steps": OrAuto(Int("[1, inf)"))}

    def __init__(
        self, *, local_steps: int | str = "auto", client: Any = None, **parameters: Any
    ) -> None:
        self.local_steps = local_steps
        self.client = client
        local = AutoencoderOutlierDetector(**parameters)
        for name, value in local.get_params(deep=False).items():
            setattr(self, name, value)

    @classmethod
    def _get_param_names(cls) -> list[str]:
        names: list[str] = AutoencoderOutlierDetector._get_param_names()
        return sorted([*names, "local_steps"])

    @with_callbacks
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train on the partitions and set the threshold.

        Parameters
        ----------
        X : Dask array or data frame of shape (n_samples, n_features)
            Training rows. Partitions may be empty and of unknown lengths.
        y : Ignored
            Present for consistency.
        sample_weight : Dask array or series of shape (n_samples,), default=None
            Weights >= 0 of the rows, in partitions as those of ``X``.

        Returns
        -------
        DaskAutoencoderOutlierDetector
            The fitted detector itself.

        Raises
        ------
        TypeError
            If X is no Dask collection, or ``client`` no client.
        ValueError
            If a parameter is out of range, or partitions have different columns.
        RuntimeError
            If a worker has another version of skae, jax, jaxlib or numpy; also when
            lazy results are computed.
        """
        from skae.dask import _fit

        owner = type(self).__name__
        if self.warm_start:
            raise refused("warm_start", "False on Dask collections", True, owner)
        check_range("local_steps", self.local_steps, self._ranges["local_steps"], owner)
        if not (self.client is None or hasattr(self.client, "compute")):
            raise TypeError(
                f"client must be a distributed.Client or None. Got {self.client!r}."
            )
        steps = None if self.local_steps == "auto" else int(self.local_steps)
        parts = _partitions.partitions_of(X)
        weights: list[Any] = [None] * len(parts)
        if sample_weight is not None:
            weights = _partitions.partitions_of(sample_weight, "sample_weight", 1)
            if len(weights) != len(parts):
                raise ValueError(
                    f"sample_weight must have the {len(parts)} partitions of X. Got "
                    f"{len(weights)}."
                )
        local = self._unfitted()
        partitions = _fit.Partitions(parts, weights, self.client)
        reported = {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
        with local._on_device():
            fitted = _fit.fit(self, local, partitions, steps, reported)
        names = set(self.get_params(deep=False))
        self.__dict__.update({k: v for k, v in fitted.items() if k not in names})
        return self

    def _unfitted(self) -> AutoencoderOutlierDetector:
        names = AutoencoderOutlierDetector._get_param_names()
        return AutoencoderOutlierDetector(
            **{name: getattr(self, name) for name in names}
        )

    def to_local(self) -> AutoencoderOutlierDetector:
        """Return an ordinary detector, whose scores are the same bits.

        Returns
        -------
        AutoencoderOutlierDetector
            Fitted: to be saved, pickled, explained, and used where Dask is not.
        """
        check_is_fitted(self)
        local = self._unfitted()
        names = set(self.get_params(deep=False)) | {"client", "local_steps"}
        fitted = {k: v for k, v in vars(self).items() if k not in names}
        local.__dict__.update(
            {k: v for k, v in fitted.items() if not k.startswith("_skl")}
        )
        return local

    def score_samples(self, X: Any) -> Any:
        """Score rows; higher means more normal.

        Parameters
        ----------
        X : Dask array or data frame of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        Dask array or series of shape (n_samples,)
            Lazy float64 scores.
        """
        return _partitions.mapped(X, self.to_local().score_samples, np.float64)

    def decision_function(self, X: Any) -> Any:
        """Score rows relative to the threshold; negative means outlier.

        Parameters
        ----------
        X : Dask array or data frame of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        Dask array or series of shape (n_samples,)
            Lazy ``score_samples(X) - offset_``.
        """
        return _partitions.mapped(X, self.to_local().decision_function, np.float64)

    def predict(self, X: Any) -> Any:
        """Label rows.

        Parameters
        ----------
        X : Dask array or data frame of shape (n_samples, n_features)
            Rows to label.

        Returns
        -------
        Dask array or series of shape (n_samples,)
            Lazy: +1 for inliers, -1 for outliers.
        """
        return _partitions.mapped(X, self.to_local().predict, np.int64)

    def p_values(self, X: Any) -> Any:
        """Conformal p-values: the rarer a score among normal rows, the smaller.

        Parameters
        ----------
        X : Dask array or data frame of shape (n_samples, n_features)
            Rows to test.

        Returns
        -------
        Dask array or series of shape (n_samples,)
            Lazy, in (0, 1].
        """
        return _partitions.mapped(X, self.to_local().p_values, np.float64)

    def feature_errors(self, X: Any, *, normalize: bool = False) -> Any:
        """Squared residual of each cell.

        Parameters
        ----------
        X : Dask array or data frame of shape (n_samples, n_features)
            Rows to explain.
        normalize : bool, default=False
            Divide by the mean of the training rows.

        Returns
        -------
        Dask array or data frame of shape (n_samples, n_features)
            Lazy errors.
        """
        local = self.to_local()
        names = getattr(local, "feature_names_in_", None)
        if names is None:
            names = [f"x{i}" for i in range(local.n_features_in_)]
        return _partitions.mapped(
            X, _Errors(local, normalize=normalize), np.float64, list(names)
        )


class _Errors:
    """Errors of rows, as a function that can be sent to workers."""

    def __init__(self, local: AutoencoderOutlierDetector, *, normalize: bool) -> None:
        self.local, self.normalize = local, normalize

    def __call__(self, X: Any) -> Any:
        return self.local.feature_errors(X, normalize=self.normalize)


def _complete(owner: Any) -> None:
    """Give the class a signature and a docstring with all parameters by name."""
    own = inspect.signature(owner.__init__).parameters
    theirs = inspect.signature(AutoencoderOutlierDetector).parameters
    kept = [own["local_steps"], own["client"]]
    owner.__signature__ = inspect.Signature([*kept, *theirs.values()])
    doc = AutoencoderOutlierDetector.__doc__ or ""
    lines = doc.partition("Parameters\n    ----------\n")[2]
    lines = lines.partition("\n\n    Attributes\n")[0].strip()
    # Its references have other numbers.
    lines = re.sub(r"\s*\[\d+\]_", "", lines)
    owner.__doc__ = (owner.__doc__ or "").replace("{parameters}", lines)


_complete(DaskAutoencoderOutlierDetector)
