"""Training time of every kind of autoencoder, over that of its own bare loop.

    python -m benchmarks.speed.variants --out FILE

10,000 x 30 rows, 30-64-32-64-30, batches of 128, ten epochs. A bare loop is one
compiled scan over an epoch with the objective written down in the shortest way: no
history, no statistics, no threshold, no checks. Both run in turn in one process, warm.
"""

import argparse
import itertools
import json
import statistics
import time
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from skae import AutoencoderOutlierDetector

N_ROWS, N_FEATURES, BATCH, EPOCHS = 10_000, 30, 128, 10
SIZES = (N_FEATURES, 64, 32, 64, N_FEATURES)
SCALE = 0.1

# Our parameters, and what the bare loop does besides.
PLAIN = {"corruption": None}
SIGMOID = {"corruption": None, "activation": "sigmoid"}
VARIANTS = {
    "plain": PLAIN,
    "gaussian": {"corruption": "gaussian"},
    "masking": {"corruption": "masking"},
    "swap": {"corruption": "swap"},
    "salt_and_pepper": {"corruption": "salt_and_pepper"},
    "absolute_error": PLAIN | {"loss": "absolute_error"},
    "huber": PLAIN | {"loss": "huber"},
    "binary_cross_entropy": PLAIN
    | {"loss": "binary_cross_entropy", "output_activation": "sigmoid"},
    "correntropy": PLAIN | {"loss": "correntropy"},
    "alpha": PLAIN | {"alpha": 1e-4},
    "l1_weights": PLAIN | {"l1_weights": 1e-4},
    "l1_activity": PLAIN | {"l1_activity": 1e-4},
    "l2_activity": PLAIN | {"l2_activity": 1e-4},
    "sparsity": SIGMOID | {"sparsity": 1e-3},
    "contraction": PLAIN | {"contraction": 1e-3},
    "dropout": PLAIN | {"dropout": 0.2},
    "missing": PLAIN | {"missing": "mask"},
    "variational": PLAIN | {"bottleneck": "variational"},
    "adversarial": PLAIN | {"bottleneck": "adversarial"},
    "conv": PLAIN | {"network": "conv", "hidden_layer_sizes": (8, 16)},
    "recurrent": PLAIN | {"network": "recurrent", "hidden_layer_sizes": (16,)},
}


def corrupted(kind, key, x):
    """Rows with noise, or with a share of cells replaced."""
    if kind == "gaussian":
        return x + SCALE * jax.random.normal(key, x.shape)
    place = jax.random.uniform(key, x.shape)
    other = {
        "masking": 0.0,
        "swap": jnp.roll(x, 1, axis=0),
        "salt_and_pepper": jnp.where(place < SCALE / 2, 0.0, 1.0),
    }[kind]
    return jnp.where(place < SCALE, other, x)


def cell_losses(kind, x, x_hat):
    """Loss of every cell."""
    if kind == "absolute_error":
        return jnp.abs(x - x_hat)
    if kind == "huber":
        return optax.losses.huber_loss(x_hat, x)
    if kind == "binary_cross_entropy":
        x_hat = jnp.clip(x_hat, 1e-6, 1 - 1e-6)
        return -x * jnp.log(x_hat) - (1 - x) * jnp.log(1 - x_hat)
    if kind == "correntropy":
        return 1 - jnp.exp(-jnp.square(x - x_hat) / 2)
    return jnp.square(x - x_hat)


def penalty(kind, params, encode, x, code, key):
    """Penalties with the strengths of VARIANTS."""
    kernels = [kernel for kernel, _ in params]
    if kind == "alpha":
        return 1e-4 * sum(jnp.sum(kernel**2) for kernel in kernels)
    if kind == "l1_weights":
        return 1e-4 * sum(jnp.sum(jnp.abs(kernel)) for kernel in kernels)
    if kind == "l1_activity":
        return 1e-4 * jnp.mean(jnp.sum(jnp.abs(code), axis=1))
    if kind == "l2_activity":
        return 1e-4 * jnp.mean(jnp.sum(code**2, axis=1))
    if kind == "sparsity":
        mean = jnp.clip(code.mean(axis=0), 1e-6, 1 - 1e-6)
        cross = -0.05 * jnp.log(mean) - 0.95 * jnp.log(1 - mean)
        return 1e-3 * jnp.sum(cross)
    if kind == "contraction":
        signs = jax.random.rademacher(key, code.shape, x.dtype)
        gradient = jax.vjp(encode, x)[1](signs)[0]
        return 1e-3 * jnp.mean(jnp.sum(gradient**2, axis=1))
    return 0.0


