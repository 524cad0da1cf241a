"""Imports go one way: shell -> engine -> training and scoring -> leaves."""

import ast
from pathlib import Path

import pytest

import skae

ROOT = Path(skae.__file__).parent
MODULES = {
    ".".join(("skae", *path.relative_to(ROOT).with_suffix("").parts)): path
    for path in ROOT.rglob("*.py")
}
ACCELERATED = {"jax", "jaxlib", "flax", "optax"}

# What each module of the core may import of the others.
CORE = {
    "config": set(),
    "batching": set(),
    "reservoir": {"batching"},
    "compilation": set(),
    "losses": set(),
    "gaussian": set(),
    "robust": {"gaussian"},
    "memory": {"gaussian"},
    "bottlenecks": {"config", "losses"},
    "modules": {"config"},
    "networks": {"bottlenecks", "compilation", "config", "modules"},
    "corruptions": {"config"},
    "penalties": {"bottlenecks", "config", "losses"},
    "training": {
        "compilation",
        "batching",
        "bottlenecks",
        "config",
        "corruptions",
        "losses",
        "networks",
        "penalties",
    },
    "scoring": {
        "batching",
        "bottlenecks",
        "compilation",
        "config",
        "gaussian",
        "memory",
        "networks",
        "robust",
    },
    "__init__": set(),
}
CORE["engine"] = CORE["training"] | CORE["scoring"]
CORE["engine"] |= {"modules", "reservoir", "scoring", "training"}


def imports(path, *, top_level_only=False):
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in {path}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages(path):
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("name", MODULES)
def test_jax_stays_in_the_core_and_scikit_learn_out_of_it(name):
    if name.startswith("skae.core."):
        assert "sklearn" not in packages(MODULES[name])
    else:
        assert not packages(MODULES[name]) & ACCELERATED


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("skae.core.")])
def test_core_imports_go_one_way(name):
    used = set()
    for imported in imports(MODULES[name]):
        parts = imported.split(".")
        if parts[0] == "skae":
            assert parts[1] == "core", imported
            used.add(parts[2])
    assert used <= CORE[name.split(".")[2]]


def test_the_detector_imports_the_core_lazily():
    top = set(imports(MODULES["skae._detector"], top_level_only=True))
    assert not any("core" in name or "_fitting" in name for name in top)


def test_the_shell_uses_the_core_through_the_engine_alone():
    for name, path in MODULES.items():
        if name.startswith("skae.core") or name == "skae.testing":
            continue
        core = {i for i in imports(path) if i.startswith("skae.core")}
        if name == "skae.io._onnx_graph":
            # It says what scoring does a second time, with the same constants.
            core = {i for i in core if i.split(".")[2] not in CORE["engine"]}
        assert core <= {"skae.core.engine"}, name


def test_matplotlib_is_never_imported_at_module_level():
    for path in MODULES.values():
        top = imports(path, top_level_only=True)
        assert "matplotlib" not in {name.split(".")[0] for name in top}
