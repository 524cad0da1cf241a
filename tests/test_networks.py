from itertools import product

import jax
import numpy as np
import pytest
from flax import nnx
from scipy import special

from skae.core import bottlenecks, networks
from skae.core.config import NetworkConfig
from skae.core.networks.convolutional import convolve
from skae.core.networks.recurrent import GatedLayer

ORACLES = {
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: (
        0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    ),
    "identity": lambda x: x,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": special.expit,
    "silu": lambda x: x * special.expit(x),
    "softplus": lambda x: np.logaddexp(x, 0),
    "tanh": np.tanh,
}


def config(**changes):
    values = {
        "n_features": 5,
        "encoder_layer_sizes": (8, 6),
        "latent_dim": 3,
        "decoder_layer_sizes": (7,),
        "activation": "relu",
        "output_activation": "identity",
    }
    return NetworkConfig(**values | changes)


@pytest.mark.parametrize("name", networks.ACTIVATIONS)
def test_network_equals_its_formula(name):
    shape = config(activation=name, output_activation="sigmoid")
    rng = np.random.default_rng(0)
    params = networks.init(rng, config=shape)
    params = {
        k: v + 0.1 * rng.normal(size=v.shape).astype(np.float32)
        for k, v in params.items()
    }
    x = rng.normal(size=(11, 5)).astype(np.float32)
    activation = ORACLES[name]

    def layer(x, name):
        kernel, bias = params[f"{name}.kernel"], params[f"{name}.bias"]
        return x.astype(float) @ kernel + bias

    code = x
    for i in range(3):
        code = activation(layer(code, f"encoder.{i}"))
    hidden = activation(layer(code, "decoder.0"))
    output = special.expit(layer(hidden, "decoder.1"))

    @jax.jit
    def run(params, x):
        module = networks.bind(params, config=shape)
        code = module.encode(x)
        return code, module.decode(code)

    got_code, got_output = run(params, x)
    np.testing.assert_allclose(got_code, code, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got_output, output, rtol=1e-4, atol=1e-5)


def test_initial_kernels_keep_the_variance_through_relu_layers():
    shape = config(n_features=400, encoder_layer_sizes=(300,), latent_dim=200)
    params = networks.init(np.random.default_rng(0), config=shape)
    for name, value in params.items():
        assert value.dtype == np.float32
        if name.endswith("kernel"):
            assert abs(value.std() * np.sqrt(len(value) / 2) - 1) < 0.1
        else:
            assert not value.any()


def test_table_counts_the_parameters():
    shape = config(
        n_features=29,
        encoder_layer_sizes=(500,),
        latent_dim=16,
        decoder_layer_sizes=(500,),
    )
    params = networks.init(np.random.default_rng(0), config=shape)
    sizes = [layer.n_parameters for layer in networks.layer_table(shape)]
    # The credit-card network of the literature.
    assert sizes == [15_000, 8_016, 8_500, 14_529]
    assert sum(sizes) == sum(value.size for value in params.values()) == 46_045


def test_dropout_drops_the_given_share_and_keeps_the_mean():
    shape = config(encoder_layer_sizes=(4000,), activation="softplus", latent_dim=1)
    params = networks.init(np.random.default_rng(0), config=shape)
    # The code adds up the hidden units, so its mean is unchanged by dropout.
    params["encoder.1.kernel"] = np.full((4000, 1), 1 / 4000, np.float32)
    module = networks.bind(params, config=shape)
    x = np.ones((50, 5), np.float32)
    plain = np.asarray(module.encode(x))
    dropped = np.asarray(module.encoded(x, jax.random.key(0), np.float32(0.3)))
    assert len(np.unique(dropped)) == 50
    assert abs(dropped.mean() / plain.mean() - 1) < 0.01


SHAPES = [
    {},
    {"network": "conv", "input_shape": (5, 1)},
    {"network": "conv", "n_features": 60, "input_shape": (5, 6, 2)},
    {"network": "conv", "n_features": 12, "input_shape": (2, 6, 1)},
    {"network": "recurrent"},
    {"network": "recurrent", "n_features": 12, "input_shape": (4, 3)},
]


@pytest.mark.parametrize("bottleneck", bottlenecks.BOTTLENECKS)
@pytest.mark.parametrize("changes", SHAPES)
def test_table_and_outputs_have_the_shapes_of_the_module(changes, bottleneck):
    shape = config(**changes, decoder_layer_sizes=(6, 8), bottleneck=bottleneck)
    params = networks.init(np.random.default_rng(0), config=shape)
    table = networks.layer_table(shape)
    count = sum(layer.n_parameters for layer in table)
    assert count == sum(value.size for value in params.values())
    rows = np.zeros((3, shape.n_features), np.float32)
    bound = networks.bind(params, config=shape)
    # Shapes alone, which compile nothing.
    encoded = jax.eval_shape(bound.encoded, rows)
    shapes = {layer.name: layer.shape for layer in table}
    assert encoded.shape[1:] == shapes["code"]
    output = jax.eval_shape(lambda rows: bound.decode(bound.encode(rows)), rows)
    assert output.shape == rows.shape
    assert np.prod(shapes["output"]) == shape.n_features


