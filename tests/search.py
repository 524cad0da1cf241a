"""A long search for faults: cases drawn from seeds, and laws that hold for each.

``python -m tests.search --minutes 600 --state search.jsonl`` goes on where it stopped.
``--seed 17 --cases 1 --simplify`` looks at one case again and says which of its values
the fault needs. A case is drawn from its seed alone, by Python and NumPy: draws of
hypothesis depend on its version and on the modules that are loaded. Neighbouring seeds
share what is compiled.
"""

import argparse
import faulthandler
import json
import pickle
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

import skae
from skae import AutoencoderOutlierDetector
from skae.core.batching import LARGEST
from skae.core.scores import SCORES
from skae.io import load, save, to_onnx
from tests.cases import (
    CONTAINERS,
    DATA,
    FAULTS,
    PROGRAM,
    SIMPLEST,
    WEIGHTS,
    draw,
    table,
    with_gaps,
)
from tests.helpers import made_to_fit

HANGS_AFTER = 300  # seconds


class Fitted:
    """A case with its detector and rows to ask it about, by kind."""

    def __init__(self, case):
        self.case = case
        X = with_gaps(case, table(case, case["n_rows"], 0), 0)
        if case["container"] == "float32":
            X = CONTAINERS["float32"](X).astype(np.float64)
        weight = WEIGHTS[case["weight"]](np.random.default_rng(case["seed"]), len(X))
        self.X, self.weight = FAULTS[case["fault"]](X, weight)
        self.detector = self.fit()
        self.asked = self._rows()
        self.rows = np.vstack(list(self.asked.values()))
        self.scores = self.detector.score_samples(self.rows)

    def fit(self):
        """Train a detector of this case."""
        known = {"hidden_layer_sizes", *AutoencoderOutlierDetector().get_params()}
        given = {k: v for k, v in made_to_fit(self.case).items() if k in known}
        detector = AutoencoderOutlierDetector(**given, random_state=self.case["seed"])
        is_stream = self.case["how"] == "partial_fit" and hasattr(
            detector, "partial_fit"
        )
        contain = CONTAINERS[self.case["container"]]
        X = contain(self.X) if self.X.ndim == 2 else self.X
        train = detector.partial_fit if is_stream else detector.fit
        for _ in range(1 if self.case["how"] == "fit" else 2):
            train(X, sample_weight=self.weight)
        return detector

    @property
    def ball(self):
        """Centre, unit and radius of the training rows."""
        found = self.detector.statistics_
        center, scale, radius = (
            found[name][0].astype(float) for name in ("center", "scale", "radius")
        )
        return center + found.get("shift", [0.0])[0], scale, radius

    def _rows(self):
        case, d = self.case, self.case["n_features"]
        center, scale, _ = self.ball
        far = np.random.default_rng(case["seed"]).normal(size=(12, d))
        far *= np.geomspace(1e2, 1e200, 12)[:, None] * scale
        hostile = [[v] * d for v in (0.0, -0.0, 1e30, -1e30, 1e-40, 1e308, 5e-324)]
        rows = {
            "training": self.X[:30],
            "new": table(case, 12, 1),
            "far": center + far,
            "hostile": np.array(hostile),
        }
        if case["missing"] == "mask":
            for part, kind in enumerate(list(rows)[1:], start=1):
                rows[f"{kind} with gaps"] = with_gaps(case, rows[kind], part)
            eye = np.eye(d, dtype=bool)
            rows["one cell"] = np.where(eye, rows["new"][:1], np.nan)
            rows["one huge cell"] = np.where(eye, 1e30, np.nan)
        return rows


# Laws: each raises if it does not hold.


def scores_are_finite(fitted):
    """Of all kinds of rows, and the threshold."""
    assert np.isfinite(fitted.detector.offset_), "offset_"
    for kind, rows in fitted.asked.items():
        scores = fitted.detector.score_samples(rows)
        assert np.isfinite(scores).all(), f"{kind}: {scores[~np.isfinite(scores)][0]}"


