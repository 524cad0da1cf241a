"""Imports go one way, rooms stay small, and no name has a branch of its own."""

import ast
import graphlib
from pathlib import Path

import pytest

import skae
from skae.core.bottlenecks import BOTTLENECKS
from skae.core.networks import NETWORKS
from skae.core.scores import SCORES

ROOT = Path(skae.__file__).parent
MODULES = {
    ".".join(("skae", *path.relative_to(ROOT).with_suffix("").parts)): path
    for path in sorted(ROOT.rglob("*.py"))
}
IN_CORE = [name for name in MODULES if name.startswith("skae.core.")]
ACCELERATED = {"jax", "jaxlib", "flax", "optax"}

# What each room of the core, a module or a package, may import of the others.
CORE = {
    "__init__": set(),
    # Leaves.
    "batching": set(),
    "compilation": set(),
    "config": set(),
    "course": set(),
    "errors": set(),
    "gaussian": set(),
    "layers": set(),
    "losses": set(),
    "program_cache": set(),
    # Tools and values.
    "ball": {"batching", "gaussian"},
    "corruptions": {"config"},
    "devices": {"errors"},
    "memory": {"gaussian"},
    "piecewise": {"gaussian"},
    "reservoir": {"batching"},
    "robust": {"gaussian"},
    "sample": {"ball", "batching", "gaussian"},
    "spread": {"batching", "gaussian"},
    "bottlenecks": {"config", "layers", "losses"},
    "networks": {"bottlenecks", "compilation", "config", "errors", "layers"},
    "penalties": {"bottlenecks", "config", "losses"},
    # Training.
    "objective": {
        "bottlenecks",
        "config",
        "corruptions",
        "losses",
        "networks",
        "penalties",
    },
    "optimizers": {"bottlenecks", "compilation", "config"},
    "steps": {
        "bottlenecks",
        "compilation",
        "config",
        "course",
        "networks",
        "objective",
        "optimizers",
    },
    "training": {"batching", "bottlenecks", "compilation", "config", "course", "steps"},
    # Scoring.
    "blocks": {"ball", "compilation", "config", "gaussian", "networks"},
    "members": {
        "ball",
        "batching",
        "blocks",
        "compilation",
        "config",
        "devices",
        "gaussian",
        "networks",
    },
    "views": {"blocks", "gaussian", "networks"},
    "scores": {
        "ball",
        "blocks",
        "bottlenecks",
        "config",
        "gaussian",
        "memory",
        "networks",
        "piecewise",
        "robust",
        "sample",
        "views",
    },
    "statistics": {
        "config",
        "gaussian",
        "members",
        "memory",
        "sample",
        "scores",
        "spread",
        "views",
    },
    # What the shell calls.
    "usual": {"gaussian", "scores", "spread"},
    "model": {
        "batching",
        "blocks",
        "bottlenecks",
        "config",
        "gaussian",
        "layers",
        "members",
        "networks",
        "sample",
        "scores",
        "spread",
        "statistics",
        "usual",
        "views",
    },
    "checking": {
        "bottlenecks",
        "config",
        "gaussian",
        "model",
        "networks",
        "scores",
        "statistics",
    },
    "splitting": {
        "ball",
        "batching",
        "config",
        "corruptions",
        "gaussian",
        "robust",
        "sample",
        "scores",
    },
    "kept": {"config", "gaussian", "model"},
    "averaging": {"batching", "config", "course", "fitting", "training"},
    "folds": {
        "batching",
        "config",
        "devices",
        "fitting",
        "model",
        "sample",
        "scores",
        "splitting",
        "statistics",
    },
    "fitting": {
        "batching",
        "bottlenecks",
        "compilation",
        "config",
        "course",
        "devices",
        "gaussian",
        "members",
        "model",
        "networks",
        "optimizers",
        "sample",
        "scores",
        "splitting",
        "statistics",
        "training",
        "views",
    },
}

