"""Anomaly scores and their combinations, measured on the same networks.

    python -m benchmarks.quality.combinations --data DIR --cache DIR

For each development set and setting the energies of two networks (one trained on all
rows, one on the three quarters that a robust Gaussian trusts), of remembered rows, of
robust Gaussians and of a view of the data with normal quantiles are computed once and
kept in ``--cache``. ``COMBINATIONS`` are then evaluated in seconds, and their means
over the sets written to ``--out``. At most 8,000 rows are trained on and 16,000 tested.

Settings are those of ``benchmarks.quality.adbench``, and "I" (in sample): the whole set
is trained on and tested, without a bootstrap, as ``fit_predict`` does.
"""

import argparse
import json
import os
import warnings
from pathlib import Path

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from benchmarks.quality.adbench import split
from skae import AutoencoderOutlierDetector
from skae.core import gaussian, robust

RESULTS = Path(__file__).parents[1] / "results" / "combinations.json"
SETTINGS = ("S2", "S1", "U", "I")
MAX_TRAIN, MAX_TEST, REMEMBERED = 8_000, 16_000, 4_096
FLOOR = 1e-6
TRUSTED = 0.75
SHARES = (1.0, 0.75, 0.6, 0.55, 0.5)
BULK = "mahalanobis 0.55"


def rows_of(path, setting, seed):
    """Standardised training and test rows, and labels of the test rows."""
    data = np.load(path)
    X, y = data["X"], data["y"]
    rng = np.random.default_rng(seed)
    if setting == "I":
        few = rng.permutation(len(X))[:MAX_TRAIN]
        X_train, X_test, y_test = X[few], X[few], y[few]
    else:
        X_train, X_test, y_test = split(X, y, setting, seed)
        X_train = X_train[rng.permutation(len(X_train))[:MAX_TRAIN]]
        few = rng.permutation(len(X_test))[:MAX_TEST]
        X_test, y_test = X_test[few], y_test[few]
    scaler = StandardScaler().fit(X_train)
    return scaler.transform(X_train), scaler.transform(X_test), y_test


def network_energies(X_train, X_test, seed, **parameters):
    """Plain and joint energies of one network."""
    detector = AutoencoderOutlierDetector(
        anomaly_score="joint", validation_fraction=0, random_state=seed, **parameters
    ).fit(X_train)
    return {
        "plain": [
            np.square(X - detector.reconstruct(X)).mean(axis=1)
            for X in (X_train, X_test)
        ],
        "joint": [-detector.score_samples(X) for X in (X_train, X_test)],
    }


def neighbour_energies(memory, X_train, X_test):
    """Squared distances to remembered rows; training rows do not count themselves.

    "self" takes a test row that is remembered for another one.
    """
    n_neighbors = min(21, len(memory))
    index = NearestNeighbors(n_neighbors=n_neighbors).fit(memory)
    width = X_train.shape[1]
    first, test = (
        np.square(index.kneighbors(X)[0]) / width
        for X in (X_train[:REMEMBERED], X_test)
    )
    floor = FLOOR * first[:, 1:2].mean()
    nearest = first[:, 1], test[:, 0]
    without_self = np.where(test[:, 0] <= floor, test[:, 1], test[:, 0])
    twentieth = first[:, -1], np.where(test[:, 0] <= floor, test[:, -1], test[:, -2])
    distinct_index = NearestNeighbors(n_neighbors=2).fit(np.unique(memory, axis=0))
    distinct = []
    for X in (X_train[:REMEMBERED], X_test):
        squares = np.square(distinct_index.kneighbors(X)[0]) / width
        same = squares[:, 0] <= FLOOR * squares.mean()
        distinct.append(np.where(same, squares[:, 1], squares[:, 0]))
    return {
        "": nearest,
        " without self": (nearest[0], without_self),
        " distinct": distinct,
        " 20th": twentieth,
    }


def mahalanobis_energies(X_train, X_test, share):
    """Energies of the Gaussian of the share of the rows that fits best."""
    few = X_train[: robust.sample_size(X_train.shape[1])]
    weight = np.ones(len(few))
    kept = robust.concentrate(few, weight, share) if share < 1 else np.arange(len(few))
    fitted = gaussian.fit(few[kept], weight[kept])
    return kept, [gaussian.energies(X, fitted) for X in (X_train, X_test)]