def bare(name, parameters):
    """Return a function that trains on rows and returns the weights."""
    activation = jax.nn.sigmoid if name == "sparsity" else jax.nn.relu
    last = jax.nn.sigmoid if name == "binary_cross_entropy" else lambda x: x
    optimizer = optax.adam(1e-3)

    def run(layers, x, key=None):
        for kernel, bias in layers:
            x = activation(x @ kernel + bias)
            if key is not None:
                key, mine = jax.random.split(key)
                x = jnp.where(jax.random.bernoulli(mine, 0.8, x.shape), x / 0.8, 0)
        return x

    def objective(params, x, key):
        observed = ~jnp.isnan(x) if name == "missing" else None
        x = x if observed is None else jnp.where(observed, x, 0.0)
        seen = corrupted(name, key, x) if parameters["corruption"] else x
        dropout = key if name == "dropout" else None
        code = run(params[1:2], run(params[:1], seen, dropout))
        kernel, bias = params[3]
        x_hat = last(run(params[2:3], code, dropout) @ kernel + bias)
        cells = cell_losses(name, x, x_hat)
        loss = cells.mean() if observed is None else cells.mean(where=observed)
        return loss + penalty(name, params, lambda x: run(params[:2], x), x, code, key)

    @jax.jit
    def epoch(params, state, batches, key):
        def step(carry, batch):
            params, state = carry
            x, number = batch
            gradient = jax.grad(objective)(params, x, jax.random.fold_in(key, number))
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(params, updates), state), None

        numbers = jnp.arange(len(batches))
        return jax.lax.scan(step, (params, state), (batches, numbers))[0]

    def start(rng):
        params = layers(rng, SIZES)
        return params, optimizer.init(params)

    return fitting(start, epoch)


def layers(rng, sizes):
    """Kernels and biases of dense layers."""
    return [
        (
            np.float32(np.sqrt(2 / m)) * rng.standard_normal((m, n), np.float32),
            np.zeros(n, np.float32),
        )
        for m, n in itertools.pairwise(sizes)
    ]


def fitting(start, epoch):
    """Return a function that trains on rows, epoch by epoch."""

    def fit(X):
        rng = np.random.default_rng(0)
        params, state = start(rng)
        for number in range(EPOCHS):
            order = rng.permutation(len(X))[: len(X) // BATCH * BATCH]
            batches = X[order].reshape(-1, BATCH, N_FEATURES)
            params, state = epoch(params, state, batches, jax.random.key(number))
        return jax.block_until_ready(params)

    return fit


def bare_generative(name):
    """Return :func:`bare` for a code with a Gaussian prior."""
    is_variational = name == "variational"
    optimizer, rival = optax.adam(1e-3), optax.adam(3e-3, b1=0.5)
    width = SIZES[2] * (2 if is_variational else 1)

    def dense(layers, x, activation=jax.nn.relu):
        for kernel, bias in layers[:-1]:
            x = activation(x @ kernel + bias)
        kernel, bias = layers[-1]
        return x @ kernel + bias

    def judge(layers, z):
        return dense(layers, z, lambda x: jax.nn.leaky_relu(x, 0.2))[:, 0]

    def objective(params, rival_layers, x, key):
        code = dense(params["encoder"], x)
        if is_variational:
            mean, logit = jnp.split(code, 2, axis=1)
            log_variance = jax.nn.log_sigmoid(logit)
            code = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)
            divergence = (mean**2 + jnp.expm1(log_variance) - log_variance).sum() / 2
        loss = jnp.mean((x - dense(params["decoder"], code)) ** 2)
        if is_variational:
            log_noise = 10 * params["noise"]
            return (loss * jnp.exp(-log_noise) + log_noise) / 2 + divergence / x.size
        deception = jax.nn.softplus(-judge(rival_layers, code)).mean()
        return loss + jax.lax.stop_gradient(loss) * deception

    def rival_loss(rival_layers, code, key):
        prior = jax.random.normal(key, code.shape)
        total = 0.0
        for z, sign in ((code, 1), (prior, -1)):
            slope = jax.grad(lambda z: judge(rival_layers, z).sum())(z)
            total += jax.nn.softplus(sign * judge(rival_layers, z)).mean()
            total += 0.03 / 2 * (slope**2).sum(axis=1).mean()
        return total

    @jax.jit
    def epoch(params, state, batches, key):
        def step(carry, batch):
            (params, rival_layers), (state, rival_state) = carry
            x, number = batch
            key_now = jax.random.fold_in(key, number)
            if not is_variational:
                code = dense(params["encoder"], x)
                for i in range(3):
                    key_here = jax.random.fold_in(key_now, i)
                    gradient = jax.grad(rival_loss)(rival_layers, code, key_here)
                    updates, rival_state = rival.update(gradient, rival_state)
                    rival_layers = optax.apply_updates(rival_layers, updates)
            gradient = jax.grad(objective)(params, rival_layers, x, key_now)
            updates, state = optimizer.update(gradient, state)
            params = optax.apply_updates(params, updates)
            return ((params, rival_layers), (state, rival_state)), None

        numbers = jnp.arange(len(batches))
        return jax.lax.scan(step, (params, state), (batches, numbers))[0]

    def start(rng):
        params = {
            "encoder": layers(rng, (*SIZES[:2], width)),
            "decoder": layers(rng, SIZES[2:]),
            "noise": jnp.float32(0),
        }
        rival_layers = layers(rng, (SIZES[2], 64, 64, 1))
        states = optimizer.init(params), rival.init(rival_layers)
        return (params, rival_layers), states

    return fitting(start, epoch)


