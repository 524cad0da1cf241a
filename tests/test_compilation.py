import threading

import jax
import numpy as np
import pytest

from skae.core import compilation, members
from skae.testing import count_compilations
from tests.helpers import slow_but


def test_counts_each_compilation_by_name_and_restores_the_log():
    logger = compilation.logging.getLogger(compilation.LOGGER)
    before = logger.level, logger.propagate, list(logger.handlers)

    @jax.jit
    def doubled(x):
        return 2 * x

    with count_compilations() as counts:
        for length in (3, 4, 3):
            doubled(np.ones(length))
    assert counts["doubled"] == 2
    doubled(np.ones(5))
    assert counts["doubled"] == 2
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


@pytest.mark.slow
def test_many_architectures_do_not_pile_up_programs(blobs, small, monkeypatch):
    rows, _ = blobs
    monkeypatch.setattr(compilation, "MAX_KINDS", 6)
    monkeypatch.setattr(compilation, "_kinds", set())
    first = small(latent_dim=1).fit(rows)
    scores = first.score_samples(rows)
    for latent_dim in range(2, 5):
        small(latent_dim=latent_dim).fit(rows)
        assert len(compilation._kinds) <= 6
    with count_compilations() as counts:
        np.testing.assert_array_equal(first.score_samples(rows), scores)
        np.testing.assert_array_equal(
            small(latent_dim=1).fit(rows).score_samples(rows), scores
        )
    assert counts["train_chunk"] == 1


def test_float_parameters_row_counts_and_seeds_compile_nothing(blobs, small):
    rows, _ = blobs
    parameters = {
        "latent_dim": 6,
        "dropout": 0.1,
        "alpha": 1e-3,
        "l1_activity": 1e-3,
        "contraction": 1e-3,
        "corruption": "swap",
        "n_estimators": 2,
        "optimizer": "adamw",
    }
    small(**parameters).fit(rows).score_samples(rows)
    # Below and above one block of rows, with and without rows held out.
    many = np.vstack([rows] * 5)
    small(**parameters).fit(many).score_samples(many)
    other = {
        "dropout": 0.2,
        "alpha": 1e-2,
        "l1_activity": 1e-1,
        "contraction": 1e-2,
        "sparsity_target": 0.3,
        "learning_rate": np.float64(0.003),
        "weight_decay": 0.1,
        "corruption_scale": 0.3,
        "contamination": 0.1,
        "max_iter": 3,
        "validation_fraction": 0.2,
        "early_stopping": True,
        "random_state": 7,
        "n_estimators": 1,
        "tol": 0.1,
    }
    with count_compilations() as counts:
        for n_rows in (3, 64, 131, 300):
            detector = small(**parameters | other).fit(rows[:n_rows])
            detector.score_samples(rows[: n_rows // 2 + 1])
        detector.set_params(learning_rate_schedule="cosine").fit(many)
    assert not counts


@pytest.mark.parametrize("score", slow_but(["learned"], ["learned", "latent"]))
def test_a_first_fit_compiles_each_program_once(score, blobs, small):
    rows, _ = blobs
    parameters = {"anomaly_score": score, "latent_dim": 7, "max_iter": 2}
    compilation.forget()
    threads = threading.active_count()
    with count_compilations() as counts:
        detector = small(**parameters).fit(rows)
        # Few rows and many have one program, as have all networks of folds.
        detector.score_samples(rows[:1])
        detector.score_samples(np.vstack([rows] * 10))
        small(**parameters).fit(rows[:50])
    assert threading.active_count() == threads
    n_views = {"learned": 3, "latent": 2}[score]
    assert counts == {"train_chunk": 1, "chunk_loss": 1, "_map_blocks": n_views}


def test_what_goes_wrong_beside_a_training_is_heard_after_it(blobs, small, monkeypatch):
    rows, _ = blobs
    expected = small(latent_dim=3).fit(rows).score_samples(rows)
    started = members.started
    calls = []

    def fails_at_first(*args):
        calls.append(threading.current_thread())
        if len(calls) == 1:
            raise RuntimeError("out of luck")
        return started(*args)

    monkeypatch.setattr(members, "started", fails_at_first)
    compilation.forget()
    scores = small(latent_dim=3).fit(rows).score_samples(rows)
    assert calls[0] is not threading.main_thread()
    np.testing.assert_array_equal(scores, expected)

    def fails(*args):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(members, "started", fails)
    with pytest.raises(RuntimeError, match="out of luck"):
        small(latent_dim=3).fit(rows)
