"""A classifier from few labels: a fitted encoder with a new layer on top.

The detector learns from all images without labels, and gives its network away. Flax
then trains encoder and new layer on the few images with labels, moved a little. With a
weight, the autoencoder's loss regularises the classifier.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx


class Classifier(nnx.Module):
    """An autoencoder with a linear layer on its codes."""

    def __init__(self, autoencoder, n_features, n_classes, rngs):
        self.autoencoder = autoencoder
        codes = autoencoder.encode(jnp.zeros((1, n_features)))
        self.head = nnx.Linear(codes.shape[1], n_classes, rngs=rngs)

    def __call__(self, x):
        """Logits of each row."""
        return self.head(self.autoencoder.encode(x))


def moved(key, X, side):
    """Square images, each moved by up to a fourteenth of the side."""
    by = max(1, side // 14)
    images = jnp.pad(X.reshape(-1, side, side), ((0, 0), (by, by), (by, by)))
    starts = jax.random.randint(key, (len(X), 2), 0, 2 * by + 1)
    size = (side, side)
    cut = jax.vmap(lambda image, start: jax.lax.dynamic_slice(image, start, size))
    return cut(images, starts).reshape(len(X), -1)


def untrained(autoencoder, seed):
    """The same network with random weights."""
    rng = np.random.default_rng(seed)
    fresh = nnx.clone(autoencoder)
    state = nnx.state(fresh, nnx.Param)
    for path, leaf in nnx.to_flat_state(state):
        shape = leaf[...].shape
        deviation = np.sqrt(2 / shape[0]) if path[-1] == "kernel" else 0
        leaf[...] = jnp.asarray(deviation * rng.normal(size=shape), jnp.float32)
    nnx.update(fresh, state)
    return fresh


def fine_tune(autoencoder, X, y, X_unlabelled, *, weight=0.0, steps=300, seed=0):
    """Train a classifier on the rows with labels; returns it.

    ``weight`` is that of the reconstruction error of rows without labels.
    """
    side = int(np.sqrt(X.shape[1]))
    X, X_unlabelled = (jnp.asarray(rows, jnp.float32) for rows in (X, X_unlabelled))
    y = jnp.asarray(y)
    model = Classifier(autoencoder, X.shape[1], int(y.max()) + 1, nnx.Rngs(seed))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, key):
        def loss(model):
            logits = model(moved(key, X, side))
            total = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
            if weight:
                x = jax.random.choice(key, X_unlabelled, (128,))
                x_hat = model.autoencoder.decode(model.autoencoder.encode(x))
                total += weight * jnp.mean((x - x_hat) ** 2)
            return total

        optimizer.update(model, nnx.grad(loss)(model))

    for key in jax.random.split(jax.random.key(seed), steps):
        step(model, optimizer, key)
    return model


def main():
    """Digits of scikit-learn, of which 50 have labels."""
    from sklearn.datasets import load_digits

    from skae import AutoencoderOutlierDetector

    X, y = load_digits(return_X_y=True)
    X = X / 16 + np.random.default_rng(0).normal(scale=0.02, size=X.shape)
    X_new, y_new, X, y = X[1200:], y[1200:], X[:1200], y[:1200]
    detector = AutoencoderOutlierDetector(
        latent_dim=64, corruption="masking", corruption_scale=0.3, random_state=0
    ).fit(X)
    for name, network in (
        ("fine-tuned", detector.to_module()),
        ("from scratch", untrained(detector.to_module(), seed=0)),
    ):
        model = fine_tune(network, X[:50], y[:50], X, weight=1.0)
        found = model(jnp.asarray(X_new, jnp.float32)).argmax(axis=1)
        print(f"{name}: {np.mean(found == y_new):.3f} of the new digits are right")


if __name__ == "__main__":
    main()