# Rooms of the core that modules of the shell call. The plan is made of all registries.
SHELL = {
    "skae._programs": {"program_cache"},
    "skae._detector": {"bottlenecks", "devices", "kept", "model", "usual"},
    "skae._fitting": {
        "batching",
        "config",
        "course",
        "fitting",
        "folds",
        "gaussian",
        "losses",
        "model",
        "sample",
        "splitting",
        "spread",
    },
    "skae._plan": {
        "bottlenecks",
        "config",
        "corruptions",
        "errors",
        "losses",
        "networks",
        "optimizers",
        "penalties",
        "scores",
    },
    "skae._streaming": {
        "batching",
        "config",
        "fitting",
        "memory",
        "reservoir",
        "splitting",
        "spread",
    },
    "skae._warnings": {"fitting", "gaussian", "splitting", "spread"},
    "skae.dask._fit": {
        "averaging",
        "ball",
        "batching",
        "config",
        "course",
        "fitting",
        "gaussian",
        "losses",
        "model",
        "robust",
        "sample",
        "scores",
        "splitting",
        "spread",
    },
    "skae.dask._tasks": {
        "averaging",
        "batching",
        "config",
        "course",
        "gaussian",
        "model",
        "splitting",
        "spread",
    },
    "skae.io._contents": {"checking"},
    "skae.io._onnx": {"bottlenecks", "networks", "scores"},
    "skae.io._onnx_graph": {
        "ball",
        "batching",
        "bottlenecks",
        "gaussian",
        "model",
        "networks",
        "scores",
        "spread",
    },
    "skae.testing": {"compilation"},
}


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


def rooms(path):
    """Rooms of the core that a module imports."""
    found = (imported.split(".") for imported in imports(path))
    return {parts[2] for parts in found if parts[:2] == ["skae", "core"]}


@pytest.mark.parametrize("name", IN_CORE)
def test_core_imports_go_one_way(name):
    assert not any(
        imported.startswith("skae") and not imported.startswith("skae.core.")
        for imported in imports(MODULES[name])
    )
    room = name.split(".")[2]
    assert rooms(MODULES[name]) - {room} <= CORE[room]


def test_modules_of_the_core_import_each_other_without_circles():
    graph = {
        name: {
            other
            for imported in imports(MODULES[name])
            for other in (imported, imported.rpartition(".")[0])
            if other in MODULES and other != name
        }
        for name in IN_CORE
    }
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) >= len(graph)


@pytest.mark.parametrize("name", IN_CORE)
def test_modules_and_functions_of_the_core_stay_small(name):
    text = MODULES[name].read_text()
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[ast.get_docstring(node) is not None :]
            assert not body or node.end_lineno - body[0].lineno < 40, node.name


# Where a name is declared: its registry, and its own file.
REGISTRIES = {
    "skae.core.scores.__init__",
    "skae.core.bottlenecks.__init__",
    "skae.core.networks.binding",
}
NAMES = {*SCORES, *BOTTLENECKS, *NETWORKS}


def named(node):
    """Names of scores, bottlenecks and networks that an operand holds."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and part.value in NAMES:
            yield part.value
        # A value of a registry is written in capitals, as constants are.
        name = getattr(part, "id", getattr(part, "attr", ""))
        if name.isupper() and name.lower() in NAMES:
            yield name


@pytest.mark.parametrize("name", sorted(set(MODULES) - REGISTRIES))
def test_no_score_bottleneck_or_network_has_a_branch_on_its_name(name):
    found = []
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, (ast.Compare, ast.match_case)):
            found += named(node.pattern if isinstance(node, ast.match_case) else node)
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", "") == "startswith"
        ):
            found += [value for part in node.args for value in named(part)]
    assert not found


def test_the_detector_imports_the_core_lazily():
    top = set(imports(MODULES["skae._detector"], top_level_only=True))
    assert not any("core" in name or "_fitting" in name for name in top)


def test_the_shell_calls_the_core_where_it_plans_fits_scores_and_exports():
    for name, path in MODULES.items():
        if not name.startswith("skae.core"):
            assert rooms(path) <= SHELL.get(name, set()), name


def test_matplotlib_is_never_imported_at_module_level():
    for path in MODULES.values():
        top = imports(path, top_level_only=True)
        assert "matplotlib" not in {name.split(".")[0] for name in top}


def test_dask_is_imported_in_its_own_room_alone():
    for name, path in MODULES.items():
        if not name.startswith("skae.dask"):
            assert not packages(path) & {"dask", "distributed"}, name
