"""The commands keep compiled programs in the user's folder of caches."""

import os
import subprocess
import sys

import pytest

from skae._command import cache

CODE = (
    "import jax\n"
    "from skae._command import cache\n"
    "cache.keep()\n"
    "jax.jit(lambda x: x + 1.5)(3.0)\n"
    "print(jax.config.jax_compilation_cache_dir)\n"
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
    found = cache.folder()
    assert found.name == "skae" and tmp_path in found.parents


@pytest.mark.skipif(sys.platform != "linux", reason="folders of Linux")
def test_relative_folders_are_not_taken(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert cache.folder() is None


def test_importing_keeps_nothing(tmp_path):
    code = (
        "import skae.core.program_cache, jax\n"
        "print(jax.config.jax_compilation_cache_dir)"
    )
    assert run(tmp_path, code) == "None"
