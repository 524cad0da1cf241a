"""What is timed: ours, the bare loop as the limit, and others, each on the same work.

A peer is a class with ``fit(scenario, X)`` and, where it scores, ``score(X)``. Nothing
is imported before it is needed: every peer runs in a process of its own.
"""

import itertools
import os
import time

import numpy as np


class Skae:
    """The detector of this package, told to do the work of the bare loop."""

    def make(self, scenario, **changes):
        """Make the detector, unfitted."""
        from skae import AutoencoderOutlierDetector

        return AutoencoderOutlierDetector(
            hidden_layer_sizes=scenario.hidden,
            latent_dim=scenario.latent,
            activation="relu",
            corruption=None,
            optimizer="adam",
            learning_rate=1e-3,
            learning_rate_schedule="constant",
            batch_size=scenario.batch_size,
            max_iter=scenario.epochs,
            anomaly_score="reconstruction",
            validation_fraction=0.0,
            random_state=0,
        ).set_params(**changes)

    def fit(self, scenario, X):
        """Train, threshold included."""
        self.detector = self.make(scenario).fit(X)

    def score(self, X):
        """Minus the mean squared errors."""
        return self.detector.score_samples(X)

    def grid(self, scenario, X, grid, folds):
        """Search by ``GridSearchCV``, refit included."""
        from sklearn.model_selection import GridSearchCV

        from skae import _fitting  # noqa: F401
        from skae.testing import count_compilations

        names = {"latent": "latent_dim"}
        search = GridSearchCV(
            self.make(scenario),
            {names.get(name, name): values for name, values in grid.items()},
            cv=folds,
            scoring=lambda detector, X, y=None: detector.score_samples(X).mean(),
        )
        start = time.perf_counter()
        with count_compilations() as counts:
            search.fit(X)
        return {
            "training_compilations": counts["train_chunk"],
            "without_imports": time.perf_counter() - start,
        }


class SkaeDefault(Skae):
    """The detector at its defaults."""

    def make(self, scenario):
        """Make the detector, unfitted."""
        from skae import AutoencoderOutlierDetector

        return AutoencoderOutlierDetector(random_state=0)


class Bare:
    """The shortest JAX loop for the same mathematics.

    One compiled scan over an epoch, one compiled forward pass over all rows. It keeps
    no history, no threshold and no statistics, and checks nothing. Its process imports
    scikit-learn and flax, as anyone's would.
    """

    def __init__(self):
        import flax  # noqa: F401
        import jax
        import jax.numpy as jnp
        import optax
        import sklearn.base  # noqa: F401

        self.jax = jax
        optimizer = self.optimizer = optax.adam(1e-3)

        def forward(params, x):
            hidden = x
            for kernel, bias in params[:-1]:
                hidden = jax.nn.relu(hidden @ kernel + bias)
            kernel, bias = params[-1]
            return hidden @ kernel + bias

        def loss(params, x):
            return jnp.mean(jnp.square(forward(params, x) - x))

        @jax.jit
        def epoch(params, state, batches):
            def step(carry, x):
                params, state = carry
                updates, state = optimizer.update(jax.grad(loss)(params, x), state)
                return (optax.apply_updates(params, updates), state), None

            return jax.lax.scan(step, (params, state), batches)[0]

        self.epoch = epoch
        self.errors = jax.jit(
            lambda params, x: jnp.mean(jnp.square(forward(params, x) - x), axis=1)
        )

    def fit(self, scenario, X):
        """Train and wait for the result."""
        rng = np.random.default_rng(0)
        self.params = [
            (
                np.float32(np.sqrt(2 / m)) * rng.standard_normal((m, n), np.float32),
                np.zeros(n, np.float32),
            )
            for m, n in itertools.pairwise(scenario.sizes)
        ]
        state = self.optimizer.init(self.params)
        height = scenario.batch_size
        n_batches = len(X) // height
        for _ in range(scenario.epochs):
            order = rng.permutation(len(X))[: n_batches * height]
            batches = X[order].reshape(n_batches, height, -1)
            self.params, state = self.epoch(self.params, state, batches)
        self.jax.block_until_ready(self.params)

    def score(self, X):
        """Mean squared errors as NumPy."""
        return np.asarray(self.errors(self.params, X))


