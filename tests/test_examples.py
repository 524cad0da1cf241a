"""The examples of the documentation run and do what they say."""

import ast
import doctest
import io
import os
import re
import runpy
import shutil
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import optax
import pandas as pd
import pytest
from flax import nnx
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import skae.io
from skae import AutoencoderOutlierDetector
from tests.helpers import slow_but

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture(autouse=True)
def _no_window():
    mpl.use("agg")


def example(name, **options):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), **options)


@pytest.mark.slow
def test_a_network_of_ones_own_finds_malignant_rows(capsys):
    example("own_network", run_name="__main__")
    share, _, rest = capsys.readouterr().out.partition("%")
    assert int(share) > 65
    assert "second" in rest


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16 + np.random.default_rng(0).normal(scale=0.02, size=X.shape), y


@pytest.mark.slow
def test_fine_tuning_learns_labels_and_leaves_the_detector_alone(digits):
    X, y = digits
    fine_tuning = example("fine_tuning")
    detector = AutoencoderOutlierDetector(
        latent_dim=64, max_iter=30, random_state=0
    ).fit(X[:1200])
    before = detector.transform(X[:5])
    found = {}
    for name, network in (
        ("tuned", detector.to_module()),
        ("scratch", fine_tuning["untrained"](detector.to_module(), seed=0)),
    ):
        model = fine_tuning["fine_tune"](network, X[:50], y[:50], X, weight=1.0)
        logits = model(jnp.asarray(X[1200:], jnp.float32))
        found[name] = np.mean(logits.argmax(axis=1) == y[1200:])
    # Two standard errors of shares of so many rows.
    assert found["tuned"] > found["scratch"] - 0.035
    assert found["tuned"] > 0.6
    np.testing.assert_array_equal(detector.transform(X[:5]), before)


def test_moved_images_keep_their_pixels():
    moved = example("fine_tuning")["moved"]
    image = np.zeros((1, 28, 28), np.float32)
    image[0, 10:18, 10:18] = np.random.default_rng(0).random((8, 8))
    many = np.repeat(image.reshape(1, -1), 200, axis=0)
    got = np.asarray(moved(jax.random.key(0), jnp.asarray(many), 28))
    np.testing.assert_allclose(got.sum(axis=1), many.sum(axis=1), rtol=1e-5)
    assert len(np.unique(got, axis=0)) == 25


@pytest.mark.slow
def test_untrained_networks_have_other_weights_of_the_same_shapes(digits):
    fine_tuning = example("fine_tuning")
    module = AutoencoderOutlierDetector(max_iter=1).fit(digits[0]).to_module()
    fresh = fine_tuning["untrained"](module, seed=1)
    pairs = zip(
        nnx.to_flat_state(nnx.state(module, nnx.Param)),
        nnx.to_flat_state(nnx.state(fresh, nnx.Param)),
        strict=True,
    )
    for (path, old), (_, new) in pairs:
        assert old.shape == new.shape
        if path[-1] == "kernel":
            assert np.any(old[...] != new[...])


def test_places_on_the_gaussian_are_those_of_their_class():
    grid = example("style_grid")
    classes = np.arange(10)
    for share in (0.01, 0.5, 0.99):
        places = jnp.asarray(grid["place"](classes, share), jnp.float32)
        np.testing.assert_array_equal(grid["one_hot"](places[:, None]), np.eye(10))


