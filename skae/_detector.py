"""The estimator: parameters, validation, and a thin shell around the core."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OutlierMixin,
    TransformerMixin,
)
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skae import thresholds
from skae._available import only_if
from skae._callbacks import CallbackSupportMixin, with_callbacks
from skae._frames import like_frame
from skae._html import ParameterHelpMixin
from skae._ranges import (
    Anything,
    Flag,
    Float,
    Int,
    OneOf,
    OrAuto,
    OrNone,
    OrPair,
    Ranges,
    Registered,
    StrOrNone,
    TupleOf,
)
from skae._ranking import name_features
from skae._types import MatrixLike, RandomState
from skae._validation import (
    check_observed,
    check_range,
    check_sample_weight,
    generator_of,
    worded,
)

if TYPE_CHECKING:
    from skae.core.model import Model


def _check_prior(detector: Any) -> None:
    """Refuse to sample where codes have no prior to draw from."""
    from skae.core.bottlenecks import BOTTLENECKS

    fitted = getattr(detector, "architecture_", {})
    bottleneck = fitted.get("bottleneck", detector.bottleneck)
    generative = [name for name, kind in BOTTLENECKS.items() if kind.has_prior]
    if bottleneck not in generative:
        raise AttributeError(
            "sample needs codes with a prior: 'bottleneck' must be "
            f"{' or '.join(map(repr, generative))}. Got {bottleneck!r}."
        )


def _check_trim(detector: Any) -> None:
    """Refuse ``partial_fit`` where rows are trimmed: that takes all rows to tell."""
    if detector.trim not in (0, "auto"):
        raise AttributeError(
            "partial_fit does not trim, since a batch does not tell what is normal: "
            f"'trim' must be 'auto' or 0. Got {detector.trim!r}."
        )


class AutoencoderOutlierDetector(
    ParameterHelpMixin,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    OutlierMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Outlier detection with a denoising autoencoder.

    A neural network learns to restore training rows from noisy copies of them. Rows
    are outliers if it restores them badly, if no training row is nearby, if few random
    ones are, or if values are rare in their columns; how much each counts was learnt
    on many public tables. Training and scoring are compiled by JAX, once per
    architecture.

    The rows should be standardised first: put a
    :class:`~sklearn.preprocessing.StandardScaler` in front.

    Parameters
    ----------
    network : {"conv", "dense", "recurrent"} or callable, default="dense"
        Layers of encoder and decoder. "dense": fully connected. "conv": each hidden
        layer of the encoder convolves with windows of 3 and halves the sides of its
        input, and those of the decoder double them. "recurrent" [8]_: gated recurrent
        units read a sequence into a code, which further ones get at every step of the
        output. A callable gets ``n_features`` and a ``flax.nnx.Rngs`` and returns a
        ``flax.nnx.Module`` with ``encode`` and ``decode``, whose state is ``nnx.Param``
        and that of ``nnx.Dropout`` alone; it must be defined at the top level of a
        module, and sizes, activations and ``dropout`` are its own affair.
    input_shape : tuple of int or None, default=None
        Shape of a row: (length, channels) of a sequence, or (height, width, channels)
        of an image with "conv", in C order. None is (n_features, 1). Dense networks do
        not look at it.
    hidden_layer_sizes : tuple of int, default=(256,)
        Widths of the encoder's hidden layers, each at least 1: units, or channels with
        "conv". May be empty, but not with "recurrent".
    latent_dim : int, default=128
        Width of the code. It may exceed the number of features: the corruption keeps
        the network from learning the identity, and wide codes detect best.
    decoder_layer_sizes : tuple of int or None, default=None
        Widths of the decoder's hidden layers. None mirrors the encoder. As many as the
        encoder's with "conv".
    activation : {"elu", "gelu", "identity", "leaky_relu", "relu", "sigmoid", "silu", \
            "softplus", "tanh"}, default="gelu"
        Activation of hidden layers and code; of the code alone with "recurrent".
    output_activation : str, default="identity"
        Activation of the output, from the same list.
    dropout : float, default=0.0
        Share of hidden units dropped in training, in [0, 1).
    bottleneck : {"adversarial", "plain", "variational"}, default="plain"
        What the code is. "plain": the output of the encoder. "variational" [6]_: a
        Gaussian of each row, from which training draws codes and whose mean stands for
        the code everywhere else, so that scores do not vary. The decoder learns the
        variance of its noise; the loss is minus the evidence's lower bound for each
        feature, without the constant ``log(2 pi) / 2``, and needs
        ``loss="squared_error"``. "adversarial" [7]_: codes that a discriminator, which
        is trained at the same time, by Adam at three times the learning rate but not
        above 0.01, cannot tell from draws of a standard Gaussian.
        Both make ``sample`` available, and codes without an activation.
    beta : float, default=1.0
        Weight, above 0, of what pulls codes to a standard Gaussian: of the divergence
        with a variational bottleneck, of the encoder's deception of the discriminator
        with an adversarial one. It rises from 0 in the first quarter of the training,
        or of the first batch of ``partial_fit``; early stopping waits for that.
    corruption : {"gaussian", "masking", "salt_and_pepper", "swap"} or None, \
            default="gaussian"
        What happens to the input while training; the target stays clean [1]_.
        "gaussian" adds noise. The others replace cells: by the mean of their feature
        ("masking"), by its lowest or highest value ("salt_and_pepper"), by its value
        in another row of the batch ("swap").
    corruption_scale : float or (float, float), default=(0.05, 1.0)
        Standard deviation of gaussian noise, in training standard deviations of each
        feature; share of cells to replace, at most 1, otherwise. A pair draws one
        scale per row, log-uniform between the two.
    loss : {"absolute_error", "binary_cross_entropy", "correntropy", "huber", \
            "squared_error"}, default="squared_error"
        Reconstruction loss, averaged over features. "correntropy" is
        ``1 - exp(-residual ** 2 / 2)``, to which gross outliers hardly matter [3]_.
        "binary_cross_entropy" needs values in [0, 1] and
        ``output_activation="sigmoid"``. Scores measure squared residuals in any case.
    alpha : float, default=0.0
        Strength of the L2 penalty on weights: ``alpha * sum(kernel ** 2)``.
    l1_weights : float, default=0.0
        Strength of the L1 penalty on weights: ``l1_weights * sum(abs(kernel))``.
    l1_activity : float, default=0.0
        Strength of the L1 penalty on the code, summed over units and averaged over
        rows. It makes codes sparse.
    l2_activity : float, default=0.0
        Strength of the L2 penalty on the code, the sum of squares over units averaged
        over rows.
    sparsity : float, default=0.0
        Strength of the divergence ``KL(sparsity_target || mean activation)`` [4]_,
        summed over units of the code, with means over the batch. Needs
        ``activation="sigmoid"``.
    sparsity_target : float, default=0.05
        Mean activation, in (0, 1), that ``sparsity`` pulls each unit to.
    contraction : float, default=0.0
        Strength of the penalty on the squared Frobenius norm of the encoder's
        Jacobian, averaged over rows [5]_. It is exact if the code or the rows are at
        most 8 wide, and estimated by one random projection for each row otherwise.
    missing : {"error", "mask"}, default="error"
        What NaN means. "error" refuses it. With "mask" it is a missing cell: loss,
        statistics and scores are those of the observed cells, in training and
        scoring, and each row needs one of them. The network sees the mean of the
        feature in place of a missing cell. A row without missing cells has the score
        that it has with "error".
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adamw"
        "sgd" has Nesterov momentum 0.9. A callable gets the learning rate and returns
        an optax transformation; it must be defined at the top level of a module.
    weight_decay : float, default=1e-5
        Decoupled weight decay. Only used with ``optimizer="adamw"``.
    learning_rate : float, default=2e-3
        Initial learning rate.
    learning_rate_schedule : {"constant", "cosine"}, default="cosine"
        "cosine" decays to zero over ``max_iter`` epochs.
    batch_size : int, default=128
        Rows in a batch, at most; rows are dealt into batches of nearly equal size.
    max_iter : int or "auto", default="auto"
        Epochs. "auto": 30, but at least as many as make 1,000 steps and at most as
        many as make 4,000, and never more than 100.
    early_stopping : bool, default=False
        Whether to stop when the loss of the held-out rows stops falling, and to
        restore the best weights. Where no rows are held out the training loss counts.
    validation_fraction : float, default=0.1
        Share of the rows held out, in [0, 1). They never touch weights or
        statistics; they serve early stopping, the "auto" threshold and p-values.
        If that makes fewer than 20 rows, none are held out: five further networks
        that each leave out a fifth of the rows then score them for the threshold.
        With 0, training scores calibrate.
    n_iter_no_change : int, default=10
        Epochs without improvement that end the training with ``early_stopping``.
    tol : float, default=1e-4
        Smallest fall of the loss that counts as improvement.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the previous call.
    n_estimators : int, default=1
        Networks that differ in their random numbers. Scores and reconstructions are
        averaged.
    anomaly_score : {"cells", "columns", "combined", "elbo", "joint", "latent", \
            "learned", "mahalanobis", "nearest", "reconstruction", "subsets"}, \
            default="learned"
        What makes a row abnormal. "reconstruction": the mean squared residual.
        "nearest": the mean squared distance to the nearest of up to 4,096 training
        rows that are remembered. "mahalanobis": the squared Mahalanobis distance from
        the 55 % of the training rows that are most alike [2]_. "columns": the mean of
        ``-log(share)`` over columns, with the share of training rows in the same cell
        of a histogram of 30 [9]_. "subsets": the geometric mean of the squared
        distances to the nearest of 16 random training rows, over 50 choices of them
        [10]_, with each column mapped to a standard Gaussian. "learned": these five
        as logarithms, less the median over rows that do not train and in units of their
        spread there; then the weighted sum of powers of what is above the middle, with
        weights learnt on public tables, others where ``contamination`` is a number.
        "cells": the same, with three times the square of what "reconstruction" is above
        two units added to the sum, so that rows with a wrong cell come first; meant for
        rows that train themselves, with a small ``trim``.
        "combined": the soft maximum of "reconstruction" and "nearest", averaged, and
        of "mahalanobis", each as a logarithm in units of its spread over training rows.
        "joint": the squared Mahalanobis distance of residual and code together, divided
        by their number, which is a Gaussian likelihood with full covariance. "latent":
        that of the code alone.
        "elbo", with a variational bottleneck only: minus the evidence's lower bound
        for each feature, with the mean code and without constants.
    contamination : float or "auto", default="auto"
        Share of outliers among the training rows, in (0, 0.5]. A number says that
        outliers are there: exactly this share is flagged, ``trim="auto"`` leaves rows
        out, and "learned" takes the weights for such rows. "auto" says that training
        rows are believed normal: the threshold flags 5 % of the rows held out.
    trim : float or "auto", default="auto"
        Share of the training rows suspected as outliers and left out of training and
        statistics, in [0, 0.5): those farthest, in Mahalanobis distance, from the
        others [2]_. The threshold still sees them. "auto": 0 with
        ``contamination="auto"``, else twice ``contamination``, but at most 0.1 more
        than it and at most 0.45. On clean rows trimming costs detection.
        ``partial_fit`` takes "auto" for 0.
    random_state : int, RandomState instance or None, default=None
        Seed of weights, batches, noise and held-out rows. None takes fresh entropy
        and leaves NumPy's global generator alone.
    verbose : int, default=0
        1 prints about ten lines of progress, 2 one for each epoch.
    device : str or None, default=None
        Platform to compute on, such as "cpu" or "gpu". None: JAX's default.

    Attributes
    ----------
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    weights_ : dict of str to ndarray
        Weights by layer; the first axis counts the networks. Arrays become read-only
        when rows are scored; others may take their place.
    statistics_ : dict of str to ndarray
        What scoring needs beside the weights. The first axis counts the networks, or
        is 1 for what they share.
    architecture_ : dict
        Network, sizes, activations and bottleneck that the weights belong to.
    fitted_score_ : str
        The anomaly score that ``statistics_`` and ``offset_`` belong to.
    calibration_scores_ : ndarray
        Sorted scores behind ``p_values``, at most 10,000.
    history_ : dict of str to list of float
        "loss", "validation_loss" (empty if no rows are held out, NaN for single
        epochs without) and "epoch_seconds" for each epoch of the first network, at
        most the latest 10,000. Losses are taken under the corruption; the validation
        loss without penalties and dropout.
    n_iter_ : int
        Epochs in ``history_``.
    n_parameters_ : int
        Weights and biases of all networks.
    n_features_in_ : int
        Columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Names of the columns, where ``fit`` saw a data frame.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Outliers are isolated by few random splits.
    sklearn.neighbors.LocalOutlierFactor : Outliers have sparse neighbourhoods.

    Notes
    -----
    Rows outside the smallest ball around the training mean (in standard deviations)
    that holds the training rows (of many, a sample) are projected onto it before they
    enter the network; their displacement is added to residuals and energies. Inside,
    the "reconstruction" score of a single network is minus the mean of
    ``(X - reconstruct(X)) ** 2``. Outside, scores keep falling with the distance.

    With the same ``random_state`` and data, results are equal to the last bit on one
    machine, device and set of versions.

    References
    ----------
    .. [1] Vincent, P., Larochelle, H., Bengio, Y., Manzagol, P.-A. (2008). Extracting
       and composing robust features with denoising autoencoders. ICML.
       https://doi.org/10.1145/1390156.1390294
    .. [2] Rousseeuw, P. J., Van Driessen, K. (1999). A fast algorithm for the minimum
       covariance determinant estimator. Technometrics 41.
       https://doi.org/10.1080/00401706.1999.10485670
    .. [3] Liu, W., Pokharel, P., Principe, J. (2007). Correntropy: properties and
       applications in non-Gaussian signal processing. IEEE Transactions on Signal
       Processing 55. https://doi.org/10.1109/TSP.2007.896065
    .. [4] Ng, A. (2011). Sparse autoencoder. CS294A lecture notes, Stanford.
    .. [5] Rifai, S., Vincent, P., Muller, X., Glorot, X., Bengio, Y. (2011).
       Contractive auto-encoders: explicit invariance during feature extraction. ICML.
    .. [6] Kingma, D. P., Welling, M. (2014). Auto-encoding variational Bayes. ICLR.
       https://arxiv.org/abs/1312.6114
    .. [7] Makhzani, A., Shlens, J., Jaitly, N., Goodfellow, I., Frey, B. (2016).
       Adversarial autoencoders. ICLR workshop. https://arxiv.org/abs/1511.05644
    .. [8] Srivastava, N., Mansimov, E., Salakhutdinov, R. (2015). Unsupervised
       learning of video representations using LSTMs. ICML.
       https://arxiv.org/abs/1502.04681
    .. [9] Goldstein, M., Dengel, A. (2012). Histogram-based outlier score (HBOS): a
       fast unsupervised anomaly detection algorithm. KI-2012.
    .. [10] Sugiyama, M., Borgwardt, K. (2013). Rapid distance-based outlier detection
       via sampling. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import AutoencoderOutlierDetector
    >>> X = np.random.default_rng(0).normal(size=(300, 4))
    >>> detector = make_pipeline(
    ...     StandardScaler(), AutoencoderOutlierDetector(random_state=0)
    ... ).fit(X)
    >>> detector.predict([[0, 0, 0, 0], [9, -9, 9, -9]])
    array([ 1, -1])
    """

    _ranges: ClassVar[Ranges] = {
        "network": Registered(or_callable=True),
        "input_shape": OrNone(TupleOf(Int("[1, inf)"))),
        "hidden_layer_sizes": TupleOf(Int("[1, inf)")),
        "latent_dim": Int("[1, inf)"),
        "decoder_layer_sizes": OrNone(TupleOf(Int("[1, inf)"))),
        "activation": Registered(),
        "output_activation": Registered(),
        "dropout": Float("[0, 1)"),
        "bottleneck": Registered(),
        "beta": Float("(0, inf)"),
        "corruption": Registered(or_none=True),
        "corruption_scale": OrPair(Float("(0, inf)")),
        "loss": Registered(),
        "alpha": Float("[0, inf)"),
        "l1_weights": Float("[0, inf)"),
        "l1_activity": Float("[0, inf)"),
        "l2_activity": Float("[0, inf)"),
        "sparsity": Float("[0, inf)"),
        "sparsity_target": Float("(0, 1)"),
        "contraction": Float("[0, inf)"),
        "missing": OneOf(("error", "mask")),
        "optimizer": Registered(or_callable=True),
        "weight_decay": Float("[0, inf)"),
        "learning_rate": Float("(0, inf)"),
        "learning_rate_schedule": Registered(),
        "batch_size": Int("[1, inf)"),
        "max_iter": OrAuto(Int("[1, inf)")),
        "early_stopping": Flag(),
        "validation_fraction": Float("[0, 1)"),
        "n_iter_no_change": Int("[1, inf)"),
        "tol": Float("[0, inf)"),
        "warm_start": Flag(),
        "n_estimators": Int("[1, inf)"),
        "anomaly_score": Registered(),
        "contamination": OrAuto(thresholds.CONTAMINATION),
        "trim": OrAuto(Float("[0, 0.5)")),
        "random_state": Anything(),
        "verbose": Int("[0, inf)", or_bool=True),
        "device": StrOrNone(),
    }

    def __init__(
        self,
        *,
        network: str | Callable[..., Any] = "dense",
        input_shape: Sequence[int] | None = None,
        hidden_layer_sizes: Sequence[int] = (256,),
        latent_dim: int = 128,
        decoder_layer_sizes: Sequence[int] | None = None,
        activation: str = "gelu",
        output_activation: str = "identity",
        dropout: float = 0.0,
        bottleneck: str = "plain",
        beta: float = 1.0,
        corruption: str | None = "gaussian",
        corruption_scale: float | tuple[float, float] = (0.05, 1.0),
        loss: str = "squared_error",
        alpha: float = 0.0,
        l1_weights: float = 0.0,
        l1_activity: float = 0.0,
        l2_activity: float = 0.0,
        sparsity: float = 0.0,
        sparsity_target: float = 0.05,
        contraction: float = 0.0,
        missing: Literal["error", "mask"] = "error",
        optimizer: str | Callable[..., Any] = "adamw",
        weight_decay: float = 1e-5,
        learning_rate: float = 2e-3,
        learning_rate_schedule: str = "cosine",
        batch_size: int = 128,
        max_iter: int | Literal["auto"] = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        warm_start: bool = False,
        n_estimators: int = 1,
        anomaly_score: str = "learned",
        contamination: float | Literal["auto"] = "auto",
        trim: float | Literal["auto"] = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
        device: str | None = None,
    ) -> None:
        self.network = network
        self.input_shape = input_shape
        self.hidden_layer_sizes = hidden_layer_sizes
        self.latent_dim = latent_dim
        self.decoder_layer_sizes = decoder_layer_sizes
        self.activation = activation
        self.output_activation = output_activation
        self.dropout = dropout
        self.bottleneck = bottleneck
        self.beta = beta
        self.corruption = corruption
        self.corruption_scale = corruption_scale
        self.loss = loss
        self.alpha = alpha
        self.l1_weights = l1_weights
        self.l1_activity = l1_activity
        self.l2_activity = l2_activity
        self.sparsity = sparsity
        self.sparsity_target = sparsity_target
        self.contraction = contraction
        self.missing = missing
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.n_estimators = n_estimators
        self.anomaly_score = anomaly_score
        self.contamination = contamination
        self.trim = trim
        self.random_state = random_state
        self.verbose = verbose
        self.device = device

    @with_callbacks
    def fit(
        self,
        X: MatrixLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        X_val: MatrixLike | None = None,
    ) -> Self:
        """Train the network and set the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, at least two. Sparse ones are made dense batch by batch.
        y : Ignored
            Present so that searches can pass labels; training never sees them.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows. Rows of weight 0 are left out.
        X_val : array-like of shape (n_validation, n_features), default=None
            Rows to hold out instead of a part of ``X``, at least 20 (fewer are not
            used, with a warning). A Pipeline passes them through the steps in front
            with ``transform_input=["X_val"]``, ``set_fit_request(X_val=True)`` and
            metadata routing enabled.

        Returns
        -------
        AutoencoderOutlierDetector
            The fitted detector itself.

        Raises
        ------
        ValueError
            If a parameter is unknown or out of range, or X has infinity, or NaN
            without ``missing="mask"``.
        """
        from skae import _fitting, _plan

        parameters = _plan.checked_parameters(self)
        data = self._validate(X, reset=True)
        weight = check_sample_weight(sample_weight, data)
        if X_val is not None:
            X_val = self._validate_held_out(X_val)
        metadata = {"sample_weight": sample_weight}
        reported = {"X": X, "y": y, "metadata": metadata}
        with self._on_device():
            plan = _plan.make_plan(parameters, data.shape[1])
            attributes = _fitting.fit(
                self, plan, data, weight, X_val, reported=reported
            )
        self.__dict__.update(attributes)
        return self

    @only_if(_check_trim)
    def partial_fit(
        self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train on from a batch of rows, in one pass. There unless ``trim`` is above 0.

        Statistics and threshold are measured anew from a random sample of the rows of
        all batches, at most 4,096 of those trained on and as many of those held out. A
        ``validation_fraction`` of the rows is held out, once 20 rows have been trained
        on. The learning rate is constant.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The batch: at least two rows in the first call, and at least 20 in the
            first call after ``fit``, whose rows are not kept.
        y : Ignored
            Present for consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows, relative to those of the same batch.

        Returns
        -------
        AutoencoderOutlierDetector
            The fitted detector itself.

        Raises
        ------
        ValueError
            If a parameter is out of range or a shape has changed.

        Examples
        --------
        >>> import numpy as np
        >>> from skae import AutoencoderOutlierDetector
        >>> rng = np.random.default_rng(0)
        >>> detector = AutoencoderOutlierDetector(random_state=0)
        >>> for _ in range(20):
        ...     detector = detector.partial_fit(rng.normal(size=(100, 3)))
        >>> detector.predict([[0, 0, 0], [9, 9, 9]])
        array([ 1, -1])
        """
        from skae import _plan, _streaming

        parameters = _plan.checked_parameters(self)
        data = self._validate(X, reset=not hasattr(self, "weights_"), min_rows=1)
        weight = check_sample_weight(sample_weight, data)
        with self._on_device():
            plan = _plan.make_plan(parameters, data.shape[1])
            attributes = _streaming.partial_fit(self, plan, data, weight)
        self.__dict__.update(attributes)
        return self

    def score_samples(self, X: MatrixLike) -> NDArray[np.float64]:
        """Score rows; higher means more normal.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        ndarray of shape (n_samples,)
            Float64 scores. A row's score is the same to the last bit alone, in any
            batch and in any order.
        """
        from skae.core import model

        fitted, X = self._model(), self._validate(X)
        with self._on_device():
            return model.score_rows(fitted, X)

    def decision_function(self, X: MatrixLike) -> NDArray[np.float64]:
        """Score rows relative to the threshold; negative means outlier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: MatrixLike) -> NDArray[np.int64]:
        """Label rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to label.

        Returns
        -------
        ndarray of shape (n_samples,)
            +1 for inliers (``decision_function >= 0``), -1 for outliers.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def score(self, X: MatrixLike, y: Any = None) -> float:
        """How well the network restores rows from noisy copies; higher is better.

        A figure of fit without labels, to compare architectures, losses and training
        parameters; ``anomaly_score`` and ``contamination`` hardly move it. It is minus
        the median over rows of the mean squared error, in training variances, with
        Gaussian noise of fixed size and seed on the rows.
        The identity network scores badly, and outliers among the rows hardly count.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, best those that training has not seen.
        y : Ignored
            Present so that searches can pass labels.

        Returns
        -------
        float
            At most 0.
        """
        from skae.core import model

        fitted, X = self._model(), self._validate(X)
        with self._on_device():
            return model.denoising_score(fitted, X)

    def transform(self, X: MatrixLike) -> Any:
        """Code of each row, by the first network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to encode.

        Returns
        -------
        ndarray of shape (n_samples, latent_dim)
            Codes.
        """
        from skae.core import model

        fitted, X = self._model(), self._validate(X)
        with self._on_device():
            return model.codes(fitted, X).astype(X.dtype)

    def inverse_transform(self, Z: ArrayLike) -> NDArray[np.float64]:
        """Decode codes into rows, by the first network.

        Parameters
        ----------
        Z : array-like of shape (n_samples, latent_dim)
            Codes.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Decoded rows.
        """
        from skae.core import model

        fitted = self._model()
        codes = check_array(Z, dtype=[np.float64, np.float32], input_name="Z")
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"Z must have {self._n_features_out} columns, one for each unit of the "
                f"code. Got {codes.shape[1]}."
            )
        with self._on_device():
            return model.decode(fitted, Z)

    @only_if(_check_prior)
    def sample(
        self, n_samples: int = 1, random_state: RandomState = None
    ) -> NDArray[np.float64]:
        """Draw new rows. Only there with a variational or adversarial bottleneck.

        The first network decodes draws from a standard Gaussian. A variational decoder
        adds its noise. Samples are like the training rows where these are standardised,
        the code is narrow and nothing else disturbs the training: take
        ``corruption=None`` and few columns of ``latent_dim``.

        Parameters
        ----------
        n_samples : int, default=1
            Rows to draw, at least 1.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. None takes fresh entropy.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Rows, in the units of the training rows.

        Examples
        --------
        >>> import numpy as np
        >>> from skae import AutoencoderOutlierDetector
        >>> X = np.random.default_rng(0).normal(size=(1000, 3))
        >>> X[:, 2] = (X[:, 0] + X[:, 1]) / np.sqrt(2)
        >>> detector = AutoencoderOutlierDetector(
        ...     bottleneck="variational", latent_dim=2, corruption=None, random_state=0
        ... ).fit(X)
        >>> rows = detector.sample(5000, random_state=0)
        >>> bool(np.abs(np.cov(rows.T) - np.cov(X.T)).max() < 0.25)
        True
        """
        from skae.core import model

        fitted = self._model()
        check_range("n_samples", n_samples, Int("[1, inf)"), type(self).__name__)
        with self._on_device():
            return model.sample(fitted, int(n_samples), generator_of(random_state))

    def reconstruct(self, X: MatrixLike) -> NDArray[np.float64]:
        """Output of the network for each row, averaged over the networks.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to reconstruct.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Reconstructions, in the units of ``X``, for missing cells too: they are
            filled by ``np.where(np.isnan(X), detector.reconstruct(X), X)``.
        """
        from skae.core import model

        fitted, X = self._model(), self._validate(X)
        with self._on_device():
            return model.reconstruct(fitted, X)

    def feature_errors(self, X: MatrixLike, normalize: bool = True) -> Any:
        """How much each feature contributes to the reconstruction error.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to examine.
        normalize : bool, default=True
            Whether to divide by the feature's mean error on training rows, so that 1
            is usual. False gives squared residuals in squared units of ``X``; their
            mean over features is minus the "reconstruction" score.

        Returns
        -------
        {ndarray, DataFrame} of shape (n_samples, n_features)
            Errors >= 0, NaN in missing cells; a data frame of the same kind with the
            same names where ``X`` is one.
        """
        return like_frame(self._feature_errors(X, normalize=bool(normalize)), X)

    def explain(
        self, X: MatrixLike, n_features: int = 5
    ) -> list[list[tuple[str, float]]]:
        """Name the features that make the score of each row, the worst first.

        What each feature adds to each view of the row that the score in use has: its
        squared residual in units of the usual one, its squared difference to the
        nearest remembered row, how rare its value is. A score of one view, such as
        "reconstruction", gives these; one of several the weighted sum of
        ``log(1 + part)``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to explain.
        n_features : int, default=5
            Features to name for each row, at most all.

        Returns
        -------
        list of list of (str, float)
            For each row, names and parts of the score, at least 0. Missing cells are
            not named.

        See Also
        --------
        skae.inspection.explain : The same for the columns that enter a Pipeline.
        """
        check_range("n_features", n_features, Int("[1, inf)"), type(self).__name__)
        parts = self._explained(X)
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x{i}" for i in range(self.n_features_in_)]
        return name_features(parts, names, n_features)

    def p_values(self, X: MatrixLike) -> NDArray[np.float64]:
        """Conformal p-values: the rarer a score among normal rows, the smaller.

        Under the hypothesis that a row is drawn like the held-out rows,
        ``P(p <= a) <= a``. SciPy's ``false_discovery_control`` turns them into a
        selection with a bounded share of false discoveries. With fewer than 200 rows,
        where cross-fitting replaces held-out rows, the bound holds approximately.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to test.

        Returns
        -------
        ndarray of shape (n_samples,)
            In (0, 1], multiples of 1 / (number of calibration scores + 1).
        """
        scores = self.score_samples(X)
        return thresholds.conformal_p_values(scores, self.calibration_scores_)

    _calibrate_ranges: ClassVar[dict[str, Float]] = {
        "contamination": thresholds.CONTAMINATION,
        "false_positive_rate": thresholds.FALSE_POSITIVE_RATE,
        "threshold": Float("(-inf, inf)"),
    }

    def calibrate(
        self,
        X: MatrixLike | None = None,
        *,
        contamination: float | None = None,
        false_positive_rate: float | None = None,
        threshold: float | None = None,
    ) -> Self:
        """Move the threshold without training again.

        Exactly one of the three keywords must be given.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows to calibrate on; their scores then serve ``p_values`` too. None: the
            rows held out (or scored by cross-fitting) in ``fit``.
        contamination : float, default=None
            Share of these rows to flag, in (0, 0.5].
        false_positive_rate : float, default=None
            Bound in (0, 1) on the probability that a new normal row is flagged, given
            that the rows are normal and new to the detector. n rows allow bounds down
            to 1 / (n + 1).
        threshold : float, default=None
            Score below which a row is an outlier.

        Returns
        -------
        AutoencoderOutlierDetector
            The detector itself, with a new ``offset_``.
        """
        check_is_fitted(self)
        keywords = {
            "contamination": contamination,
            "false_positive_rate": false_positive_rate,
            "threshold": threshold,
        }
        given = [name for name, value in keywords.items() if value is not None]
        if len(given) != 1:
            raise ValueError(
                f"calibrate needs exactly one of {', '.join(keywords)}. "
                f"Got {', '.join(given) or 'none'}."
            )
        (name,) = given
        allowed = self._calibrate_ranges[name]
        check_range(name, keywords[name], allowed, type(self).__name__)
        scores = self.calibration_scores_ if X is None else self.score_samples(X)
        if contamination is not None:
            offset = thresholds.contamination_offset(scores, contamination)
        elif false_positive_rate is not None:
            offset = thresholds.conformal_offset(scores, false_positive_rate)
        else:
            offset = float(threshold)  # type: ignore[arg-type]
        self.offset_ = offset
        self.calibration_scores_: np.ndarray = thresholds.calibration_sample(scores)
        return self

    def summary(self) -> str:
        """Describe the layers of the fitted network.

        Returns
        -------
        str
            A line for each layer: name, output shape, number of parameters.
        """
        from skae.core import model

        table = model.layer_table(self._model())
        lines = [("layer", "output shape", "parameters")] + [
            (
                layer.name,
                str((None, *layer.shape)) if layer.shape else "",
                f"{layer.n_parameters:,}",
            )
            for layer in table
        ]
        wide = max(12, *(2 + len(name) for name, *_ in lines))
        text = "\n".join(f"{a:<{wide}}{b:<24}{c:>12}" for a, b, c in lines)
        return (
            f"{text}\ntotal: {self.n_parameters_:,} parameters in "
            f"{len(next(iter(self.weights_.values())))} network(s)"
        )

    def to_module(self) -> Any:
        """Return the first network as a Flax module, for fine-tuning and transfer.

        Returns
        -------
        flax.nnx.Module
            With ``encode``, which returns codes (a variational one means beside the
            logits of variances), and ``decode``; float32, with its own weights. It sees
            rows as they are: the detector first takes off ``statistics_["shift"]``,
            where columns far from zero have one, and pulls rows outside of the ball of
            the training rows onto it. A module of yours is as its ``eval()`` leaves
            it: call ``train()`` for dropout.

        Examples
        --------
        >>> import numpy as np
        >>> from skae import AutoencoderOutlierDetector
        >>> X = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
        >>> detector = AutoencoderOutlierDetector(latent_dim=2, max_iter=5).fit(X)
        >>> module = detector.to_module()
        >>> bool(np.allclose(module.encode(X), detector.transform(X), atol=1e-5))
        True
        """
        from skae.core import model

        fitted = self._model()
        with self._on_device():
            return model.to_module(fitted)

    @property
    def _n_features_out(self) -> int:
        return self.architecture_["latent_dim"]

    def _validate(
        self, X: Any, *, reset: bool = False, min_rows: int | None = None
    ) -> Any:
        if not reset and self._is_plain(X):
            return X
        masks = self.missing == "mask"
        try:
            # scikit-learn sums the cells, which may overflow in float32.
            with np.errstate(over="ignore", invalid="ignore"):
                X = validate_data(
                    self,
                    X,
                    reset=reset,
                    accept_sparse="csr",
                    dtype=[np.float64, np.float32],
                    ensure_all_finite="allow-nan" if masks else True,
                    ensure_min_samples=min_rows or (2 if reset else 1),
                )
        except ValueError as error:
            raise worded(error, X) from None
        if masks:
            check_observed(X)
        return X

    def _is_plain(self, X: Any) -> bool:
        """Whether scikit-learn has nothing to say of rows that are to be scored.

        To hear so from it takes as long as to score a row by a small network.
        """
        if type(X) is not np.ndarray or X.dtype not in (np.float64, np.float32):
            return False
        if self.missing == "mask" or hasattr(self, "feature_names_in_"):
            return False
        if X.ndim != 2 or X.shape[1] != self.n_features_in_ or not len(X):
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.isfinite(X.sum()))

    def _validate_held_out(self, X_val: Any) -> Any:
        try:
            return self._validate(X_val)
        except (TypeError, ValueError) as error:
            raise type(error)(f"X_val is refused. {error}") from None

    def _feature_errors(self, X: Any, *, normalize: bool) -> np.ndarray:
        from skae.core import model

        fitted, X = self._model(), self._validate(X)
        with self._on_device():
            return model.feature_errors(fitted, X, normalize=normalize)

    def _explained(self, X: Any) -> np.ndarray:
        """How much each feature makes of the scores of rows."""
        from skae.core import model

        fitted, X = self._model(), self._validate(X)
        with self._on_device():
            return model.explained(fitted, X)

    def _usual_errors(self) -> np.ndarray:
        """Mean squared residual of each feature on training rows."""
        from skae.core import usual

        return usual.errors(self.statistics_)

    def _usual_row(self) -> np.ndarray:
        """Mean of each feature on training rows."""
        from skae.core import usual

        return usual.row(self.statistics_)

    def _remembered_rows(self) -> np.ndarray | None:
        """Rows of the training that scores compare with; None where none do."""
        from skae.core import usual

        return usual.remembered(self.statistics_)

    def _model(self) -> "Model":
        """Fitted parts as the core takes them."""
        if not hasattr(self, "weights_"):
            check_is_fitted(self)
        from skae.core.kept import model_of

        return model_of(
            self,
            self.architecture_,
            self.weights_,
            self.statistics_,
            self.fitted_score_,
        )

    @contextmanager
    def _on_device(self) -> Iterator[None]:
        """Compute on the device asked for; what the core refuses is refused of us."""
        from skae._plan import naming
        from skae.core.devices import device_context

        with naming(self), device_context(self.device):
            yield

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.missing == "mask"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
