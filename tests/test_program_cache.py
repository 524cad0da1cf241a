"""Compiled programs that are kept in a folder of caches."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from skae import _programs

CODE = (
    "import jax, skae\n"
    # Too late for JAX to look for a folder by itself.
    "jax.jit(lambda x: x + 0.5)(3.0)\n"
    "folder = skae.keep_programs()\n"
    "jax.jit(lambda x: x + 1.5)(3.0)\n"
    "assert str(folder) == str(jax.config.jax_compilation_cache_dir)\n"
    "print(folder)\n"
)


def run(tmp_path, code=CODE, **variables):
    env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    env |= {"XDG_CACHE_HOME": str(tmp_path / "caches"), **variables}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=env,
    ).stdout.strip()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="folders of Linux")
def test_programs_are_kept_apart_for_each_set_of_options(tmp_path):
    folder = run(tmp_path)
    assert folder.startswith(str(tmp_path / "caches" / "skae" / "jax-"))
    assert os.listdir(folder)
    assert os.stat(folder).st_mode & 0o077 == 0
    other = run(tmp_path, XLA_FLAGS="--xla_cpu_enable_fast_math=false")
    assert os.path.dirname(other) == os.path.dirname(folder) and other != folder


def test_a_folder_of_the_users_own_stays(tmp_path):
    own = str(tmp_path / "own")
    assert run(tmp_path, JAX_COMPILATION_CACHE_DIR=own) == own
    assert not (tmp_path / "caches").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="folders of Linux")
def test_without_a_folder_programs_are_compiled(tmp_path):
    (tmp_path / "caches").write_text("a file")
    assert run(tmp_path) == "None"


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_every_system_has_a_folder(platform, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", platform)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = _programs.user_folder()
    assert found.name == "skae" and tmp_path in found.parents


@pytest.mark.skipif(sys.platform != "linux", reason="folders of Linux")
def test_relative_folders_are_not_taken(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert _programs.user_folder() is None


FIT = (
    "import hashlib, sys, numpy as np, skae\n"
    "folder = skae.keep_programs(sys.argv[1])\n"
    "X = np.random.default_rng(0).normal(size=(250, 5))\n"
    "d = skae.AutoencoderOutlierDetector(latent_dim=4, max_iter=3, random_state=0,\n"
    "    anomaly_score='reconstruction')\n"
    "print(hashlib.sha256(d.fit(X).score_samples(X).tobytes()).hexdigest())\n"
)


def fitted_hash(folder, *options):
    env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    command = [sys.executable, *options, "-c", FIT, str(folder)]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=env
    ).stdout


@pytest.mark.slow
def test_programs_that_are_damaged_are_compiled_again(tmp_path):
    expected = fitted_hash(tmp_path, "-W", "error")
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 3
    times = {path: path.stat().st_mtime_ns for path in kept}
    assert fitted_hash(tmp_path, "-W", "error") == expected
    assert {path: path.stat().st_mtime_ns for path in kept} == times
    for number, path in enumerate(kept):
        whole = path.read_bytes()
        half = len(whole) // 2
        flipped = bytes(byte ^ 0xFF for byte in whole[half : half + 20])
        damaged = [whole[:half], whole[:half] + flipped + whole[half + 20 :], b""]
        path.write_bytes(damaged[number % 3])
    assert fitted_hash(tmp_path) == expected


@pytest.mark.slow
def test_processes_may_fill_a_folder_at_the_same_time(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        found = set(pool.map(fitted_hash, [tmp_path] * 3))
    assert len(found) == 1
    assert {fitted_hash(tmp_path, "-W", "error")} == found


@pytest.mark.slow
def test_importing_keeps_nothing(tmp_path):
    code = (
        "import skae.core.program_cache, jax\n"
        "print(jax.config.jax_compilation_cache_dir)"
    )
    assert run(tmp_path, code) == "None"