def correlation(x, kernel, bias, stride):
    """Convolution by loops, on maps of shape (n, height, width, channels)."""
    n, height, width, _ = x.shape
    size = [-(-side // stride) for side in (height, width)]
    before = [
        max((count - 1) * stride + 3 - side, 0) // 2
        for count, side in zip(size, (height, width), strict=True)
    ]
    out = np.zeros((n, *size, kernel.shape[-1])) + bias
    for i, j, a, b in product(*map(range, size), range(3), range(3)):
        row, column = i * stride + a - before[0], j * stride + b - before[1]
        if 0 <= row < height and 0 <= column < width:
            out[:, i, j] += x[:, row, column] @ kernel[a, b]
    return out


@pytest.mark.parametrize("sides", [(5, 6), (4, 4), (1, 7), (2, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_windows_make_a_convolution(sides, stride):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, *sides, 2)).astype(np.float32)
    layer = nnx.Linear(18, 4, rngs=nnx.Rngs(0))
    kernel = np.asarray(layer.kernel[...]).reshape(3, 3, 2, 4)
    got = convolve(layer, x, stride)
    expected = correlation(x, kernel, np.asarray(layer.bias[...]), stride)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    by_xla = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(got, by_xla, rtol=1e-4, atol=1e-5)


def test_convolutional_network_equals_its_formula():
    shape = config(
        network="conv",
        n_features=30,
        input_shape=(5, 6, 1),
        encoder_layer_sizes=(4, 3),
        decoder_layer_sizes=(2, 7),
    )
    rng = np.random.default_rng(0)
    params = networks.init(rng, config=shape)
    params = {k: v + np.float32(0.1) for k, v in params.items()}
    x = rng.normal(size=(4, 30)).astype(np.float32)

    def convolved(x, name, stride):
        kernel = params[f"{name}.kernel"]
        kernel = kernel.reshape(3, 3, -1, kernel.shape[-1])
        return correlation(x, kernel, params[f"{name}.bias"], stride)

    def dense(x, name):
        return x @ params[f"{name}.kernel"] + params[f"{name}.bias"]

    def grown(x, height, width):
        return x.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]

    relu = ORACLES["relu"]
    maps = relu(convolved(x.reshape(4, 5, 6, 1), "encoder.0", 2))
    maps = relu(convolved(maps, "encoder.1", 2))
    assert maps.shape == (4, 2, 2, 3)
    code = relu(dense(maps.reshape(4, -1), "encoder.2"))
    maps = relu(dense(code, "decoder.0").reshape(4, 2, 2, 2))
    maps = relu(convolved(grown(maps, 3, 3), "decoder.1", 1))
    output = convolved(grown(maps, 5, 6), "decoder.2", 1).reshape(4, 30)
    bound = networks.bind(params, config=shape)
    np.testing.assert_allclose(bound.encode(x), code, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(bound.decode(code), output, rtol=1e-4, atol=1e-3)


def test_gated_units_are_those_of_flax():
    layer = GatedLayer(3, 5, nnx.Rngs(0))
    cell = nnx.GRUCell(3, 5, rngs=nnx.Rngs(1))
    # Its bias for the state is in the new content alone.
    for ours, theirs in ((layer.input, cell.dense_i), (layer.state, cell.dense_h)):
        ours.kernel[...] = theirs.kernel[...]
    bias = np.random.default_rng(0).normal(size=15).astype(np.float32)
    layer.input.bias[...] = cell.dense_i.bias[...] = bias
    layer.state.bias[...] = np.zeros(15, np.float32)
    x = np.random.default_rng(1).normal(size=(2, 4, 3)).astype(np.float32)
    state = np.zeros((2, 5), np.float32)
    states = layer(x)
    for step in range(4):
        state, _ = cell(state, x[:, step])
        np.testing.assert_allclose(states[:, step], state, rtol=1e-4, atol=1e-5)


def test_recurrent_network_reads_in_order_and_repeats_the_code():
    shape = config(
        network="recurrent",
        n_features=8,
        input_shape=(4, 2),
        encoder_layer_sizes=(6,),
        decoder_layer_sizes=(5,),
        activation="tanh",
    )
    params = networks.init(np.random.default_rng(0), config=shape)
    bound = networks.bind(params, config=shape)
    module = networks.merge(params, config=shape)
    x = np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)
    states = module.encoder[0](x.reshape(3, 4, 2))
    code = np.tanh(module.to_code(states[:, -1]))
    np.testing.assert_allclose(bound.encode(x), code, rtol=1e-4, atol=1e-5)
    turned = bound.encode(x.reshape(3, 4, 2)[:, ::-1].reshape(3, 8))
    assert np.abs(turned - code).max() > 0.01
    repeated = np.repeat(code[:, None], 4, axis=1)
    output = module.to_output(module.decoder[0](repeated)).reshape(3, 8)
    np.testing.assert_allclose(bound.decode(code), output, rtol=1e-4, atol=1e-5)