def views_are_finite(fitted):
    """What else a detector says of rows."""
    detector = fitted.detector
    for kind, rows in fitted.asked.items():
        for view in (detector.reconstruct, detector.transform):
            assert np.isfinite(view(rows)).all(), f"{kind}: {view.__name__}"
        errors = detector.feature_errors(rows)
        assert (np.isnan(errors) == np.isnan(rows)).all(), f"{kind}: feature_errors"
        p = detector.p_values(rows)
        assert ((p > 0) & (p <= 1)).all(), f"{kind}: p_values"
        parts = [part for row in detector.explain(rows) for _, part in row]
        assert np.isfinite(parts).all() and min(parts, default=-1) >= 0, (
            f"{kind}: explain"
        )
    assert np.isfinite(detector.score(fitted.X)), "score"


def bits_are_the_same(fitted):
    """Alone, in blocks, in another order, in threads, in other containers."""
    score, rows, scores = fitted.detector.score_samples, fitted.rows, fitted.scores
    rng = np.random.default_rng(0)
    order = rng.permutation(len(rows))
    parts = np.array_split(rows, 5)
    with ThreadPoolExecutor(4) as pool:
        threads = np.concatenate(list(pool.map(score, parts)))
    alone = order[:4]
    found = {
        "order": (score(rows[order]), scores[order]),
        "alone": ([score(rows[i : i + 1])[0] for i in alone], scores[alone]),
        "blocks": (np.concatenate(list(map(score, parts))), scores),
        "threads": (threads, scores),
        "Fortran": (score(np.asfortranarray(rows)), scores),
        "sparse": (score(csr_array(rows)), scores),
    }
    for name, (one, other) in found.items():
        np.testing.assert_array_equal(one, other, err_msg=name)


def scores_fall_beyond_the_ball(fitted):
    """Rows moved further out along a random direction never score more normal."""
    center, scale, radius = fitted.ball
    rng = np.random.default_rng(fitted.case["seed"])
    usual = np.median(np.abs(fitted.detector.calibration_scores_))
    # Columns of a large mean stay: float64 does not resolve them, or float32 does not,
    # where they are not shifted.
    shifted = fitted.detector.statistics_["center"][0]
    moves = scale > np.maximum(1e-6 * np.abs(shifted), 1e-12 * np.abs(center))
    inner = fitted.X[~np.isnan(fitted.X).any(axis=1)][:1]
    for start, gap in [(center, 1.01), *((row, 1e3) for row in inner)]:
        reach = np.sqrt(np.mean(((start - center) / scale) ** 2))
        steps = gap * np.max([radius, reach, 1e-3]) * np.geomspace(1, 1e4, 40)
        for _ in range(3):
            way, observed = moves * rng.normal(size=len(scale)), np.ones_like(moves)
            if fitted.case["missing"] == "mask":
                observed[1:] = rng.random(len(scale) - 1) < 0.7
            way /= np.sqrt(np.mean(way**2 * observed)) or 1.0
            ray = np.where(observed, start + np.outer(steps, way * scale), np.nan)
            # Cells beyond are cut off.
            ray = ray[np.nanmax(np.abs(ray), axis=1) < LARGEST]
            scores = fitted.detector.score_samples(ray) if len(ray) else np.zeros(0)
            # What fills gaps so that next to nothing is left of a row is rounded.
            far = np.square((ray[1:] - center) / np.maximum(scale, 1.0))
            rounding = 1e-12 * np.nanmean(far, axis=1)
            least = 1e-5 * np.maximum(usual, np.abs(scores[1:]))
            rises = np.diff(scores) > np.maximum(least, rounding)
            assert not rises.any(), f"rises from {gap} radii, step {rises.argmax()}"


def far_rows_are_outliers(fitted):
    """A cell that is a million deviations away makes a row worse than all in training.

    Where columns count in deviations, numbers resolve them, and no training row is as
    far, be it that it is left out or counts for next to nothing.
    """
    X, detector, case = fitted.X, fitted.detector, fitted.case
    leaves_out = case["trim"] not in (0, "auto") or case["contamination"] != "auto"
    is_in_raw_units = case["anomaly_score"] in (
        "reconstruction",
        "joint",
        "latent",
        "elbo",
    )
    if is_in_raw_units or leaves_out or case["weight"] in ("some zero", "far apart"):
        return
    spread, center = np.nanstd(X, axis=0), np.nanmean(np.abs(X), axis=0)
    digits = 1e-6 if case["container"] == "float32" else 1e-12
    ball_center, scale, _ = fitted.ball
    if np.nanmax(np.abs(X - ball_center) / scale) > 1e5:
        return
    is_resolved = (spread > digits * center) & (spread > 1e-12)
    columns = np.flatnonzero(is_resolved & (spread * 1e6 < LARGEST))
    lowest = detector.score_samples(X).min()
    for column in columns:
        moved, mean = X[:2].copy(), np.nanmean(X[:, column])
        moved[:, column] = mean + np.array([1e6, -1e6]) * spread[column]
        scores = detector.score_samples(moved)
        assert (scores < lowest).all(), f"column {column}: {scores}, lowest {lowest}"


