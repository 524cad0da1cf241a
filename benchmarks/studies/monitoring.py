"""C: monitoring of a supercomputer, after M. Lombardi's lecture.

Rows in the order of time: 0 to 2,999 train, 3,000 to 4,499 choose the threshold, the
rest test. ``benchmarks.quality.hpc`` has the costs and the network of the lecture.
"""

import pickle
import time

import numpy as np
from scipy.stats import skew
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler

from benchmarks.quality import hpc
from benchmarks.quality.hpc import COST, LECTURE, TEST, TRAIN, TUNE
from benchmarks.studies.rows import listed, points, row, shown, spread
from skae import AutoencoderOutlierDetector
from skae.datasets import load_hpc, make_dependence_outliers

SEEDS = (0, 1, 2)
SPLIT = "rows 0-2,999 train, 3,000-4,499 tune, 4,500-6,666 test"
# The candidates of the lecture, for the density's signal as for the network's.
CANDIDATES = np.linspace(1e4, 2e5, 200)
BANDWIDTHS = np.linspace(0.1, 1, 10)
# The text does not say which bandwidth it has; this one has its costs.
NARROW = 0.35
# Rows to train on, and columns, that the lecture's claims are measured with.
CLAIMED = ((1000, 50), (4000, 50), (16_000, 50), (4000, 10), (4000, 200), (4000, 800))


def at(signal, y, threshold, part):
    """Cost of the alarms above a threshold in a part of the rows."""
    return COST.cost(y[part], np.where(signal[part] > threshold, -1, 1))


def by_candidates(signal, y):
    """Costs at the first of the lecture's candidates that is best."""
    on_tune = [at(signal, y, threshold, TUNE) for threshold in CANDIDATES]
    best = CANDIDATES[int(np.argmin(on_tune))]
    named = {"train": TRAIN, "validation": TUNE, "test": TEST}
    costs = {name: at(signal, y, best, part) for name, part in named.items()}
    return costs | {"threshold": float(best)}


@row("C1", "kernel density", "hpc")
def kernel_density():
    """Cost the density with the lecture's thresholds and with every one."""
    X, y = hpc.load()
    kernel = hpc.density(X, BANDWIDTHS)
    ours = {"bandwidth": float(kernel.bandwidth)}
    signal = -kernel.score_samples(X)
    ours["200 thresholds"] = by_candidates(signal, y)
    ours["every threshold"] = hpc.costs(X, y, kernel, {})
    narrow = KernelDensity(bandwidth=NARROW).fit(X[TRAIN])
    ours["narrower"] = by_candidates(-narrow.score_samples(X), y)
    return {
        "protocol": SPLIT + "; bandwidth by the likelihood in 5 folds among 0.1, 0.2, "
        "..., 1; 200 thresholds from 10,000 to 200,000",
        "source": "0 / 266 / 265 (train / validation / test)",
        **density_judged(ours),
        "ours": ours,
    }


def density_judged(ours):
    """Put the figures of the row in words."""
    few, every, narrow = (
        ours[name] for name in ("200 thresholds", "every threshold", "narrower")
    )

    def is_near(costs):
        return abs(costs["validation"] - 266) <= 1 and abs(costs["test"] - 265) <= 1

    def said(costs):
        return f"{costs['train']:.0f} / {costs['validation']:.0f} / {costs['test']:.0f}"

    return {
        "here": f"{said(few)} with 200 thresholds and the likeliest bandwidth, "
        f"{ours['bandwidth']:.1f}; {said(narrow)} with a bandwidth of {NARROW}; "
        f"{said(every)} with every threshold",
        "verdict": (
            "within 3 of the lecture with the bandwidth that the folds choose, and "
            "equal with a narrower one; it does not say which it has"
            if is_near(narrow)
            else "not reproduced"
        )
        + "; a finer choice of the threshold on the validation rows saves "
        f"{few['validation'] - every['validation']:.0f} there and costs "
        f"{every['test'] - few['test']:.0f} on the test rows",
        "holds": is_near(few) or is_near(narrow),
    }


@row("C2", "autoencoder against the density and others", "hpc")
def costs_of_alarms():
    """Costs of networks, IsolationForest and LocalOutlierFactor by the same tuner."""
    X, y = hpc.load()
    runs = {}
    for name, (make, fit_params) in (hpc.networks(X) | hpc.peers(X)).items():
        runs[name] = [hpc.costs(X, y, make(seed), fit_params) for seed in range(5)]
        for run in runs[name]:
            run["sum"] = run["validation"] + run["test"]
    ours = {name: spread(of) for name, of in runs.items()}
    default, theirs = ours["skae"], ours["159-64-159 of the lecture"]
    holds = default["sum"][0] <= 527 and theirs["sum"][0] <= 527

    def said(name):
        of = ours[name]
        return (
            f"{name}: {of['validation'][0]:.0f} + {of['test'][0]:.0f} = "
            f"{shown(of['sum'], 0)} (oracle {of['oracle_test'][0]:.0f})"
        )

    return {
        "protocol": SPLIT
        + "; every threshold is tried; seeds 0 to 4, median (lowest to "
        "highest); the oracle is the best threshold for the test rows",
        "source": "0 / 262 / 265 (slides), 0 / 264 / 265 (notebook): sums of "
        "validation and test 527 and 529",
        "here": "; ".join(map(said, ours)) + "; 517 (default) and 513 (theirs) before",
        "verdict": "both networks cost "
        + ("no more" if holds else "more")
        + " than the lecture's in sum; all detectors but IsolationForest are level, "
        "since one threshold has to serve two stretches of time: the oracle shows that "
        "the signals would allow for next to no cost",
        "holds": holds,
        "ours": ours | {"runs": runs},
    }


