"""What training lowers: the loss of corrupted rows, and the active penalties."""

import jax
import jax.numpy as jnp
from jax import Array

from skae.core import bottlenecks
from skae.core.bottlenecks import Parameters
from skae.core.config import Features, Hyperparameters, NetworkConfig, TrainingConfig
from skae.core.corruptions import corrupt
from skae.core.losses import LOSSES, mean_over_features, mean_over_rows
from skae.core.networks import bind
from skae.core.penalties import PENALTIES, Terms


def filled(
    x: Array, features: Features, training: TrainingConfig
) -> tuple[Array, Array | None]:
    """Rows with the mean in place of missing cells, and which cells are observed."""
    x = jnp.asarray(x)
    if not training.is_masked:
        return x, None
    observed = ~jnp.isnan(x)
    return jnp.where(observed, x, features.center), observed


def row_losses(
    params: Parameters,
    key: Array,
    x: Array,
    weight: Array,
    hyper: Hyperparameters,
    features: Features,
    *,
    network: NetworkConfig,
    training: TrainingConfig,
    evaluate: bool,
) -> tuple[Array, Array]:
    """Loss of each row under the corruption, and codes; no dropout in evaluation.

    The loss is the mean over the observed features, or what the bottleneck makes of it.
    """
    noise_key, encoder_key, decoder_key = (
        jax.random.split(key, 3)
        if training.dropout and not evaluate
        else (key, None, None)
    )
    bottleneck, autoencoder = bottlenecks.of(network), bind(params, config=network)
    n_rows = jnp.sum(weight > 0)
    x, observed = filled(x, features, training)
    corrupted = corrupt(
        noise_key, x, n_rows, hyper, features, corruption=training.corruption
    )
    if observed is not None:
        corrupted = jnp.where(observed, corrupted, x)
    encoded = autoencoder.encoded(corrupted, encoder_key, hyper.dropout)
    drawn = bottleneck.draw(key, encoded)
    x_hat = autoencoder.decode(drawn, decoder_key, hyper.dropout)
    losses = mean_over_features(LOSSES[training.loss].cells(x, x_hat), observed)
    if bottleneck.row_losses:
        n_observed = x.shape[1] if observed is None else jnp.sum(observed, axis=-1)
        losses = bottleneck.row_losses(
            losses, encoded, jnp.maximum(n_observed, 1), params, hyper.beta
        )
    return losses, autoencoder.code(encoded)


def objective(
    params: Parameters,
    key: Array,
    x: Array,
    weight: Array,
    hyper: Hyperparameters,
    features: Features,
    *,
    network: NetworkConfig,
    training: TrainingConfig,
) -> Array:
    """Weighted mean of the row losses plus the active penalties.

    Weights count in units of their mean over all training rows.
    """
    losses, code = row_losses(
        params,
        key,
        x,
        weight,
        hyper,
        features,
        network=network,
        training=training,
        evaluate=False,
    )
    encode = bind(params, config=network).encode
    # The key of the corruption again: a further one takes time to compile, and the
    # projection of clean rows does not depend on their noise.
    clean, _ = filled(x, features, training)
    terms = Terms(params, key, clean, code, weight, hyper, encode)
    loss = mean_over_rows(losses, weight)
    total = loss + sum(
        hyper.penalties[name] * PENALTIES[name].measure(terms)
        for name in training.penalties
    )
    pull = bottlenecks.of(network).pull
    if pull:
        total += pull(params, loss, encode(clean), weight, hyper.beta)
    return total