def components(X_train, X_test, seed):
    """Logarithms of all energies of the test rows, in units of the training rows."""
    energies = {}
    for name, parameters in (("all", {}), ("trusted", {"trim": 1 - TRUSTED})):
        found = network_energies(X_train, X_test, seed, **parameters)
        energies |= {f"{kind} ({name})": pair for kind, pair in found.items()}
    for share in SHARES:
        kept, pair = mahalanobis_energies(X_train, X_test, share)
        energies[f"mahalanobis {share}"] = pair
        if share == TRUSTED:
            trusted = kept
    found = neighbour_energies(X_train[:REMEMBERED], X_train, X_test)
    energies |= {f"nearest{kind}": pair for kind, pair in found.items()}
    memory = X_train[trusted][:REMEMBERED]
    found = neighbour_energies(memory, memory, X_test)
    energies |= {f"nearest trusted{kind}": pair for kind, pair in found.items()}
    quantiles = QuantileTransformer(
        n_quantiles=min(1000, len(X_train)), output_distribution="normal"
    ).fit(X_train)
    views = [quantiles.transform(X) for X in (X_train, X_test)]
    found = network_energies(*views, seed)
    energies |= {f"{kind} (quantiles)": pair for kind, pair in found.items()}
    energies["mahalanobis quantiles"] = mahalanobis_energies(*views, TRUSTED)[1]
    forest = IsolationForest(random_state=seed).fit(X_train)
    energies["IsolationForest"] = [-forest.score_samples(X) for X in (X_train, X_test)]
    return {name: standardised(*pair) for name, pair in energies.items()}


def standardised(train, test):
    """Logarithm in units of its mean and spread over the training rows."""
    floor = max(FLOOR * train.mean(), 1e-30)
    train, test = (np.log(np.maximum(e, floor)) for e in (train, test))
    spread = train.std()
    return (test - train.mean()) / (spread if spread > 1e-6 else 1.0)


def mean(*names):
    """Mean of parts."""
    return lambda c: np.mean([c[name] for name in names], axis=0)


def maximum(local, overall, *, weight=0.4, sharpness=4.0):
    """Soft maximum of a local part and a weighted global one."""
    return lambda c: (
        np.logaddexp(sharpness * local(c), np.log(weight) + sharpness * overall(c))
        / sharpness
    )


LOCAL = mean("plain (all)", "nearest")

COMBINATIONS = {
    "local: plain (all) and nearest": LOCAL,
    "mean of local and mahalanobis 0.55": lambda c: (LOCAL(c) + c[BULK]) / 2,
    "**default**": maximum(LOCAL, mean(BULK)),
    **{
        f"weight {weight}, sharpness {sharpness}": maximum(
            LOCAL, mean(BULK), weight=weight, sharpness=sharpness
        )
        for weight, sharpness in ((0.2, 2), (0.2, 4), (0.5, 4), (1.0, 4), (1.0, 100))
    },
    **{
        f"global: mahalanobis {share}": maximum(LOCAL, mean(f"mahalanobis {share}"))
        for share in (1.0, 0.75, 0.6, 0.5)
    },
    "local without nearest": maximum(mean("plain (all)"), mean(BULK)),
    "local without plain": maximum(mean("nearest"), mean(BULK)),
    "local with joint for plain": maximum(mean("joint (all)", "nearest"), mean(BULK)),
    "local with 20th for nearest": maximum(
        mean("plain (all)", "nearest 20th"), mean(BULK)
    ),
    "local, a remembered row's nearest is another": maximum(
        mean("plain (all)", "nearest without self"), mean(BULK)
    ),
    "local, the same, and copies are remembered once": maximum(
        mean("plain (all)", "nearest distinct"), mean(BULK)
    ),
    "local with a quantile network": maximum(
        mean("plain (all)", "plain (quantiles)", "nearest"), mean(BULK)
    ),
    "global: mahalanobis 0.55 and plain (trusted)": maximum(
        LOCAL, mean(BULK, "plain (trusted)")
    ),
    "the same, weight 1": maximum(LOCAL, mean(BULK, "plain (trusted)"), weight=1.0),
}


def cached_components(folder, cache, setting, seed):
    """Components and labels of each set, computed where the cache lacks them."""
    (cache / f"{setting}_{seed}").mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob("*.npz")):
        target = cache / f"{setting}_{seed}" / path.name
        if not target.exists():
            X_train, X_test, y = rows_of(path, setting, seed)
            np.savez(target, y=y, **components(X_train, X_test, seed))
            print(setting, path.stem, flush=True)
        yield dict(np.load(target))


def evaluate(sets, combination):
    """ROC AUC and average precision in points: means over all sets and both halves."""
    results = []
    for c in sets:
        scores = combination(c)
        results.append(
            (roc_auc_score(c["y"], scores), average_precision_score(c["y"], scores))
        )
    parts = {"all": slice(None), "odd": slice(0, None, 2), "even": slice(1, None, 2)}
    return {
        name: (100 * np.mean(results[part], axis=0)).round(2).tolist()
        for name, part in parts.items()
    }


def main():
    """Compute what the cache lacks; evaluate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--settings", nargs="+", default=SETTINGS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    folder = options.data or Path(os.environ["SKAE_DATA"]) / "adbench"
    warnings.simplefilter("ignore")
    table = {}
    for setting in options.settings:
        sets = list(cached_components(folder, options.cache, setting, options.seed))
        alone = {name: mean(name) for name in sets[0] if name != "y"}
        for name, combination in (alone | COMBINATIONS).items():
            table.setdefault(name, {})[setting] = evaluate(sets, combination)
    for name, row in table.items():
        print(
            f"{name:72s}",
            *("{:6.2f} / {:5.2f}".format(*r["all"]) for r in row.values()),
        )
    options.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
