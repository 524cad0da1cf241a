"""The examples of the documentation run and do what they say."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from flax import nnx
from sklearn.datasets import load_digits

import skae.io
from skae import AutoencoderOutlierDetector

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture(autouse=True)
def _no_window():
    mpl.use("agg")


def example(name, **options):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), **options)


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
    assert found["tuned"] > found["scratch"] - 0.02
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
@pytest.mark.parametrize("name", ["generate", "style_grid"])
def test_pictures_are_drawn(name, tmp_path):
    example(name)["main"](tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


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


@pytest.mark.slow
def test_every_picture_of_the_documentation_is_drawn(tmp_path):
    """And every picture is made by a script, and described."""
    example("pictures")["main"](tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    over_time = {"alarms.png", "signals.png", "heatmap.png"}
    folder = EXAMPLES.parent / "pictures"
    assert drawn | over_time == {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_what_the_readme_shows_runs_from_top_to_bottom(tmp_path, monkeypatch):
    """Doctests are only those lines that have a prompt."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S
    ):
        lines = re.findall(r"^(?:>>>|\.\.\.) ?(.*)$", block, re.M)
        exec("\n".join(lines) if ">>>" in block else block, names)
    assert names["onnx_model"].graph.output[0].name == "label"
    assert Path("detector.skae").exists()


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