def labels_follow(fitted):
    """From scores and threshold, and the threshold from ``contamination``."""
    detector, share = fitted.detector, fitted.case["contamination"]
    X, weight = fitted.X, fitted.weight
    labels = detector.predict(fitted.rows)
    expected = np.where(fitted.scores >= detector.offset_, 1, -1)
    np.testing.assert_array_equal(labels, expected)
    if share == "auto" or fitted.case["how"] == "partial_fit":
        return
    weight = np.ones(len(X)) if weight is None else weight / np.max(weight)
    X, weight = X[weight > 0], weight[weight > 0]
    scores, flagged = detector.score_samples(X), detector.predict(X) == -1
    if (weight == weight[0]).all():
        if len(np.unique(scores)) == len(scores):
            place = share * (len(scores) - 1)
            wanted = {np.ceil(place - 1e-9), np.ceil(place + 1e-9)}
            assert flagged.sum() in wanted, f"{flagged.sum()} flagged, not {wanted}"
        return
    total, at_most = weight.sum(), scores <= detector.offset_
    assert weight[flagged].sum() <= share * total * (1 + 1e-9), "too many flagged"
    assert weight[at_most].sum() >= share * total * (1 - 1e-9), "too few flagged"


def copies_are_equal(fitted):
    """Saved and loaded, pickled, and trained once more."""
    detector = fitted.detector
    with tempfile.TemporaryDirectory() as folder:
        save(detector, Path(folder, "a"))
        saved = load(Path(folder, "a"))
    pickled = pickle.loads(pickle.dumps(detector))
    for name, copy in {"load": saved, "pickle": pickled, "fit": fitted.fit()}.items():
        found = copy.score_samples(fitted.rows)
        np.testing.assert_array_equal(found, fitted.scores, err_msg=name)
        np.testing.assert_array_equal(
            copy.predict(fitted.rows), detector.predict(fitted.rows), err_msg=name
        )


def exports_are_equal(fitted):
    """Labels of ONNX, where there is a form of it, but for rows at the threshold."""
    from tests.test_io_onnx import run

    case, detector = fitted.case, fitted.detector
    center, scale, _ = fitted.ball
    # Float32 does not resolve these, so what comes out is rounding.
    is_resolved = (np.abs(center) < 1e6 * scale) | (np.abs(center) < 1e12)
    has_form = case["network"] == "dense" and SCORES[case["anomaly_score"]].has_onnx
    if not (case["onnx"] and has_form and case["missing"] == "error"):
        return
    if not is_resolved.all():
        return
    X = np.vstack([fitted.asked["training"], fitted.asked["new"]])
    label, found = run(to_onnx(detector, X), {"X": X})
    assert np.isfinite(found).all(), "ONNX scores are not finite"
    usual = np.median(np.abs(detector.calibration_scores_))
    size = np.abs(detector.score_samples(X))
    # Distances to copies are rounding noise.
    noise = 1e-4 * np.maximum(usual, size) + 1e-9 * size.max() + 1e-12
    clear = np.abs(detector.decision_function(X)) > noise
    np.testing.assert_array_equal(label[clear], detector.predict(X)[clear])


LAWS = (
    scores_are_finite,
    views_are_finite,
    bits_are_the_same,
    scores_fall_beyond_the_ball,
    far_rows_are_outliers,
    labels_follow,
    copies_are_equal,
    exports_are_equal,
)


