import importlib
import inspect
import pkgutil
import pydoc
from pathlib import Path

import pytest
from numpydoc.validate import validate

import skae
from skae import AutoencoderOutlierDetector
from skae._plan import CHOICES
from skae.core.penalties import PENALTIES

PUBLIC = [
    importlib.import_module(info.name)
    for info in pkgutil.walk_packages(skae.__path__, "skae.")
    if not any(part.startswith("_") for part in info.name.split("."))
    and not info.name.startswith("skae.core")
] + [skae]

# GL01, GL02: where the first line stands; ES01, SA01, EX01: not for every function;
# GL08: __init__ is documented by its class; RT02: self is named by its type.
IGNORED = {"GL01", "GL02", "GL03", "ES01", "SA01", "SA04", "EX01", "PR01", "PR02"}


def public_names():
    for module in PUBLIC:
        for name in getattr(module, "__all__", vars(module)):
            value = getattr(module, name)
            if name.startswith("_") or inspect.ismodule(value):
                continue
            if getattr(value, "__module__", "").startswith("skae") and callable(value):
                yield f"{module.__name__}.{name}"


def public_classes():
    for module in PUBLIC:
        for name in getattr(module, "__all__", []):
            if inspect.isclass(getattr(module, name)):
                yield f"{module.__name__}.{name}", getattr(module, name)


def public_methods():
    for path, owner in public_classes():
        for name, value in vars(owner).items():
            if not name.startswith("_") and callable(value):
                yield f"{path}.{name}"


@pytest.mark.parametrize("name", sorted({*public_names(), *public_methods()}))
def test_docstrings_are_complete(name):
    errors = [
        f"{code}: {text}"
        for code, text in validate(name)["errors"]
        if code not in IGNORED
    ]
    assert errors == []


@pytest.mark.parametrize("name", sorted({*public_names(), *public_methods()}))
def test_parameters_and_results_have_types(name):
    value = pydoc.locate(name)
    signature = inspect.signature(value.__init__ if inspect.isclass(value) else value)
    for parameter in signature.parameters.values():
        assert parameter.name == "self" or parameter.annotation is not parameter.empty
    assert signature.return_annotation is not signature.empty


def test_the_package_says_that_it_has_types():
    assert Path(skae.__file__).with_name("py.typed").is_file()


def test_every_parameter_and_attribute_is_documented(blobs, small):
    rows, _ = blobs
    doc = inspect.getdoc(AutoencoderOutlierDetector)
    for name in AutoencoderOutlierDetector().get_params():
        assert f"\n{name} : " in doc
    for name in vars(small().fit(rows)):
        if name.endswith("_") and not name.startswith("_"):
            assert f"\n{name} : " in doc or name == "feature_names_in_"


def test_every_parameter_of_every_class_is_documented():
    for _, owner in public_classes():
        doc = inspect.getdoc(owner)
        for name in inspect.signature(owner).parameters:
            assert f"\n{name} : " in doc, f"{owner.__name__}: {name}"


def test_all_names_exist_and_are_public():
    for module in PUBLIC:
        for name in getattr(module, "__all__", []):
            assert hasattr(module, name)
    assert skae.__all__ == ["AutoencoderOutlierDetector", "keep_programs"]


def test_every_registered_value_is_in_the_docstring_and_the_user_guide():
    guide = Path(__file__).parents[1].joinpath("docs/user_guide.md").read_text()
    doc = inspect.getdoc(AutoencoderOutlierDetector)
    for parameter, names in CHOICES.items():
        for name in names:
            assert f'"{name}"' in doc, parameter
            assert f'"{name}"' in guide, parameter
    for name in PENALTIES:
        assert f"`{name}" in guide


def test_every_public_name_has_its_page_of_the_documentation():
    pages = Path(__file__).parents[1].joinpath("docs/api").glob("*.rst")
    lines = {line.strip() for page in pages for line in page.read_text().split("\n")}
    for module in PUBLIC:
        for name in getattr(module, "__all__", []):
            assert {name, f".. py:data:: {name}"} & lines, f"{module.__name__}.{name}"


def test_parameters_are_keyword_only():
    parameters = inspect.signature(AutoencoderOutlierDetector).parameters.values()
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters)