def lecture(seed, X, **parameters):
    """Fit the network of the lecture."""
    return AutoencoderOutlierDetector(random_state=seed, **LECTURE | parameters).fit(
        X[TRAIN], X_val=X[TUNE]
    )


def tuned_threshold(scores, y):
    """Score below which alarms cost least on the rows to tune on."""
    thresholds, costs = COST.curve(y[TUNE], scores[TUNE])
    return float(thresholds[np.argmin(costs)])


def spans(y):
    """Slices of consecutive outliers."""
    edges = np.flatnonzero(np.diff(np.r_[1, y, 1]))
    return [slice(*pair) for pair in edges.reshape(-1, 2)]


@row("C3", "alarm signal, early stopping, loss curves", "hpc")
def alarm_signal():
    """Keep the signal over time, and the course of the losses."""
    X, y = hpc.load()
    detector = lecture(0, X)
    scores = detector.score_samples(X)
    history = {k: detector.history_[k] for k in ("loss", "validation_loss")}
    default = AutoencoderOutlierDetector(random_state=0).fit(X[TRAIN]).score_samples(X)
    anomaly = points(y[TUNE.start :] == -1, -scores[TUNE.start :])
    best = int(np.argmin(history["validation_loss"])) + 1
    usual = float(np.median(scores[TUNE.start :][y[TUNE.start :] == 1]))
    times = [float(np.median(scores[span]) / usual) for span in spans(y)]
    rises = [ratio > 1 for ratio in times]
    return {
        "protocol": SPLIT + "; seed 0",
        "source": "the signal rises in the labelled spans; training stops early",
        "here": "the median error of the labelled spans is "
        f"{', '.join(f'{ratio:.3g}' for ratio in times)} times that of others after "
        f"row 3,000, where its AUROC is {anomaly['auroc']:.1f}; the validation loss is "
        f"lowest after epoch {best} of {detector.n_iter_}",
        "verdict": f"the signal rises in {sum(rises)} of {len(rises)} labelled spans, "
        "and between them too, after changes of jobs that training rows do not show",
        "holds": all(rises) and detector.n_iter_ < 20,
        "ours": {
            "after row 3,000": anomaly,
            "epochs": detector.n_iter_,
            "best": best,
            "times the error of other rows": times,
        },
        "pictures": {
            "y": y.tolist(),
            "lecture": listed(-np.log10(-scores)),
            "lecture threshold": -np.log10(-tuned_threshold(scores, y)),
            "default": listed(default),
            "default threshold": tuned_threshold(default, y),
            "history": {name: listed(of, 4) for name, of in history.items()},
        },
    }


@row("C4", "errors of each signal", "hpc")
def errors_of_signals():
    """Which signals the network restores worst in anomalies."""
    X, y = hpc.load()
    names = np.array(load_hpc().feature_names)
    errors = [lecture(seed, X).feature_errors(X, normalize=False) for seed in SEEDS]
    errors = np.median(errors, axis=0)
    mean = errors[y == -1].mean(axis=0)
    top = np.argsort(-mean)[:20]
    families = [name.split("_")[0] for name in names[top]]
    share = float(mean[top].sum() / mean.sum())
    stretches = np.array_split(np.arange(len(y)), 220)
    order = list(dict.fromkeys(families))
    return {
        "protocol": SPLIT + "; median errors of seeds 0 to 2",
        "source": "errors are concentrated on 10 to 20 signals; largest on ips, "
        "then util",
        "here": f"the 20 largest are of {', '.join(order)}, in this order of "
        f"appearance, and hold {100 * share:.0f} % of the error",
        "verdict": "the same families lead"
        if order[:2] == ["ips", "util"]
        else "other families lead than in the lecture",
        "holds": order[:2] == ["ips", "util"],
        "ours": {
            "top": [
                [str(n), round(float(m), 1)]
                for n, m in zip(names[top], mean[top], strict=True)
            ],
            "share of the 20": share,
        },
        "pictures": {
            "names": [str(name) for name in names[top]],
            "errors": [listed(errors[s][:, top].mean(axis=0), 2) for s in stretches],
            "y": [-1 if (y[s] == -1).any() else 1 for s in stretches],
        },
    }


