"""Rows of the studies: what they are, which code they depend on, what they write."""

import ast
import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
RESULTS = ROOT / "benchmarks" / "results" / "studies"


@dataclass(frozen=True)
class Row:
    """An experiment: its name, its title, the data it reads, and what runs it.

    ``run`` returns a dict: "protocol", how it was measured; "source", what the text
    reports; "here", what we got, in a line; "verdict"; "holds", whether what the row
    asks for is met; "ours", all figures; "pictures", what pages draw, if anything.
    """

    name: str
    title: str
    data: tuple[str, ...]
    run: Callable[[], dict]

    @property
    def version(self):
        """Digest of the code that the row may run, without comments and docstrings."""
        digest = hashlib.sha256()
        for path in sorted(sources(self.run.__module__)):
            digest.update(essence(path.read_text()).encode())
        return digest.hexdigest()[:16]


ROWS: dict[str, Row] = {}


def row(name, title, *data):
    """Register a function as a row."""

    def register(function):
        ROWS[name] = Row(name, title, data, function)
        return function

    return register


@functools.cache
def essence(text):
    """Code of a module, without what cannot change a figure."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = None
    return ast.dump(tree)


def sources(module):
    """Files that a module needs: itself, what it imports, examples that it runs."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        for path in files_of(name):
            if path not in found:
                found.add(path)
                waiting += imports(path)
    return found


def files_of(name):
    """Files of a module or package and of those around it, or of an example."""
    example = EXAMPLES / name
    if example.is_file():
        yield example
    parts = name.split(".")
    for n in range(1, len(parts) + 1):
        path = ROOT.joinpath(*parts[:n])
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                yield candidate


@functools.cache
def imports(path):
    """Names in this repository that a file imports, and of examples that it runs."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and str(node.value).endswith(".py"):
            found.append(node.value)
        found += [n for n in names if n.split(".")[0] in ("skae", "benchmarks")]
    return found


def read(name, folder=RESULTS):
    """Return what a row has written."""
    return json.loads((folder / f"{name}.json").read_text())


def write(name, result, folder=RESULTS):
    """Write a row, each of its parts in a line."""
    lines = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in result.items()]
    path = folder / f"{name}.json"
    part = path.with_suffix(".part")
    part.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    part.replace(path)


def spread(runs):
    """Median, lowest and highest of each figure over runs."""
    if isinstance(runs[0], dict):
        return {name: spread([run[name] for run in runs]) for name in runs[0]}
    figures = (np.median(runs), np.min(runs), np.max(runs))
    return [float(f"{figure:.5g}") for figure in figures]


def shown(figures, digits=1):
    """Put a spread in words."""
    middle, low, high = (f"{figure:.{digits}f}" for figure in figures)
    return middle if low == high else f"{middle} ({low} to {high})"


def against(ours, other):
    """Say how a spread compares with another one, where higher is better."""
    if ours[1] > other[2]:
        return "ahead of"
    return "behind" if ours[2] < other[1] else "level, within the spread, with"


def points(is_outlier, anomaly):
    """ROC AUC and average precision in points."""
    return {
        "auroc": 100 * float(roc_auc_score(is_outlier, anomaly)),
        "ap": 100 * float(average_precision_score(is_outlier, anomaly)),
    }


def error(detector, X):
    """Mean squared error of the network on each row."""
    return np.mean((X - detector.reconstruct(X)) ** 2, axis=1)


def listed(array, digits=3):
    """Make lists of short numbers of an array."""
    return np.round(np.asarray(array, float), digits).tolist()
