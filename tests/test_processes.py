"""What only a process of its own can show: imports, global state, signals."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skae.core import folds, training
from tests.helpers import slow_rows_but


def run(code, **env):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | env,
    ).stdout


def test_a_level_of_optimisation_that_the_user_asks_for_stays():
    code = "from skae.core.compilation import OPTIONS; print(OPTIONS)"
    assert run(code, XLA_FLAGS="--xla_backend_optimization_level=2").strip() == "{}"


def test_the_programs_that_users_have_round_a_row_alike_in_any_company():
    """Without the options that tests compile by."""
    code = (
        "import numpy as np\n"
        "from skae import AutoencoderOutlierDetector\n"
        "from skae.core.compilation import OPTIONS\n"
        "assert OPTIONS == {'xla_backend_optimization_level': 1}\n"
        "rng = np.random.default_rng(0)\n"
        "rows = rng.normal(size=(700, 7))\n"
        "for score in ('combined', 'reconstruction'):\n"
        "    detector = AutoencoderOutlierDetector(\n"
        "        anomaly_score=score, max_iter=2, random_state=0\n"
        "    ).fit(rows[:300])\n"
        "    scores = detector.score_samples(rows)\n"
        "    order = rng.permutation(700)\n"
        "    assert (detector.score_samples(rows[order]) == scores[order]).all()\n"
        "    for i in (0, 333, 699):\n"
        "        assert detector.score_samples(rows[i : i + 1]) == scores[i]\n"
    )
    run(code, XLA_FLAGS="")


def test_import_loads_no_jax_and_computes_nothing():
    run(
        "import sys, skae\n"
        "detector = skae.AutoencoderOutlierDetector(latent_dim=3)\n"
        "repr(detector), detector._repr_html_(), detector.get_params()\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'jax', 'jaxlib', 'flax', 'optax', 'matplotlib'}, loaded\n"
    )


def test_global_state_is_left_alone():
    run(
        "import os, random, warnings, logging\n"
        "import numpy as np, jax\n"
        "def state():\n"
        "    return (random.getstate(), str(np.random.get_state()),\n"
        "            dict(jax.config.values), dict(os.environ), np.geterr(),\n"
        "            list(warnings.filters), logging.getLogger('jax').level,\n"
        "            os.getcwd())\n"
        "import sklearn.base, flax.nnx, optax\n"
        "X = np.random.RandomState(0).normal(size=(250, 3))\n"
        "before = state()\n"
        "from skae import AutoencoderOutlierDetector\n"
        "assert state() == before\n"
        "d = AutoencoderOutlierDetector(latent_dim=2, max_iter=2, device='cpu',\n"
        "    dropout=0.1)\n"
        "d.fit(X).score_samples(X)\n"
        "d.calibrate(X, contamination=0.1).p_values(X)\n"
        "d.score(X), d.explain(X), d.reconstruct(X)\n"
        "assert state() == before\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("score", ["reconstruction", "learned"])
def test_scores_are_the_same_in_every_process(score):
    code = (
        "import hashlib, numpy as np\n"
        "from skae import AutoencoderOutlierDetector\n"
        "X = np.random.default_rng(0).normal(size=(250, 5))\n"
        f"d = AutoencoderOutlierDetector(anomaly_score={score!r}, latent_dim=4,\n"
        "    max_iter=3, random_state=0)\n"
        "print(hashlib.sha256(d.fit(X).score_samples(X).tobytes()).hexdigest())\n"
    )
    # Each compiles for itself.
    alone = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    one, other = (run(code, PYTHONHASHSEED=seed, **alone) for seed in "12")
    assert one == other


def test_a_pickle_scores_to_the_same_bit_in_another_process(blobs, small, tmp_path):
    import pickle

    rows, _ = blobs
    detector = small().fit(rows)
    path = tmp_path / "parts.pickle"
    path.write_bytes(pickle.dumps((detector, rows, detector.score_samples(rows))))
    run(
        "import pickle, sys\n"
        f"detector, rows, scores = pickle.load(open({str(path)!r}, 'rb'))\n"
        "assert 'jax' not in sys.modules\n"
        "assert (detector.score_samples(rows) == scores).all()\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_control_c_keeps_a_usable_detector():
    code = (
        "import signal, warnings, numpy as np\n"
        # Shells start background jobs with the signal ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from sklearn.exceptions import ConvergenceWarning\n"
        "from skae import AutoencoderOutlierDetector\n"
        "X = np.random.default_rng(0).normal(size=(2000, 5))\n"
        "d = AutoencoderOutlierDetector(latent_dim=4, max_iter=10**6, verbose=2)\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    d.fit(X)\n"
        "assert any(issubclass(w.category, ConvergenceWarning) for w in seen)\n"
        "assert np.isfinite(d.score_samples(X)).all()\n"
        "print('usable after', d.n_iter_)\n"
    )
    command = [sys.executable, "-u", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout:
                if "epoch 3/" in line:
                    break
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "usable after" in out


FORK = """
import os, time, signal, numpy as np, pickle, warnings, sys
from skae import AutoencoderOutlierDetector
X = np.random.default_rng(0).normal(size=(60, 3))
detector = pickle.load(open(sys.argv[1], "rb"))
if sys.argv[2] == "used":
    detector.score_samples(X)
warnings.simplefilter("ignore")
child = os.fork()
if child == 0:
    signal.alarm(60)
    try:
        scores = detector.score_samples(X)
        os._exit(0 if np.isfinite(scores).all() else 3)
    except RuntimeError as error:
        os._exit(7 if "before it was forked" in str(error) else 4)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize(
    ("used", "status"), slow_rows_but([("used", 7)], [("used", 7), ("unused", 0)])
)
def test_a_fork_computes_or_says_why_not(used, status, small, tmp_path):
    import pickle

    rows = np.random.default_rng(0).normal(size=(60, 3))
    path = tmp_path / "detector.pickle"
    path.write_bytes(pickle.dumps(small(max_iter=1).fit(rows)))
    out = subprocess.run(
        [sys.executable, "-c", FORK, str(path), used],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert int(out) == status


def interrupt_when(monkeypatch, module, name, after=0):
    """Make a function of the core raise what Ctrl-C raises, once it was called."""
    original, calls = getattr(module, name), []

    def interrupted(*args, **kwargs):
        calls.append(name)
        if len(calls) > after:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, interrupted)


def test_control_c_before_the_first_epoch_ends_the_fit(blobs, small, monkeypatch):
    rows, _ = blobs
    detector = small()
    interrupt_when(monkeypatch, training, "train_chunk")
    with pytest.raises(KeyboardInterrupt):
        detector.fit(rows)
    assert not hasattr(detector, "weights_")


def test_control_c_among_folds_says_what_the_threshold_rests_on(
    blobs, small, monkeypatch
):
    rows, _ = blobs
    detector = small()
    interrupt_when(monkeypatch, folds, "measured", after=1)
    with pytest.warns(ConvergenceWarning, match="p-values rest on scores of training"):
        detector.fit(rows[:100])
    assert np.isfinite(detector.score_samples(rows)).all()
