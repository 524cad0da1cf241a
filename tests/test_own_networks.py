"""Convolutional, recurrent and the user's own networks behind the estimator."""

import pickle
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from skae import AutoencoderOutlierDetector
from skae.io import load, save, to_onnx
from skae.testing import count_compilations
from tests.helpers import slow_but


class Skipping(nnx.Module):
    """Two layers with a skip connection inside the encoder, and dropout."""

    def __init__(self, n_features, rngs):
        self.first = nnx.Linear(n_features, 12, rngs=rngs)
        self.second = nnx.Linear(12, 12, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.to_code = nnx.Linear(12, 4, rngs=rngs)
        self.back = nnx.Linear(4, n_features, rngs=rngs)

    def encode(self, x):
        x = nnx.tanh(self.first(x))
        return self.to_code(self.dropout(x + nnx.tanh(self.second(x))))

    def decode(self, code):
        return self.back(code)


class Erasing(Skipping):
    def __init__(self, n_features, rngs):
        super().__init__(n_features, rngs)
        self.dropout = nnx.Dropout(0.9, rngs=rngs)


class Normalised(Skipping):
    def __init__(self, n_features, rngs):
        super().__init__(n_features, rngs)
        self.norm = nnx.BatchNorm(12, rngs=rngs)


class Narrow(Skipping):
    def decode(self, code):
        return self.back(code)[:, 1:]


class Flat(Skipping):
    def encode(self, x):
        return x.sum(axis=1)


class Clashing(Skipping):
    def __init__(self, n_features, rngs):
        super().__init__(n_features, rngs)
        self.noise = nnx.Linear(2, 2, rngs=rngs)


class Odd(Skipping):
    def encode(self, x):
        return super().encode(x)[:, :3]


class Halves(Skipping):
    """A code of 4 is mean and log variance of a code of 2."""

    def __init__(self, n_features, rngs):
        super().__init__(n_features, rngs)
        self.back = nnx.Linear(2, n_features, rngs=rngs)


class Streamless(Skipping):
    def __init__(self, n_features, rngs):
        super().__init__(n_features, rngs)
        self.dropout = nnx.Dropout(0.5)


class Half(Skipping):
    def __init__(self, n_features, rngs):
        super().__init__(n_features, rngs)
        self.back = nnx.Linear(4, n_features, param_dtype=jnp.float16, rngs=rngs)


class Empty(nnx.Module):
    def __init__(self, n_features, rngs):
        pass

    def encode(self, x):
        return x

    def decode(self, code):
        return code


def not_a_module(n_features, rngs):
    return None


def fails(n_features, rngs):
    raise RuntimeError("no such layer")


KINDS = [
    {"network": "conv", "hidden_layer_sizes": (3, 4)},
    {"network": "conv", "input_shape": (2, 3, 1), "hidden_layer_sizes": (3,)},
    {"network": "recurrent", "hidden_layer_sizes": (5,)},
    {"network": "recurrent", "input_shape": (3, 2), "dropout": 0.2},
    {"network": Skipping},
]


# One of them; the rest takes a minute.
QUICK = {("plain", 3)}


@pytest.mark.parametrize(
    ("kind", "bottleneck"),
    [
        pytest.param(
            kind,
            bottleneck,
            marks=[] if (bottleneck, number) in QUICK else pytest.mark.slow,
        )
        for bottleneck in ("plain", "variational", "adversarial")
        for number, kind in enumerate(KINDS)
    ],
)
def test_every_network_is_a_whole_detector(kind, bottleneck, blobs, small, tmp_path):
    rows, outliers = blobs
    if bottleneck == "variational" and kind["network"] is Skipping:
        kind = {"network": Halves}
    detector = small(bottleneck=bottleneck, max_iter=20, n_estimators=2, **kind)
    with count_compilations() as counts:
        detector.fit(rows)
    assert counts["train_chunk"] == 1
    with count_compilations() as counts:
        clone(detector).set_params(learning_rate=0.01).fit(rows[:250])
    assert not counts
    scores = detector.score_samples(outliers)
    assert (
        roc_auc_score(
            np.repeat([0, 1], [len(rows), 60]),
            -np.r_[detector.score_samples(rows), scores],
        )
        > 0.8
    )
    # To the last bit: alone, in a batch, from a pickle, from a file.
    np.testing.assert_array_equal(detector.score_samples(outliers[7:8]), scores[7:8])
    other = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(other.score_samples(outliers), scores)
    save(detector, tmp_path / "a")
    network = kind["network"]
    names = getattr(network, "__qualname__", None)
    callables = {f"{__name__}.{names}": network} if names else None
    other = load(tmp_path / "a", callables=callables)
    np.testing.assert_array_equal(other.score_samples(outliers), scores)
    other.set_params(warm_start=True).fit(rows)
    codes = detector.transform(rows)
    assert codes.shape == (300, other.architecture_["latent_dim"])
    assert detector.inverse_transform(codes).shape == rows.shape
    assert detector.get_feature_names_out().shape == (codes.shape[1],)
    counts = re.findall(r"([\d,]+)$", detector.summary().partition("total")[0], re.M)
    total = sum(int(count.replace(",", "")) for count in counts)
    assert 2 * total == detector.n_parameters_
    module = detector.set_params(n_estimators=1).to_module()
    encoded = np.asarray(module.encode(jnp.asarray(rows, jnp.float32)))
    np.testing.assert_allclose(
        encoded[:, : codes.shape[1]], codes, rtol=1e-3, atol=1e-4
    )
    assert nnx.state(module, nnx.Param)


@pytest.mark.parametrize("kind", slow_but((KINDS[4],), KINDS))
def test_other_parts_combine_with_every_network(kind, blobs, small):
    rows, outliers = blobs
    rows = rows.copy()
    rows[:40, 1] = np.nan
    detector = small(
        missing="mask",
        contraction=1e-3,
        alpha=1e-4,
        trim=0.1,
        anomaly_score="joint",
        early_stopping=True,
        **kind,
    ).fit(rows)
    assert np.isfinite(detector.score_samples(rows)).all()
    assert detector.history_["loss"][-1] < detector.history_["loss"][0]
    stream = small(**kind).partial_fit(outliers).partial_fit(outliers)
    assert np.isfinite(stream.score_samples(outliers)).all()
    if kind["network"] is not Skipping:
        name = re.escape(repr(kind["network"]))
        with pytest.raises(ValueError, match=f"network={name} cannot be exported"):
            to_onnx(small(**kind).fit(outliers), outliers)


def test_dropout_of_a_module_is_on_in_training_alone(blobs, small):
    rows, _ = blobs
    detector = small(network=Skipping, corruption=None, max_iter=3).fit(rows)
    np.testing.assert_array_equal(detector.transform(rows), detector.transform(rows))
    module = detector.to_module()
    x = jnp.asarray(rows, jnp.float32)
    np.testing.assert_array_equal(module.encode(x), module.encode(x))
    module.train()
    assert np.any(module.encode(x) != module.encode(x))

    # The loss of held-out rows is measured without dropout, that of training with it.
    strong = small(network=Erasing, corruption=None, max_iter=1).fit(rows)
    assert strong.history_["loss"][0] > 1.1 * strong.history_["validation_loss"][0]


@pytest.mark.parametrize(
    ("network", "bottleneck", "message"),
    [
        (Normalised, "plain", "'norm.mean', a BatchStat"),
        (Narrow, "plain", r"decode turns shape \(3, 4\) into \(3, 5\)"),
        (Flat, "plain", r"encode turns shape \(3, 6\) into \(3,\)"),
        (Clashing, "plain", "'noise.bias' is one that skae uses"),
        (Odd, "variational", "not 3 columns"),
        (Streamless, "plain", "Dropout"),
        (Half, "plain", "'back.bias' is of type float16"),
        (Empty, "plain", "it has no nnx.Param"),
        (not_a_module, "plain", "makes a flax.nnx module"),
        (fails, "plain", "no such layer"),
    ],
)
def test_modules_that_cannot_work_are_refused(
    network, bottleneck, message, blobs, small
):
    with pytest.raises(ValueError, match=message) as caught:
        small(network=network, bottleneck=bottleneck).fit(blobs[0])
    assert "'network' parameter" in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"network": "conv", "input_shape": (6,)}, "'input_shape'.*length, channels"),
        ({"network": "conv", "input_shape": (2, 2, 1)}, "'input_shape'.*columns, 6"),
        ({"network": "recurrent", "input_shape": (2, 3, 1)}, "'input_shape'.*length"),
        ({"network": "recurrent", "hidden_layer_sizes": ()}, "'hidden_layer_sizes'"),
        ({"network": "recurrent", "decoder_layer_sizes": ()}, "'decoder_layer_sizes'"),
        ({"network": "conv", "decoder_layer_sizes": (3, 3)}, "hold 1 sizes"),
        ({"network": Skipping, "dropout": 0.1}, "'dropout'.*nnx.Dropout"),
    ],
)
def test_shapes_that_make_no_sense_are_refused(values, message, blobs, small):
    with pytest.raises(ValueError, match=message):
        small(**values).fit(blobs[0])


