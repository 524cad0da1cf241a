"""Versions of what the package needs: those declared are those tested."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
# What `make test` installs, beside tools that check and document.
LINES = [
    *PROJECT["project"]["dependencies"],
    *(line for name in ("plot", "cli", "io", "skops", "onnx") for line in EXTRAS[name]),
    *PROJECT["dependency-groups"]["test"],
]
INSTALLED = [Requirement(line) for line in LINES]


def pins(name):
    lines = (ROOT / ".ci" / name).read_text().splitlines()
    found = [Requirement(line) for line in lines if not line.startswith("#")]
    return [(pin.name, next(iter(pin.specifier)).version) for pin in found]


@pytest.mark.parametrize("requirement", INSTALLED, ids=str)
def test_lower_bounds_are_what_the_oldest_set_has(requirement):
    (bound,) = requirement.specifier
    assert bound.operator == ">="
    assert Version(dict(pins("oldest.txt"))[requirement.name]) == Version(bound.version)


@pytest.mark.parametrize("requirement", INSTALLED, ids=str)
def test_the_newest_set_has_all_that_is_required(requirement):
    newest = [found for name, found in pins("newest.txt") if name == requirement.name]
    assert newest
    assert all(requirement.specifier.contains(version) for version in newest)