class BareDefault:
    """The bare loop with network, noise, optimizer and steps of the default detector.

    That is for 1,000 rows, of which it trains on about 800: 100 epochs of 7 batches.
    """

    STEPS, EPOCHS, HEIGHT = 7, 100, 128

    def __init__(self):
        import flax  # noqa: F401
        import jax
        import jax.numpy as jnp
        import optax
        import sklearn.base  # noqa: F401

        self.jax = jax
        rate = optax.cosine_decay_schedule(2e-3, self.STEPS * self.EPOCHS)
        optimizer = self.optimizer = optax.adamw(rate, weight_decay=1e-5)

        def loss(params, x, key):
            of_scale, of_noise = jax.random.split(key)
            log = jax.random.uniform(
                of_scale, (len(x), 1), minval=np.log(0.05), maxval=0
            )
            hidden = x + jnp.exp(log) * jax.random.normal(of_noise, x.shape)
            for kernel, bias in params[:-1]:
                hidden = jax.nn.gelu(hidden @ kernel + bias)
            kernel, bias = params[-1]
            return jnp.mean(jnp.square(hidden @ kernel + bias - x))

        @jax.jit
        def epoch(params, state, batches, key):
            def step(carry, batch):
                (params, state), (x, number) = carry, batch
                gradient = jax.grad(loss)(params, x, jax.random.fold_in(key, number))
                updates, state = optimizer.update(gradient, state, params)
                return (optax.apply_updates(params, updates), state), None

            numbers = jnp.arange(len(batches))
            return jax.lax.scan(step, (params, state), (batches, numbers))[0]

        self.epoch = epoch

    def fit(self, scenario, X):
        """Train and wait for the result."""
        rng = np.random.default_rng(0)
        sizes = (scenario.n_features, 256, 128, 256, scenario.n_features)
        params = [
            (
                np.float32(np.sqrt(2 / m)) * rng.standard_normal((m, n), np.float32),
                np.zeros(n, np.float32),
            )
            for m, n in itertools.pairwise(sizes)
        ]
        state = self.optimizer.init(params)
        for number in range(self.EPOCHS):
            order = rng.permutation(len(X))[: self.STEPS * self.HEIGHT]
            batches = X[order].reshape(self.STEPS, self.HEIGHT, -1)
            key = self.jax.random.key(number)
            params, state = self.epoch(params, state, batches, key)
        self.jax.block_until_ready(params)


class PyOD:
    """PyOD's AutoEncoder, without what ours was told to leave out."""

    def make(self, scenario, *, latent=None, learning_rate=1e-3):
        """Make the detector, unfitted."""
        from pyod.models.auto_encoder import AutoEncoder

        return AutoEncoder(
            hidden_neuron_list=[*scenario.hidden, latent or scenario.latent],
            lr=learning_rate,
            epoch_num=scenario.epochs,
            batch_size=scenario.batch_size,
            preprocessing=False,
            batch_norm=False,
            dropout_rate=0.0,
            verbose=0,
            random_state=0,
        )

    def fit(self, scenario, X):
        """Train, threshold included."""
        self.detector = self.make(scenario).fit(X)

    def score(self, X):
        """Reconstruction errors."""
        return self.detector.decision_function(X)

    def grid(self, scenario, X, grid, folds):
        """Search the same grid: PyOD's detectors have no ``score_samples``."""
        from sklearn.model_selection import KFold, ParameterGrid

        candidates = list(ParameterGrid(grid))
        self.make(scenario)
        start = time.perf_counter()
        means = [
            np.mean(
                [
                    self.make(scenario, **candidate)
                    .fit(X[train])
                    .decision_function(X[test])
                    .mean()
                    for train, test in KFold(folds).split(X)
                ]
            )
            for candidate in candidates
        ]
        self.make(scenario, **candidates[int(np.argmin(means))]).fit(X)
        return {"without_imports": time.perf_counter() - start}


class Keras:
    """Keras 3, a Sequential model; every fit builds and compiles one."""

    def __init__(self, backend):
        os.environ["KERAS_BACKEND"] = backend

    def fit(self, scenario, X):
        """Build, compile and train."""
        import keras

        *hidden, last = scenario.sizes[1:]
        layers = [keras.layers.Dense(n, activation="relu") for n in hidden]
        self.model = keras.Sequential(
            [keras.Input((scenario.n_features,)), *layers, keras.layers.Dense(last)]
        )
        self.model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
        self.model.fit(
            X, X, batch_size=scenario.batch_size, epochs=scenario.epochs, verbose=0
        )

    def score(self, X):
        """Mean squared errors, in batches of 1,024 rows."""
        restored = self.model.predict(X, batch_size=1_024, verbose=0)
        return np.square(restored - X).mean(axis=1)


class MLP:
    """scikit-learn's MLPRegressor, trained to return its input."""

    def fit(self, scenario, X):
        """Train for all epochs."""
        from sklearn.neural_network import MLPRegressor

        self.model = MLPRegressor(
            hidden_layer_sizes=scenario.sizes[1:-1],
            alpha=0.0,
            batch_size=scenario.batch_size,
            max_iter=scenario.epochs,
            n_iter_no_change=scenario.epochs + 1,
            random_state=0,
        ).fit(X, X)

    def score(self, X):
        """Mean squared errors."""
        return np.square(self.model.predict(X) - X).mean(axis=1)


class Detector:
    """A detector of scikit-learn at its defaults."""

    def __init__(self, module, name, **parameters):
        self.module, self.name, self.parameters = module, name, parameters

    def fit(self, scenario, X):
        """Train."""
        module = __import__(f"sklearn.{self.module}", fromlist=[self.name])
        self.detector = getattr(module, self.name)(**self.parameters).fit(X)

    def score(self, X):
        """Scores."""
        return self.detector.score_samples(X)


PEERS = {
    "skae": Skae,
    "skae-default": SkaeDefault,
    "bare": Bare,
    "bare-default": BareDefault,
    "pyod": PyOD,
    "keras-jax": lambda: Keras("jax"),
    "keras-torch": lambda: Keras("torch"),
    "mlp": MLP,
    "iforest": lambda: Detector("ensemble", "IsolationForest", random_state=0),
    "lof": lambda: Detector("neighbors", "LocalOutlierFactor", novelty=True),
}
