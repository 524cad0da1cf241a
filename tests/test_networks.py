import jax
import numpy as np
import pytest
from scipy import special

from skae.core import networks
from skae.core.config import NetworkConfig

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
    sizes = [size for _, _, size in networks.layer_table(shape)]
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
    dropped = np.asarray(module.encode(x, jax.random.key(0), np.float32(0.3)))
    assert len(np.unique(dropped)) == 50
    assert abs(dropped.mean() / plain.mean() - 1) < 0.01


@pytest.mark.parametrize("encoder", [(), (5,), (7, 3)])
@pytest.mark.parametrize("decoder", [(), (2, 9)])
def test_shapes_are_those_of_the_module(encoder, decoder):
    config = NetworkConfig(4, encoder, 6, decoder, "relu", "identity")
    _, leaves = networks._skeleton(config)
    assert networks.shapes(config) == {
        name: shape for name, (_, shape) in leaves.items()
    }
