import gc
import os

import numpy as np
import pytest
from hypothesis import settings
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skae import AutoencoderOutlierDetector

# The first example of a shape pays its compilation, so no deadline makes sense.
settings.register_profile("skae", deadline=None, max_examples=50, derandomize=True)
# The long search: pytest --hypothesis-profile=search --hypothesis-seed=0 -m "not slow".
settings.register_profile("search", deadline=None, max_examples=10_000)
settings.load_profile("skae")


# XLA compiles in a quarter of the time so; what it compiles takes three to five times
# as long, and rounds otherwise. `make test-all` tests the programs that users have, and
# so does a test in test_processes.py.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
QUICK += " --xla_cpu_use_fusion_emitters=false"


def pytest_configure(config):
    """Compile quickly, and let JAX keep programs from run to run and across processes.

    Compilation takes most of the time of the tests: a program that was forgotten to
    make room, or that another run or process has made, is read in a tenth of that.
    ``count_compilations`` counts it all the same. ``--cache-clear`` forgets them.
    """
    os.environ.setdefault("XLA_FLAGS", QUICK)
    # Tracing makes many objects: the search for cycles takes a sixth of the time.
    gc.set_threshold(200_000, 20, 100)
    # A core for each process of pytest-xdist: threads that wait for each other take it.
    threadpool_limits(1)
    if hasattr(config, "cache"):
        # Also for the workers of pytest-xdist, which share what they compile.
        folder = config.cache.mkdir("jax")
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


@pytest.fixture(autouse=True)
def _room_for_programs():
    """Make room between tests, not in the middle of one that counts compilations."""
    # Here, since it looks for the flags above when it is imported.
    from skae.core import compilation

    if len(compilation._kinds) > compilation.MAX_KINDS * 0.8:
        compilation.forget()


@pytest.fixture(scope="session")
def blobs():
    """300 standardised rows of two correlated groups, and 60 outliers."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 6))
    rows = rng.normal(size=(300, 6)) @ mixing + 4 * rng.integers(0, 2, size=(300, 1))
    scaler = StandardScaler().fit(rows)
    outliers = rng.uniform(-4, 4, size=(60, 6))
    return scaler.transform(rows), outliers


@pytest.fixture(scope="session")
def breast_cancer():
    """Standardised benign rows, malignant rows."""
    X, y = load_breast_cancer(return_X_y=True)
    scaler = StandardScaler().fit(X[y == 1])
    return scaler.transform(X[y == 1]), scaler.transform(X[y == 0])


@pytest.fixture(scope="session")
def small():
    """A detector that trains in a blink, of what compiles least."""

    def make(**parameters):
        defaults = {
            "hidden_layer_sizes": (16,),
            "latent_dim": 4,
            "max_iter": 5,
            # Random numbers in a program take a third of the time to compile it.
            "corruption": None,
            "anomaly_score": "reconstruction",
            "random_state": 0,
        }
        if parameters.get("anomaly_score") == "elbo":
            defaults["bottleneck"] = "variational"
        return AutoencoderOutlierDetector(**defaults | parameters)

    return make