PACKAGE = str(Path(skae.__file__).parent)
NAMES = "|".join(AutoencoderOutlierDetector().get_params())
NAMED = re.compile(rf"\b({NAMES}|X|[Ss]ample.weights?|array|input|batch|partial_fit)\b")


def place(frames):
    """Return the innermost line of the package in a stack."""
    ours = [f for f in frames if f.filename.startswith(PACKAGE)]
    return f"{Path(ours[-1].filename).name}:{ours[-1].name}" if ours else ""


def told(error):
    """Say in a line what an exception is and where it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    text = " ".join(str(error).split())[:300] or frames[-1].line
    return f"{type(error).__name__} ({place(frames)}): {text}"


def refusal(error):
    """Outcome of a case that was refused, and how the refusal breaks the law."""
    where = traceback.extract_tb(error.__traceback__)[-1].filename
    is_meant = where.startswith(PACKAGE) or "/sklearn/" in where
    if isinstance(error, (ValueError, TypeError)) and is_meant:
        if NAMED.search(str(error)):
            return f"refused: {error}", []
    return "failed", [("refusals name a parameter", told(error))]


def check(case):
    """Outcome of a case and the laws that it breaks, each with what was found."""
    broken = []

    def warned(message, category, *_):
        where = place(traceback.extract_stack())
        if where and not issubclass(category, UserWarning):
            broken.append(("no warnings of others", f"{message} ({where})"))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = warned
        try:
            fitted = Fitted(case)
        except Exception as error:
            return refusal(error)
        if case["fault"] != "none":
            broken.append(("faults are refused", case["fault"]))
        for law in LAWS:
            try:
                law(fitted)
            except Exception as error:
                broken.append((law.__name__, told(error)))
    return "failed" if broken else "held", list(dict.fromkeys(broken))


def kinds(broken):
    """Kinds of what was found, whatever the numbers."""
    return {(law, re.sub(r"[-+]?\d[-+.\de]*", "#", text)[:150]) for law, text in broken}


def simplified(case, kind):
    """Return the values that a kind of fault needs, of those that are not simplest."""
    program = {name: SIMPLEST[name] for name in PROGRAM}
    one_by_one = [{name: SIMPLEST[name]} for name in [*DATA, *PROGRAM]]
    for change in [program, *one_by_one]:
        simpler = case | change
        if simpler != case and kind in kinds(check(simpler)[1]):
            case = simpler
    return {k: v for k, v in case.items() if k == "seed" or SIMPLEST[k] != v}


def search(seeds, state, deadline, simplify):
    """Look at cases until the time is over; describe the first of every kind."""
    known = Counter()
    for seed in seeds:
        if time.monotonic() > deadline:
            break
        state({"seed": seed, "outcome": "started"})
        faulthandler.dump_traceback_later(HANGS_AFTER, exit=True)
        case, start = draw(seed), time.monotonic()
        outcome, broken = check(case)
        faulthandler.cancel_dump_traceback_later()
        seconds = round(time.monotonic() - start, 2)
        state({"seed": seed, "outcome": outcome, "broken": broken, "seconds": seconds})
        for law, text in broken:
            (kind,) = kinds([(law, text)])
            known[kind] += 1
            if known[kind] == 1:
                print(f"seed {seed}: {law}: {text}", flush=True)
                if simplify:
                    print(f"  {simplified(case, kind)}", flush=True)
    return known


def resumed(path, first):
    """Seed to go on from: after the last one that was begun, even if it never ended."""
    lines = path.read_text().splitlines() if path and path.exists() else []
    seen = [json.loads(line) for line in lines]
    if seen and seen[-1]["outcome"] == "started":
        print(f"seed {seen[-1]['seed']} hung or ended the process")
    return seen[-1]["seed"] + 1 if seen else first


def main():
    """Search from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--cases", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--simplify", action="store_true")
    options = parser.parse_args()

    def state(line):
        if options.state:
            with options.state.open("a") as file:
                print(json.dumps(line), file=file)

    first = resumed(options.state, options.seed)
    deadline = time.monotonic() + 60 * options.minutes
    known = search(
        range(first, first + options.cases), state, deadline, options.simplify
    )
    for (law, text), count in known.most_common():
        print(f"{count:6}  {law}: {text}")
    sys.exit(bool(known))


if __name__ == "__main__":
    main()