def dense_layer(layer, x):
    """Output of a dense layer."""
    kernel, bias = layer
    return x @ kernel + bias


def bare_conv(params, x):
    """Reconstruction by convolutions of sequences: 30 x 1, 15 x 8, 8 x 16, code."""

    def convolve(layer, x, length, stride):
        x = jnp.pad(x, ((0, 0), (1, 2), (0, 0)))
        windows = [x[:, i::stride][:, :length] for i in range(3)]
        return dense_layer(layer, jnp.concatenate(windows, axis=-1))

    relu = jax.nn.relu
    x = relu(convolve(params[0], x[..., None], 15, 2))
    x = relu(convolve(params[1], x, 8, 2))
    code = relu(dense_layer(params[2], x.reshape(len(x), -1)))
    x = relu(dense_layer(params[3], code)).reshape(-1, 8, 16)
    x = relu(convolve(params[4], jnp.repeat(x, 2, axis=1)[:, :15], 15, 1))
    return convolve(params[5], jnp.repeat(x, 2, axis=1), 30, 1)[..., 0]


def bare_recurrent(params, x):
    """Reconstruction by gated recurrent units of sequences: 30 x 1, 16 units, code."""

    def gated(of_input, of_state, x):
        def step(state, seen):
            reset, update, new = jnp.split(seen, 3, axis=-1)
            past = jnp.split(dense_layer(of_state, state), 3, axis=-1)
            update = jax.nn.sigmoid(update + past[1])
            new = jnp.tanh(new + jax.nn.sigmoid(reset + past[0]) * past[2])
            state = update * state + (1 - update) * new
            return state, state

        seen = jnp.swapaxes(dense_layer(of_input, x), 0, 1)
        start = jnp.zeros((len(x), seen.shape[-1] // 3))
        return jnp.swapaxes(jax.lax.scan(step, start, seen)[1], 0, 1)

    last = gated(params[0], params[1], x[..., None])[:, -1]
    code = jax.nn.relu(dense_layer(params[2], last))
    repeated = jnp.repeat(code[:, None], N_FEATURES, axis=1)
    return dense_layer(params[5], gated(params[3], params[4], repeated))[..., 0]


SHAPED = {
    "conv": (
        bare_conv,
        [(3, 8), (24, 16), (128, 32), (32, 128), (48, 8), (24, 1)],
    ),
    "recurrent": (
        bare_recurrent,
        [(1, 48), (16, 48), (16, 32), (32, 48), (16, 48), (16, 1)],
    ),
}


def bare_shaped(name):
    """Return :func:`bare` for sequences."""
    restore, sizes = SHAPED[name]
    optimizer = optax.adam(1e-3)

    @jax.jit
    def epoch(params, state, batches, key):
        del key

        def step(carry, x):
            params, state = carry
            gradient = jax.grad(lambda p: jnp.mean((x - restore(p, x)) ** 2))(params)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, state), batches)[0]

    def start(rng):
        params = [layers(rng, pair)[0] for pair in sizes]
        return params, optimizer.init(params)

    return fitting(start, epoch)


def ours(parameters):
    """Return a function that fits the detector."""
    detector = AutoencoderOutlierDetector(
        hidden_layer_sizes=SIZES[1:2],
        latent_dim=SIZES[2],
        corruption_scale=SCALE,
        optimizer="adam",
        learning_rate=1e-3,
        learning_rate_schedule="constant",
        batch_size=BATCH,
        max_iter=EPOCHS,
        anomaly_score="reconstruction",
        validation_fraction=0.0,
        random_state=0,
    ).set_params(**{"activation": "relu"} | parameters)
    return detector.fit


def seconds(function, X):
    """Time of one call."""
    start = time.perf_counter()
    function(X)
    return time.perf_counter() - start


def main():
    """Time every variant and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    complete = rng.random((N_ROWS, N_FEATURES), np.float32)
    gaps = np.where(rng.random(complete.shape) < 0.3, np.float32(np.nan), complete)
    report = {}
    for name in options.only:
        parameters = VARIANTS[name]
        X = gaps if name == "missing" else complete
        if "bottleneck" in parameters:
            least = bare_generative(name)
        elif "network" in parameters:
            least = bare_shaped(name)
        else:
            least = bare(name, parameters)
        pair = ours(parameters), least
        for function in pair:
            function(X)
        times = [[seconds(f, X) for f in pair] for _ in range(options.runs)]
        mine, least = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        report[name] = {"skae": mine, "bare": least, "ratio": ratio}
        print(f"{name:22}{mine:8.3f} s{least:8.3f} s{ratio:7.2f}", flush=True)
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
