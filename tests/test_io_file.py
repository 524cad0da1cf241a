"""Saving and loading: what comes back, and what damaged or hostile files do."""

import functools
import json
import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderOutlierDetector
from skae.core.scores import SCORES
from skae.io import load, save
from skae.io._container import NO_DIGEST
from tests.helpers import parts, refused, resealed, sealed, slow_but

GOLDEN = Path(__file__).parent / "golden"


def halve(learning_rate):
    """Return an optimizer: a factory for tests."""
    import optax

    return optax.sgd(learning_rate / 2)


def with_header(data, change):
    """Bytes whose inner header went through ``change``, with a right digest."""
    header, payload = parts(data)
    inner = json.loads(header["__metadata__"]["skae"])
    change(inner)
    header["__metadata__"]["skae"] = json.dumps(inner)
    return sealed(header, payload)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A fitted detector, the path of its file and the bytes in it."""
    X = np.random.default_rng(0).normal(size=(80, 3))
    detector = AutoencoderOutlierDetector(
        hidden_layer_sizes=(4,), latent_dim=2, max_iter=2, random_state=0
    ).fit(pd.DataFrame(X, columns=["a", "b", "c"]))
    path = tmp_path_factory.mktemp("saved") / "detector.skae"
    save(detector, path)
    return detector, path, path.read_bytes()


@pytest.mark.parametrize("score", slow_but(("learned",), SCORES))
def test_what_is_loaded_is_what_was_saved(score, small, blobs, tmp_path):
    rows, outliers = blobs
    frame = pd.DataFrame(rows, columns=list("abcdef"))
    detector = small(
        anomaly_score=score,
        n_estimators=2,
        warm_start=True,
        hidden_layer_sizes=[16, np.int64(8)],
        corruption_scale=(0.1, 0.5),
        random_state=np.random.RandomState(3),
    ).fit(frame)
    save(detector, tmp_path / "a.skae")
    loaded = load(tmp_path / "a.skae")
    assert set(vars(loaded)) == set(vars(detector))
    assert loaded.get_params().keys() == detector.get_params().keys()
    assert loaded.hidden_layer_sizes == [16, 8]
    assert loaded.corruption_scale == (0.1, 0.5)
    assert loaded.random_state.randint(1000) == detector.random_state.randint(1000)
    test = pd.DataFrame(outliers, columns=list("abcdef"))
    for method in ("score_samples", "predict", "p_values", "transform", "reconstruct"):
        np.testing.assert_array_equal(
            getattr(loaded, method)(test), getattr(detector, method)(test)
        )
    assert loaded.explain(test) == detector.explain(test)
    assert loaded.summary() == detector.summary()
    assert loaded.history_ == detector.history_
    # Training goes on as it would have.
    np.testing.assert_array_equal(
        loaded.fit(frame).score_samples(test), detector.fit(frame).score_samples(test)
    )
    assert sorted(os.listdir(tmp_path)) == ["a.skae"]


def test_parameters_changed_after_fit_are_kept(saved, tmp_path):
    detector, path, _ = saved
    other = load(path).set_params(latent_dim=7, n_estimators=3, device="cpu")
    other.calibrate(threshold=-3.5)
    save(other, tmp_path / "b")
    loaded = load(str(tmp_path / "b"))
    assert loaded.get_params() == other.get_params()
    assert loaded.offset_ == -3.5
    assert loaded.architecture_ == detector.architecture_


def test_output_settings_are_kept(saved, tmp_path):
    _, path, _ = saved
    save(load(path).set_output(transform="pandas"), tmp_path / "b")
    X = pd.DataFrame(np.eye(3), columns=["a", "b", "c"])
    assert isinstance(load(tmp_path / "b").transform(X), pd.DataFrame)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"contamination": 0.9}, "'contamination' parameter"),
        ({"learning_rate": np.nan}, "'learning_rate' parameter"),
        ({"latent_dim": "x"}, "'latent_dim' parameter"),
        ({"random_state": "seed"}, "cannot be used to seed"),
        ({"random_state": np.random.RandomState(np.random.PCG64(3))}, "has PCG64"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(changes, message, saved, tmp_path):
    _, path, _ = saved
    with pytest.raises(ValueError, match=message):
        save(load(path).set_params(**changes), tmp_path / "b")
    assert not os.listdir(tmp_path)


def test_any_memory_layout_is_saved_in_order(saved, tmp_path):
    detector, path, _ = saved
    other = load(path)
    for name, array in other.weights_.items():
        other.weights_[name] = np.asfortranarray(array)
    other.calibration_scores_ = other.calibration_scores_[::-1][::-1]
    save(other, tmp_path / "b")
    X = pd.DataFrame(np.eye(3), columns=["a", "b", "c"])
    np.testing.assert_array_equal(
        load(tmp_path / "b").score_samples(X), detector.score_samples(X)
    )


def test_a_file_is_safetensors_with_plain_names(saved, tmp_path):
    from safetensors.numpy import load_file

    detector, path, data = saved
    save(load(path), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == data
    tensors = load_file(path)
    np.testing.assert_array_equal(
        tensors["weights/encoder.0.kernel"], detector.weights_["encoder.0.kernel"]
    )
    inner = json.loads(parts(data)[0]["__metadata__"]["skae"])
    assert inner["schema"] == 1
    assert inner["feature_names"] == ["a", "b", "c"]
    assert inner["versions"].keys() >= {"skae", "python", "jax", "numpy"}


def test_size_is_that_of_the_arrays(small, tmp_path):
    X = np.random.default_rng(0).normal(size=(20_000, 30))
    detector = small(max_iter=1, hidden_layer_sizes=(256,), latent_dim=128).fit(X)
    save(detector, tmp_path / "a")
    declared = sum(
        array.nbytes
        for arrays in (detector.weights_, detector.statistics_)
        for array in arrays.values()
    )
    declared += detector.calibration_scores_.nbytes
    assert (tmp_path / "a").stat().st_size < 1.2 * declared


@pytest.mark.parametrize(
    "path", sorted(GOLDEN.glob("schema-*.skae")), ids=lambda p: p.stem
)
def test_golden_files_keep_loading(path):
    X = np.random.default_rng(1).normal(size=(60, 3))
    X = pd.DataFrame(X, columns=["a", "b", "é"])
    detector = load(path)
    np.testing.assert_allclose(
        detector.score_samples(X),
        np.loadtxt(path.with_suffix(".txt")),
        rtol=1e-5,
        atol=1e-6,
    )
    detector.set_params(warm_start=False).fit(X)


def test_callables_are_named_and_passed_in(blobs, small, tmp_path):
    rows, _ = blobs
    detector = small(optimizer=halve).fit(rows)
    save(detector, tmp_path / "a")
    name = f"{__name__}.halve"
    with pytest.raises(ValueError, match=rf"needs callables=\{{'{name}': \.\.\.\}}"):
        load(tmp_path / "a")
    with pytest.raises(ValueError, match="needs callables"):
        load(tmp_path / "a", callables={"halve": halve})
    loaded = load(tmp_path / "a", callables={name: halve})
    assert loaded.optimizer is halve
    with pytest.raises(ValueError, match="'optimizer' parameter"):
        load(tmp_path / "a", callables={name: 3})


def test_only_fitted_detectors_are_saved(small, blobs, tmp_path):
    with pytest.raises(NotFittedError):
        save(small(), tmp_path / "a")
    pipeline = make_pipeline(StandardScaler(), small()).fit(blobs[0])
    with pytest.raises(TypeError, match=r"Got Pipeline\. Save Pipelines .* skops"):
        save(pipeline, tmp_path / "a")
    unnamed = small().fit(blobs[0]).set_params(optimizer=object())
    with pytest.raises(ValueError, match="'optimizer' parameter"):
        save(unnamed, tmp_path / "a")
    unnamed.set_params(optimizer=functools.partial(halve))
    with pytest.raises(TypeError, match="Only functions and classes"):
        save(unnamed, tmp_path / "a")
    named = small().fit(blobs[0])
    named.feature_names_in_ = np.array(["x" * 2_000_000] * 6, dtype=object)
    with pytest.raises(ValueError, match="names of the features take more than"):
        save(named, tmp_path / "a")
    assert not os.listdir(tmp_path)


def test_a_missing_package_is_named(saved, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (lambda: load(saved[1]), lambda: save(saved[0], tmp_path / "a")):
        with pytest.raises(ImportError, match=r"pip install 'skae\[io\]'"):
            call()


def test_paths(saved, tmp_path):
    detector, _, data = saved
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        save(detector, tmp_path / "missing" / "a")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for special in (tmp_path, fifo):
        with pytest.raises(OSError, match="not a regular file"):
            save(detector, special)
    for special in ("/dev/zero", fifo, tmp_path):
        with pytest.raises(ValueError, match="not a regular file"):
            load(special)
    fifo.unlink()
    link = tmp_path / "link"
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o600)
    link.symlink_to(tmp_path / "file")
    save(detector, link)
    assert link.is_symlink()
    assert (tmp_path / "file").read_bytes() == data
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    name = "ü" * 120 + ".skae"
    save(detector, os.fsencode(tmp_path / name))
    load(os.fsencode(tmp_path / name))
    (tmp_path / name).unlink()
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def test_a_failed_write_keeps_the_old_file(saved, tmp_path, monkeypatch):
    detector, _, data = saved
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def full(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        save(detector, target)
    monkeypatch.undo()
    monkeypatch.setattr(Path, "read_bytes", lambda self: data[:-1])
    with pytest.raises(OSError, match="does not hold what was written"):
        save(detector, target)
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def damaged(data, other, rng):
    """Return some damage of the bytes, never the bytes themselves."""
    length = struct.unpack("<Q", data[:8])[0]
    kind = rng.integers(6)
    if kind < 2:
        # A flipped bit, as often in the header as in the rest.
        end = 8 + length if kind else len(data)
        position = rng.integers(end)
        flipped = bytes([data[position] ^ (1 << rng.integers(8))])
        return data[:position] + flipped + data[position + 1 :]
    if kind == 2:
        return data[: rng.integers(len(data))]
    if kind == 3:
        declared = int(rng.integers(2**63, dtype=np.uint64)) >> int(rng.integers(63))
        return struct.pack("<Q", declared + (declared == length)) + data[8:]
    if kind == 4:
        # The header of one file and the payload of another.
        return data[: 8 + length] + parts(other)[1]
    return data + bytes(rng.integers(256, size=rng.integers(1, 20), dtype=np.uint8))


def hostile_value(rng):
    values = [
        None, True, -1, 0, 2**31, 10**18, 1e308, "", "x" * 1000, "os.system", "../../x",
        [], {}, [[]], {"tuple": [10**9] * 3}, {"callable": "os.system"},
        {"RandomState": ["MT19937", [1] * 624, 5, 0, 0.0]}, {"dict": {}}, {"dict": []},
        {"a": 1, "b": 2}, float("nan"), float("inf"), "combined", "joint", "nan",
    ]  # fmt: skip
    return values[rng.integers(len(values))]


def hostile(data, rng):
    """Return bytes with a right digest and a wrong value somewhere in the header."""
    header, payload = parts(data)
    inner = json.loads(header["__metadata__"]["skae"])
    outer = rng.integers(3) == 0
    place = header if outer else inner
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = list(keys)[rng.integers(len(keys))]
        deeper = place[key]
        if not isinstance(deeper, (dict, list)) or not deeper or rng.integers(3) == 0:
            break
        place = deeper
    place[key] = hostile_value(rng)
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict):
        metadata = header["__metadata__"] = {}
    if not outer:
        metadata["skae"] = json.dumps(inner)
    return sealed(header, payload)


@pytest.mark.parametrize("n_files", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_damaged_files_are_refused(n_files, saved, tmp_path):
    _, _, data = saved
    other = (GOLDEN / "schema-1-joint.skae").read_bytes()
    rng = np.random.default_rng(n_files)
    path = tmp_path / "a"
    for _ in range(n_files):
        refused(damaged(data, other, rng), path)


@pytest.mark.parametrize("n_files", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_hostile_files_are_refused_or_work(n_files, saved, tmp_path):
    """A value may be another valid one, such as a name of a feature."""
    _, _, data = saved
    rng = np.random.default_rng(n_files)
    path = tmp_path / "a"
    n_refused = 0
    for _ in range(n_files):
        path.write_bytes(hostile(data, rng))
        try:
            loaded = load(path)
        except ValueError as error:
            assert "cannot be loaded" in str(error)
            n_refused += 1
        else:
            assert isinstance(loaded, AutoencoderOutlierDetector)
            loaded.summary()
    assert n_refused > 0.7 * n_files


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(tmp_path_factory, content):
    refused(content, tmp_path_factory.getbasetemp() / "bytes")


CHANGES = {
    "schema 2, and this version reads 1": lambda h: h.update(schema=2),
    "schema '1'": lambda h: h.update(schema="1"),
    "unknown class": lambda h: h.update({"class": "IsolationForest"}),
    "lacks a part": lambda h: h.pop("score"),
    "is malformed": lambda h: h.update(parameters=[1]),
    "architecture": lambda h: h.update(score="other"),
    "statistics do not have the shapes": lambda h: h.update(score="nearest"),
    "'latent_dim' parameter": lambda h: h["parameters"].update(latent_dim=0),
    "unknown kind": lambda h: h["parameters"].update(latent_dim={"path": "/etc/x"}),
    "needs callables": lambda h: h["parameters"].update(
        optimizer={"callable": "os.system"}
    ),
    "weights do not have the shapes": lambda h: h["architecture"]["dict"].update(
        n_features=2
    ),
    "architecture is not": lambda h: h["architecture"]["dict"].update(
        latent_dim=10**12
    ),
    "feature names": lambda h: h.update(feature_names=[1, 2, 3]),
    "has shape": lambda h: h.update(feature_names=["a"]),
    "MT19937": lambda h: h["parameters"].update(
        random_state={"RandomState": ["MT19937", [1] * 624, -(10**9), 0, 0.0]}
    ),
    "lacks a part or": lambda h: h["parameters"].update(
        random_state={"RandomState": ["MT19937", [10**30] * 624, 5, 0, 0.0]}
    ),
    "cannot be used to seed": lambda h: h["parameters"].update(random_state="abc"),
    "set_output|malformed": lambda h: h.update(output_config={"predict": "pandas"}),
    "schema True": lambda h: h.update(schema=True),
    "another number of networks": lambda h: h.update(optimizer_leaves=[1, 2]),
    "an unknown parameter|malformed": lambda h: h["parameters"].update(nonsense=1),
}


@pytest.mark.parametrize("message", CHANGES)
def test_what_is_wrong_is_said(message, saved, tmp_path):
    refused(with_header(saved[2], CHANGES[message]), tmp_path / "a", message)


def test_deep_nesting_is_refused(saved, tmp_path):
    header, payload = parts(saved[2])
    deep = "[" * 100_000 + "]" * 100_000
    header["__metadata__"]["skae"] = f'{{"sha256": "{NO_DIGEST}", "schema": {deep}}}'
    refused(sealed(header, payload), tmp_path / "a", "malformed")


def test_tensors_are_checked(saved, tmp_path):
    from safetensors.numpy import load as parse
    from safetensors.numpy import save as serialise

    header, _ = parts(saved[2])
    metadata = header["__metadata__"]

    def refused_with(match, **changes):
        tensors = parse(saved[2]) | changes
        tensors = {name: array for name, array in tensors.items() if array is not None}
        refused(resealed(serialise(tensors, metadata)), tmp_path / "a", match)

    kernel = parse(saved[2])["weights/encoder.0.kernel"]
    refused_with("not all finite", **{"weights/encoder.0.kernel": kernel * np.nan})
    refused_with("of type int32", **{"weights/encoder.0.kernel": kernel.astype("i4")})
    refused_with("shapes", **{"weights/encoder.0.kernel": kernel[:, :2]})
    refused_with("shapes", **{"weights/../../x": kernel})
    refused_with("unknown tensor", **{"../../x": kernel})
    refused_with("lacks a part", offset=None)
    refused_with("shape", offset=np.array(1, np.float32))
    refused_with("not finite", offset=np.array(np.nan))
    refused_with("shape", calibration_scores=np.ones((2, 2)))
    for scores in ([], [2.0, 1.0], [np.nan]):
        refused_with("ascending order", calibration_scores=np.array(scores))
    refused_with("shape", seeds=np.ones(5, np.int64))
    refused_with("seeds", seeds=np.array([1, -1]))
    refused_with("history", **{"history/validation_loss": None})
    refused_with("history", **{"history/epoch_seconds": np.ones(7)})
    for name in ("scale", "view_unit", "view_floor"):
        name = f"statistics/{name}"
        refused_with("all positive", **{name: 0 * parse(saved[2])[name]})
    header["__metadata__"]["skae"] = header["__metadata__"]["skae"].replace(
        '"optimizer_leaves": null', '"optimizer_leaves": [1]'
    )
    leaf = "optimizer/0/0"
    refused_with("something else than numbers", **{leaf: np.array([True])})
    none = {
        name: array[:0]
        for name, array in parse(saved[2]).items()
        if name.startswith("weights/")
    }
    refused_with("shapes", **none)


def test_deep_networks_are_refused_or_loaded_at_once(saved, tmp_path):
    n_layers = 20_000
    data = with_header(
        saved[2],
        lambda h: h["architecture"]["dict"].update(
            encoder_layer_sizes={"tuple": [1] * n_layers}
        ),
    )
    refused(data, tmp_path / "a", "architecture is not one of skae")


@pytest.mark.parametrize(
    "values",
    [
        {"network": "lstm"},
        {"network": ["dense"]},
        {"network": "conv", "input_shape": {"tuple": [2, 2]}},
        {"network": "conv", "input_shape": {"tuple": [-3, -1]}},
        {"network": "conv", "input_shape": {"tuple": [3]}},
        {"network": "conv", "input_shape": 3},
        {"network": "conv", "decoder_layer_sizes": {"tuple": []}},
        {"network": "recurrent", "input_shape": {"tuple": [1, 3, 1]}},
        {"network": "recurrent", "encoder_layer_sizes": {"tuple": []}},
        {"input_shape": {"tuple": [3, 1]}},
        {"bottleneck": "other"},
        {"bottleneck": None},
        {"bottleneck": "variational"},
        {"network": "conv"},
        {"network": "recurrent"},
        {"network": {"callable": "os.system"}},
    ],
)
def test_networks_that_cannot_be_are_refused(values, saved, tmp_path):
    data = with_header(saved[2], lambda h: h["architecture"]["dict"].update(values))
    wanted = "architecture is not|weights do not|malformed|needs callables"
    refused(data, tmp_path / "a", wanted)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="address space limits")
def test_damaged_files_take_little_memory(saved, tmp_path):
    """500 MB above what the process has hold the reading of any of them."""
    _, path, data = saved
    header, payload = parts(data)
    huge = json.loads(json.dumps(header))
    for name in huge:
        if name != "__metadata__":
            huge[name]["shape"] = [2**40]
            huge[name]["data_offsets"] = [0, 2**42]
    architecture = with_header(
        data,
        lambda h: h["architecture"]["dict"].update(
            encoder_layer_sizes={"tuple": [2**30] * 3}
        ),
    )
    files = {
        "declared": struct.pack("<Q", 2**62) + data[8:],
        "tensors": sealed(huge, payload),
        "architecture": architecture,
        "header": struct.pack("<Q", 2**23) + b"[" * 2**23 + b'"sha256":"',
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with open(tmp_path / "sparse", "wb") as file:
        file.write(data)
        file.truncate(2**36)
    code = (
        "import resource, sys\n"
        "from skae.io import load\n"
        f"load({str(path)!r})\n"
        "pages = int(open('/proc/self/statm').read().split()[0])\n"
        "limit = pages * resource.getpagesize() + 500 * 10**6\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        load(path)\n"
        "    except ValueError as error:\n"
        "        print(error)\n"
    )
    paths = [str(tmp_path / name) for name in [*files, "sparse"]]
    shown = subprocess.check_output([sys.executable, "-c", code, *paths], text=True)
    assert len(shown.splitlines()) == len(paths)


KILLED = """
import os, pickle, random, signal, sys, time
from skae.io import save
folder, n_kills = sys.argv[1], int(sys.argv[2])
detectors = pickle.load(open(os.path.join(folder, "detectors.pickle"), "rb"))
complete = set()
for detector in detectors:
    save(detector, os.path.join(folder, "complete"))
    complete.add(open(os.path.join(folder, "complete"), "rb").read())
target = os.path.join(folder, "killed", "target")
random.seed(0)
start = time.perf_counter()
save(detectors[0], target)
duration = time.perf_counter() - start
seen, kills = set(), 0
# On a busy machine writers may be killed before they have done anything.
while kills < n_kills or seen != complete:
    kills += 1
    child = os.fork()
    if not child:
        while True:
            for detector in detectors:
                save(detector, target)
    time.sleep(random.uniform(0, 4 * duration))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    content = open(target, "rb").read()
    assert content in complete, len(content)
    seen.add(content)
print(kills)
"""


@pytest.mark.slow
def test_killed_writers_leave_a_whole_file(small, tmp_path):
    import pickle

    X = np.random.default_rng(0).normal(size=(5000, 30))
    detectors = [small(max_iter=1, random_state=seed).fit(X) for seed in (0, 1)]
    (tmp_path / "detectors.pickle").write_bytes(pickle.dumps(detectors))
    (tmp_path / "killed").mkdir()
    command = [sys.executable, "-c", KILLED, str(tmp_path), "200"]
    assert int(subprocess.check_output(command, text=True)) >= 200