@pytest.mark.slow
def test_style_is_apart_from_class(digits):
    """Classes are not to be read from the styles, unlike from plain codes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    X, y = digits
    grid = example("style_grid")
    share = np.random.default_rng(1).uniform(0.01, 0.99, size=len(y))
    rows = np.column_stack([X, grid["place"](y, share)])
    found = {}
    for bottleneck in ("plain", "adversarial"):
        detector = AutoencoderOutlierDetector(
            network=grid["StyleNetwork"],
            bottleneck=bottleneck,
            corruption=None,
            max_iter=300,
            random_state=0,
        ).fit(rows)
        style = detector.transform(rows)[:, :-1]
        model = LogisticRegression(max_iter=2000)
        found[bottleneck] = cross_val_score(model, style, y).mean()
    assert found["adversarial"] < 0.3
    assert found["adversarial"] < found["plain"] - 0.1


# Packages that pages speak of, whose blocks are run where they are installed.
FOREIGN = {"keras", "mlflow", "pyod"}

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# Their searches, clusters and many fits take a while.
LONG = {
    "first_steps.md",
    "migrate.md",
    "pictures.md",
    "scale.md",
    "thresholds.md",
    "user_guide.md",
}


def blocks(page):
    """Python of a page, with its line: of fences, and of what the build draws."""
    text = page.read_text()
    fence = r"^```(python|\{eval-rst\}\n\.\. plot::)\n(.*?)^```$"
    for found in re.finditer(fence, text, re.M | re.S):
        without_options = re.sub(r"\A( {3}:.*\n( {6}.*\n)*)*", "", found[2])
        yield text[: found.start(2)].count("\n"), textwrap.dedent(without_options)


def lacks_a_package(code):
    names = re.findall(r"^(?:>>> )?(?:import|from) (\w+)", code, re.M)
    return any(find_spec(name) is None for name in FOREIGN.intersection(names))


def run_block(code, names, page, line):
    """Run a block among the names of those before it; what it prints must be right."""
    if ">>>" not in code:
        exec(compile("\n" * line + code, page, "exec"), names)
        return
    block = doctest.DocTestParser().get_doctest(code, {}, page, page, line)
    block.globs = names
    runner, said = doctest.DocTestRunner(), io.StringIO()
    runner.run(block, out=said.write, clear_globs=False)
    assert not runner.failures, said.getvalue()


def taken_for_granted(page):
    """Names of rows and detectors that the text of a page does not make."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4)).astype(np.float32)
    X[::10] += 4 * rng.choice([-1, 1], size=(40, 4))
    y = np.where(np.arange(400) % 10, 1, -1)
    detector = AutoencoderOutlierDetector(max_iter=5, random_state=0)
    pipeline = Pipeline([("scale", StandardScaler()), ("detect", detector)])
    classes = AutoencoderOutlierDetector, GridSearchCV, Pipeline, StandardScaler
    names = {kind.__name__: kind for kind in classes}
    names |= {"np": np, "X": X, "y": y, "X_normal": X[y == 1], "X_new": X}
    if page == "first_steps.md":
        table = pd.DataFrame(X, columns=[*"abcd"]).where(rng.random(X.shape) > 0.02)
        kind = rng.choice(["red", "blue"], size=400)
        table.assign(kind=kind, defect=y == -1).to_csv("mine.csv", index=False)
    if page == "user_guide.md":
        np.save("rows.npy", X)
        gaps = np.where(rng.random(X.shape) < 0.05, np.nan, X)
        detector = clone(detector).set_params(missing="mask").fit(gaps)
        return names | {"X": gaps, "detector": detector, "stream": [X[:200], X[200:]]}
    fitted = clone(detector).fit(X[y == 1])
    rows = np.arange(400)
    return names | {
        "detector": fitted,
        "fitted": fitted,
        "pipeline": clone(pipeline).fit(X),
        "train": rows[:200],
        "validation": rows[200:],
        "frame": pd.DataFrame(X, columns=[*"abcd"]),
        "my_optimizer": optax.adam,
    }


@pytest.mark.parametrize(
    "page",
    slow_but([page for page in PAGES if page.name not in LONG], PAGES),
    ids=lambda page: page.name,
)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = [block for block in blocks(page) if not lacks_a_package(block[1])]
    names = taken_for_granted(page.name) if found else {}
    for line, code in found:
        run_block(code, names, str(page), line)
    plt.close("all")


def test_no_python_of_a_page_is_overlooked():
    """Fences of other spellings would not be run, nor would indented ones."""
    for page in PAGES:
        text = page.read_text()
        fences = re.findall(r"^ *[`~:]{3,} *\{?(?:i?py|code|plot)", text, re.M)
        assert len(fences) == text.count("\n```python\n"), page.name


def test_every_picture_is_described_and_has_a_file_of_its_own():
    files = []
    for page in PAGES:
        text = page.read_text()
        assert "![](" not in text, page.name
        for options in re.findall(
            r"^\.\. plot::(.*\n(?: {3}:.*\n(?: {6}.*\n)*)*)", text, re.M
        ):
            assert ":nofigs:" in options or ":alt:" in options, options
            if ":nofigs:" not in options:
                files += re.findall(r"prefix: (.*)|^ (.*)", options)
    assert len(files) == len(set(files)) > 10


def test_links_of_the_readme_lead_somewhere():
    """Those between pages of the documentation are checked by its build."""
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    assert "docs/first_steps.md" in links
    for link in links:
        assert (ROOT / link).is_file(), link


def test_messages_that_the_page_of_troubles_quotes_are_those_of_the_package():
    said = [
        node.value
        for path in ROOT.joinpath("skae").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    page = ROOT.joinpath("docs/troubleshooting.md").read_text()
    quoted = re.findall(r"^`(.*)`\n: ", page, re.M)
    assert len(quoted) > 20
    for message in quoted:
        for part in message.split("…"):
            assert any(part in text for text in said), message


@pytest.mark.slow
def test_spark_scores_as_the_detector_does(tmp_path):
    """By two workers of a local Spark, where it and Java are installed."""
    pytest.importorskip("pyspark")
    if not shutil.which("java"):
        pytest.skip("there is no Java")
    rows = pd.DataFrame(
        np.random.default_rng(0).normal(size=(500, 3)), columns=[*"abc"]
    )
    detector = AutoencoderOutlierDetector(max_iter=5, random_state=0).fit(rows)
    skae.io.save(detector, tmp_path / "detector.skae")
    rows.assign(name=[f"row {i}" for i in range(500)]).to_parquet(tmp_path / "rows")
    script = [sys.executable, str(EXAMPLES / "spark_score.py")]
    paths = [str(tmp_path / name) for name in ("detector.skae", "rows", "scores")]
    environment = os.environ | {
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": "--master local[2] pyspark-shell",
    }
    subprocess.run([*script, *paths], check=True, env=environment)
    found = pd.read_parquet(tmp_path / "scores").sort_values(
        "name", key=lambda names: names.str.removeprefix("row ").astype(int)
    )
    assert list(found) == ["a", "b", "c", "name", "score", "is_outlier"]
    np.testing.assert_array_equal(found["score"], detector.score_samples(rows))
    np.testing.assert_array_equal(found["is_outlier"], detector.predict(rows) == -1)