def test_dense_networks_do_not_look_at_the_shape(blobs, small):
    rows, _ = blobs
    shaped = small(input_shape=(2, 3, 1)).fit(rows)
    np.testing.assert_array_equal(
        shaped.score_samples(rows), small().fit(rows).score_samples(rows)
    )


@pytest.mark.slow
def test_convolutions_restore_digits_and_sequences_are_learnt():
    X = load_digits().data / 16
    X = X + np.random.default_rng(0).normal(scale=0.02, size=X.shape)
    errors = {}
    for name, kind in (
        ("conv", {"input_shape": (8, 8, 1), "hidden_layer_sizes": (8, 16)}),
        ("recurrent", {"input_shape": (8, 8), "hidden_layer_sizes": (32,)}),
    ):
        detector = AutoencoderOutlierDetector(
            network=name, latent_dim=16, max_iter=40, random_state=0, **kind
        ).fit(X)
        errors[name] = np.square(X - detector.reconstruct(X)).mean()
    constant = X.var(axis=0).mean()
    assert errors["conv"] < 0.5 * constant
    assert errors["recurrent"] < 0.7 * constant


def test_a_fitted_encoder_is_tuned_further_by_flax(blobs, small):
    rows, _ = blobs
    detector = small(max_iter=20).fit(rows)
    before = {name: value.copy() for name, value in detector.weights_.items()}
    module = detector.to_module()
    x = jnp.asarray(rows, jnp.float32)
    target = x[:, :1] > 0
    optimizer = nnx.Optimizer(module, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(module, optimizer):
        def loss(module):
            logits = module.encode(x).sum(axis=1, keepdims=True)
            return optax.sigmoid_binary_cross_entropy(logits, target).mean()

        value, gradient = nnx.value_and_grad(loss)(module)
        optimizer.update(module, gradient)
        return value

    values = [float(step(module, optimizer)) for _ in range(50)]
    assert values[-1] < values[0] / 2
    for name, value in detector.weights_.items():
        np.testing.assert_array_equal(value, before[name])


def test_import_of_a_detector_with_a_module_needs_no_accelerator_state(small, blobs):
    """A fitted detector holds NumPy and the callable, nothing of JAX."""
    detector = small(network=Skipping).fit(blobs[0])
    for value in vars(detector).values():
        assert not isinstance(value, (jax.Array, nnx.Module))


class Unhashable:
    __hash__ = None

    def __call__(self, n_features, rngs):
        return Skipping(n_features, rngs)


def test_callables_must_be_hashable(blobs, small):
    for name in ("network", "optimizer"):
        with pytest.raises(ValueError, match=f"'{name}' parameter.*hashable"):
            small(**{name: Unhashable()}).fit(blobs[0])


def test_a_shape_that_is_the_default_is_the_same_network(blobs, small):
    rows, _ = blobs
    kind = {"network": "conv", "hidden_layer_sizes": (3,), "warm_start": True}
    detector = small(**kind).fit(rows)
    with count_compilations() as counts:
        detector.set_params(input_shape=(6, 1)).fit(rows)
    assert not counts