def logarithms(X):
    """Skewed columns as logarithms above their minimum on the rows that train."""
    low, spread_ = X[TRAIN].min(axis=0), X[TRAIN].std(axis=0)
    skewed = (skew(X[TRAIN]) > 1) & (spread_ > 0)
    logs = np.log1p(np.maximum(X - low, 0))
    X = np.where(skewed, logs, X)
    return StandardScaler().fit(X[TRAIN]).transform(X), int(skewed.sum())


@row("C5", "squared error as a likelihood", "hpc")
def likelihood():
    """Full covariance, and logarithms of skewed columns, in place of equal noise."""
    X, y = hpc.load()
    logs, n_skewed = logarithms(X)
    runs = {"equal, independent noise": [], "full covariance": [], "logarithms": []}
    for seed in SEEDS:
        for name, rows_, score in (
            ("equal, independent noise", X, "reconstruction"),
            ("full covariance", X, "joint"),
            ("logarithms", logs, "reconstruction"),
        ):
            detector = AutoencoderOutlierDetector(
                random_state=seed, **LECTURE | {"anomaly_score": score}
            )
            found = hpc.costs(rows_, y, detector, {"X_val": rows_[TUNE]})
            found["sum"] = found["validation"] + found["test"]
            scores = detector.fit(rows_[TRAIN], X_val=rows_[TUNE]).score_samples(
                rows_[TUNE.start :]
            )
            found |= points(y[TUNE.start :] == -1, -scores)
            runs[name].append(found)
    ours = {name: spread(of) for name, of in runs.items()}
    plain = ours["equal, independent noise"]
    better = [n for n, of in ours.items() if of["sum"][2] < plain["sum"][1]]
    return {
        "protocol": SPLIT + f"; the network of the lecture; {n_skewed} columns of "
        "skewness above 1 become logarithms; seeds 0 to 2",
        "source": "MSE is a Gaussian likelihood with equal, independent noise; a log "
        "transform can be very effective",
        "here": "; ".join(
            f"{n}: {shown(of['sum'], 0)}, AP {shown(of['ap'])}"
            for n, of in ours.items()
        )
        + " (sums of costs)",
        "verdict": f"cheaper here: {' and '.join(better)}"
        if better
        else "neither lowers the cost here: the threshold decides, not the likelihood",
        "holds": None,
        "ours": ours,
    }


def timed(detector, X_train, X_test, is_outlier):
    """Size, seconds to fit and for 1,000 rows, and AUROC."""
    start = time.perf_counter()
    detector.fit(X_train)
    fitted = time.perf_counter() - start
    detector.score_samples(X_test)
    start = time.perf_counter()
    scores = detector.score_samples(X_test)
    seconds = (time.perf_counter() - start) / len(X_test) * 1000
    return {
        "kilobytes": len(pickle.dumps(detector)) / 1000,
        "seconds to fit": fitted,
        "milliseconds for 1,000 rows": 1000 * seconds,
        "auroc": points(is_outlier, -scores)["auroc"],
    }


@row("C6", "claims: size, dimension, speed, difficulty")
def claims():
    """Network and density as rows and columns grow."""
    makers = {
        "network": lambda: AutoencoderOutlierDetector(
            hidden_layer_sizes=(64,),
            latent_dim=16,
            anomaly_score="reconstruction",
            random_state=0,
        ),
        "default": lambda: AutoencoderOutlierDetector(random_state=0),
        "density": lambda: KernelDensity(bandwidth="silverman"),
    }
    ours = {name: {} for name in makers}
    for n, d in CLAIMED:
        X, y = make_dependence_outliers(
            n + 2000, d, contamination=0.05, n_factors=5, random_state=0
        )
        train = X[:n][y[:n] == 1]
        for name, make in makers.items():
            found = timed(make(), train, X[n:], y[n:] == -1)
            ours[name][f"{n} x {d}"] = {k: round(v, 2) for k, v in found.items()}

    few, many = (f"{n} x {CLAIMED[0][1]}" for n in (CLAIMED[0][0], CLAIMED[2][0]))

    def growth(figure):
        return {n: ours[n][many][figure] / ours[n][few][figure] for n in makers}

    size, speed = growth("kilobytes"), growth("milliseconds for 1,000 rows")
    harder = [
        s
        for s in ours["network"]
        if ours["network"][s]["auroc"] < ours["density"][s]["auroc"]
    ]
    return {
        "protocol": "make_dependence_outliers, 1,000 to 16,000 rows of 50 columns and "
        "4,000 rows of 10 to 800; 2,000 rows are scored; one seed",
        "source": "size independent of n; good support for many columns; fast "
        "detection; reconstruction can be harder than density estimation",
        "here": "from 1,000 to 16,000 rows size grows by "
        + ", ".join(f"{size[n]:.1f} ({n})" for n in makers)
        + " and the time of a row by "
        + ", ".join(f"{speed[n]:.1f} ({n})" for n in makers),
        "verdict": "size and speed: as claimed of the network, while the default score "
        "remembers up to 4,096 rows; the network ranks worse than the density in "
        f"{len(harder)} of {len(CLAIMED)} cases",
        "holds": size["network"] < 1.2 < size["density"],
        "ours": ours,
    }
