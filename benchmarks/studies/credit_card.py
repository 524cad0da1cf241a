"""A: credit-card fraud, after D. Pinto Veizaga and D. Villa Lizárraga.

Normal rows are parted at random, three fifths to train on, a fifth to validate and a
fifth to test; all frauds test. The file has 36,485 of the 284,807 rows.
"""

import functools
import itertools

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import ParameterGrid
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import OneClassSVM

from benchmarks.studies.rows import against, error, listed, points, row, shown, spread
from skae import AutoencoderOutlierDetector
from skae.datasets import load_creditcard

SEEDS = (0, 1, 2)
PROTOCOL = (
    "36,485 of 284,807 rows, all frauds among them; normal rows parted 60/20/20, "
    "frauds test; seeds 0 to 2, median (lowest to highest)"
)
# What Keras does where nothing is said.
KERAS = {
    "corruption": None,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "learning_rate_schedule": "constant",
    "anomaly_score": "reconstruction",
}
THEIRS = KERAS | {
    "hidden_layer_sizes": (500,),
    "latent_dim": 16,
    "activation": "relu",
    "output_activation": "relu",
    "batch_size": 32,
    "max_iter": 60,
}
# For depth, code size and pictures, for which the text does not say how it trained.
SHORT = KERAS | {"activation": "relu", "batch_size": 128, "max_iter": 30}
# Wider and deeper networks whose code is as wide as theirs.
GRID = ParameterGrid(
    {
        "hidden_layer_sizes": [(256,), (500,), (256, 64)],
        "activation": ["relu", "gelu"],
    }
)
SCALERS = {"min-max": MinMaxScaler, "standardised": StandardScaler}


@functools.cache
def parts(seed, scaling="standardised"):
    """Scaled rows to train, validate and test on, and which of these are frauds."""
    bunch = load_creditcard()
    X, is_fraud = bunch.data.to_numpy(dtype=float), bunch.target == -1
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~is_fraud))
    train, validation, test = np.split(
        normal, [int(0.6 * len(normal)), int(0.8 * len(normal))]
    )
    test = np.concatenate([test, np.flatnonzero(is_fraud)])
    X = SCALERS[scaling]().fit(X[train]).transform(X)
    return X[train], X[validation], X[test], is_fraud[test]


@functools.cache
def theirs(seed, scaling, output="relu"):
    """Fit their network."""
    train, validation, _, _ = parts(seed, scaling)
    parameters = THEIRS | {"output_activation": output}
    return AutoencoderOutlierDetector(random_state=seed, **parameters).fit(
        train, X_val=validation
    )


def losses(restore, seed, scaling):
    """Mean squared errors on training, validation and normal test rows."""
    train, validation, test, is_fraud = parts(seed, scaling)
    named = {"train": train, "validation": validation, "test": test[~is_fraud]}
    return {name: float(np.mean((X - restore(X)) ** 2)) for name, X in named.items()}


def constant(row_):
    """Restoration by the same row for all."""
    return lambda X: row_


def pca(n_components, train):
    """Restoration by principal components."""
    model = PCA(n_components, random_state=0).fit(train)
    return lambda X: model.inverse_transform(model.transform(X))


def searched(scaling, seed=0):
    """Network with 16 units in the code that validates best, and its parameters."""
    train, validation, _, _ = parts(seed, scaling)
    found = []
    for parameters in GRID:
        detector = AutoencoderOutlierDetector(
            random_state=seed,
            latent_dim=16,
            corruption=None,
            max_iter=60,
            anomaly_score="reconstruction",
            **parameters,
        ).fit(train, X_val=validation)
        found.append((error(detector, validation).mean(), parameters, detector))
    _, parameters, detector = min(found, key=lambda each: each[0])
    return parameters, detector


@row("A1", "loss", "creditcard")
def loss():
    """Errors on two scales beside the mean and PCA, and a network that beats PCA."""
    ours = {}
    for scaling in SCALERS:
        runs = []
        for seed in SEEDS:
            train = parts(seed, scaling)[0]
            methods = {
                "their network": theirs(seed, scaling).reconstruct,
                "their network, linear output": theirs(
                    seed, scaling, "identity"
                ).reconstruct,
                "the mean": constant(train.mean(axis=0)),
                "PCA, 16": pca(16, train),
            }
            runs.append({n: losses(m, seed, scaling) for n, m in methods.items()})
        ours[scaling] = spread(runs)
        parameters, detector = searched(scaling)
        ours[scaling]["found by search"] = spread(
            [losses(detector.reconstruct, 0, scaling)]
        )
        ours[scaling]["parameters found"] = parameters
        ours[scaling]["PCA, 16, on the split of the search"] = spread(
            [losses(pca(16, parts(0, scaling)[0]), 0, scaling)]
        )
    ahead = [
        of["found by search"]["test"][0]
        < of["PCA, 16, on the split of the search"]["test"][0]
        for of in ours.values()
    ]

    def said(scaling):
        of = ours[scaling]
        return (
            f"{scaling}: theirs {of['their network']['validation'][0]:.2g}, "
            f"mean {of['the mean']['validation'][0]:.2g}, "
            f"PCA {of['PCA, 16']['validation'][0]:.2g}, "
            f"searched {of['found by search']['validation'][0]:.2g}"
        )

    return {
        "protocol": PROTOCOL
        + "; the search has one seed, is decided by the validation "
        "rows and judged on the test rows",
        "source": "train 0.0116, validation 0.0105; scaling not stated; target <= 0.01",
        "here": "validation, " + "; ".join(map(said, SCALERS)),
        "verdict": "0.01 says nothing without the scale: on min-max inputs "
        "predicting the "
        "mean is below it. The searched network "
        + (
            "beats PCA with 16 components on both scales"
            if all(ahead)
            else f"beats PCA with 16 components on {sum(ahead)} of 2 scales"
        ),
        "holds": all(ahead),
        "ours": ours,
    }


@row("A2", "architecture table", "creditcard")
def architecture():
    """Parameters of each layer."""
    train = parts(0)[0][:500]
    detector = AutoencoderOutlierDetector(**THEIRS | {"max_iter": 1}).fit(train)
    lines = detector.summary().splitlines()
    counts = [int(line.split()[-1].replace(",", "")) for line in lines[1:-1]]
    wanted = [15_000, 8_016, 8_500, 14_529]
    text = " / ".join(f"{count:,}" for count in counts)
    return {
        "protocol": "one epoch on 500 rows; the figures do not depend on it",
        "source": "15,000 / 8,026 / 8,500 / 14,529 = 46,045",
        "here": f"{text} = {detector.n_parameters_:,}",
        "verdict": "8,026 is a misprint: 500 x 16 + 16 = 8,016, which makes their sum",
        "holds": counts == wanted and detector.n_parameters_ == 46_045,
        "ours": {"layers": counts, "total": detector.n_parameters_},
        "pictures": {"summary": detector.summary()},
    }


@row("A3", "curves", "creditcard")
def curves():
    """Training and validation loss of their network."""
    histories = {name: theirs(0, name, "identity").history_ for name in SCALERS}
    kept = {
        name: {k: listed(history[k], 6) for k in ("loss", "validation_loss")}
        for name, history in histories.items()
    }
    final = {name: of["validation_loss"][-1] for name, of in kept.items()}
    gap = {
        name: of["validation_loss"][-1] / of["loss"][-1] for name, of in kept.items()
    }
    return {
        "protocol": "their network with a linear output, seed 0",
        "source": "curves of 60 epochs",
        "here": f"after 60 epochs the validation loss is {final['min-max']:.2g} on "
        f"min-max and {final['standardised']:.2g} on standardised inputs",
        "verdict": "both losses fall together: the validation loss ends at "
        f"{gap['min-max']:.2f} and {gap['standardised']:.2f} times the training loss",
        "holds": all(of["loss"][-1] < of["loss"][0] for of in kept.values()),
        "ours": {"final validation loss": final, "validation over training": gap},
        "pictures": kept,
    }


def separation(parameters, seed):
    """Measure final losses, and how well errors and codes tell frauds apart."""
    train, validation, test, is_fraud = parts(seed)
    parameters = SHORT | parameters | {"anomaly_score": "latent"}
    detector = AutoencoderOutlierDetector(random_state=seed, **parameters)
    detector.fit(train, X_val=validation)
    codes = detector.transform(validation)
    by_code = points(is_fraud, -detector.score_samples(test))
    return {
        "training loss": float(error(detector, train).mean()),
        "validation loss": float(error(detector, validation).mean()),
        "auroc of codes": by_code["auroc"],
        "dead units": 100 * float(np.mean(codes.max(axis=0) <= 0)),
        "inactive": 100 * float(np.mean(codes <= 0)),
    } | points(is_fraud, error(detector, test))


def compared(variants):
    """Separation of each variant over seeds."""
    return {
        name: spread([separation(parameters, seed) for seed in SEEDS])
        for name, parameters in variants.items()
    }


def in_words(ours, figure, digits=2):
    """Join the medians of a figure for all variants."""
    return " / ".join(f"{of[figure][0]:.{digits}f}" for of in ours.values())


def is_ordered(ours, figure, *, rising):
    """Whether the spreads of consecutive variants are apart, all in one direction."""
    ranges = [of[figure][1:] for of in ours.values()]
    pairs = list(itertools.pairwise(ranges))
    if rising:
        return all(left[1] < right[0] for left, right in pairs)
    return all(left[0] > right[1] for left, right in pairs)


@row("A4", "depth against loss and separation", "creditcard")
def depth():
    """Three, five and seven hidden layers, with the same code."""
    ours = compared(
        {
            "3 hidden layers": {"hidden_layer_sizes": (500,), "latent_dim": 16},
            "5 hidden layers": {"hidden_layer_sizes": (500, 128), "latent_dim": 16},
            "7 hidden layers": {"hidden_layer_sizes": (500, 128, 64), "latent_dim": 16},
        }
    )
    related = {
        figure: is_ordered(ours, figure, rising=True)
        or is_ordered(ours, figure, rising=False)
        for figure in ("validation loss", "auroc", "ap")
    }
    found = [name for name, is_related in related.items() if is_related]
    return {
        "protocol": PROTOCOL + "; standardised, batch 128, 30 epochs, linear output",
        "source": "no relation to the final loss; none to the separation",
        "here": "3 / 5 / 7 layers: validation loss "
        f"{in_words(ours, 'validation loss', 3)}, AUROC {in_words(ours, 'auroc', 1)}, "
        f"AP {in_words(ours, 'ap', 1)}",
        "verdict": "no figure is ordered by depth beyond the spread over seeds, as the "
        "text says"
        if not found
        else f"against the text, {' and '.join(found)} are ordered by depth, beyond "
        "the spread over seeds",
        "holds": not found,
        "ours": ours,
    }


@row("A5", "code size against loss and separation", "creditcard")
def code_size():
    """Codes of 8, 16 and 29 units."""
    ours = compared(
        {
            f"{width} units": {"hidden_layer_sizes": (32,), "latent_dim": width}
            for width in (8, 16, 29)
        }
    )
    less_loss = is_ordered(ours, "validation loss", rising=False)
    more = {f: is_ordered(ours, f, rising=True) for f in ("auroc", "auroc of codes")}
    return {
        "protocol": PROTOCOL + "; standardised, 32 hidden units, batch 128, 30 epochs",
        "source": "more units, less loss, more separation",
        "here": "8 / 16 / 29 units: validation loss "
        f"{in_words(ours, 'validation loss', 3)}, AUROC of the error "
        f"{in_words(ours, 'auroc', 1)}, of the codes "
        f"{in_words(ours, 'auroc of codes', 1)}",
        "verdict": f"less loss: {'yes' if less_loss else 'no'}; more separation by the "
        f"error: {'yes' if more['auroc'] else 'no'}, by the codes: "
        f"{'yes' if more['auroc of codes'] else 'no'} (beyond the spread over seeds)",
        "holds": less_loss and any(more.values()),
        "ours": ours,
    }


def picture_of_codes(detector, n_normal=600, seed=0):
    """Codes of some normal rows and all frauds, and their labels."""
    _, _, test, is_fraud = parts(seed)
    rows = np.r_[np.flatnonzero(~is_fraud)[:n_normal], np.flatnonzero(is_fraud)]
    return {
        "codes": listed(detector.transform(test[rows]), 2),
        "y": np.where(is_fraud[rows], -1, 1).tolist(),
    }


@row("A6", "latent maps and dead units", "creditcard")
def latent_maps():
    """Codes of their network."""
    detector = theirs(0, "standardised", "identity")
    _, validation, test, is_fraud = parts(0)
    codes = detector.transform(validation)
    n_dead = int((codes.max(axis=0) <= 0).sum())
    plane = PCA(2, random_state=0).fit(detector.transform(parts(0)[0]))
    far = np.linalg.norm(plane.transform(detector.transform(test)), axis=1)
    on_map = points(is_fraud, far)["auroc"]
    by_error = points(is_fraud, error(detector, test))["auroc"]
    return {
        "protocol": "their network with a linear output, standardised, seed 0",
        "source": "maps and histograms of the codes by class, some units empty",
        "here": f"{n_dead} of 16 units are dead, {100 * np.mean(codes <= 0):.0f} % of "
        f"the values are 0; distance on the map has AUROC {on_map:.1f}, the error "
        f"{by_error:.1f}",
        "verdict": "a map shows less than the error knows: two directions of the code "
        "leave frauds among normal rows",
        "holds": on_map < by_error,
        "ours": {
            "dead units": n_dead,
            "zeros": float(np.mean(codes <= 0)),
            "auroc of the distance on the map": on_map,
            "auroc of the error": by_error,
        },
        "pictures": picture_of_codes(detector),
    }


@row("A7", "sparse code", "creditcard")
def sparse_code():
    """128-12-128 with an L1 penalty on the code, and without."""
    network = {
        "hidden_layer_sizes": (128,),
        "latent_dim": 12,
        "batch_size": 64,
        "max_iter": 30,
    }
    ours = compared({"L1 of 1e-4": network | {"l1_activity": 1e-4}, "without": network})
    return {
        "protocol": PROTOCOL + "; standardised",
        "source": "plots only",
        **sparse_judged(ours),
        "ours": ours,
    }


def sparse_judged(ours):
    """Put the figures of the row in words."""
    sparse, plain = ours.values()
    is_sparser = sparse["inactive"][1] > plain["inactive"][2]
    return {
        "here": "with / without: validation loss "
        f"{in_words(ours, 'validation loss', 3)}, AUROC {in_words(ours, 'auroc', 1)}, "
        f"AP {in_words(ours, 'ap', 1)}, inactive {in_words(ours, 'inactive', 0)} %",
        "verdict": "a penalty this small makes the code "
        + ("sparser" if is_sparser else "no sparser")
        + " in exact zeros, beyond the spread over seeds; by AUROC it is "
        f"{against(sparse['auroc'], plain['auroc'])} the same network without it",
        "holds": is_sparser,
    }


def recall_at(is_outlier, anomaly, share=0.01):
    """Share of the outliers above the threshold that flags a share of normal rows."""
    threshold = np.quantile(anomaly[~is_outlier], 1 - share)
    return 100 * float(np.mean(anomaly[is_outlier] > threshold))


@row("A8", "detection", "creditcard")
def detection():
    """Compare our default with scikit-learn's detectors on 10,000 normal rows."""
    makers = {
        "skae": lambda seed: AutoencoderOutlierDetector(random_state=seed),
        "their network": lambda seed: AutoencoderOutlierDetector(
            random_state=seed, **THEIRS | {"output_activation": "identity"}
        ),
        "IsolationForest": lambda seed: IsolationForest(random_state=seed),
        "LocalOutlierFactor": lambda seed: LocalOutlierFactor(novelty=True),
        "OneClassSVM": lambda seed: OneClassSVM(),
    }
    runs = {name: [] for name in makers}
    for seed in SEEDS:
        train, _, test, is_fraud = parts(seed)
        for name, make in makers.items():
            anomaly = -make(seed).fit(train[:10_000]).score_samples(test)
            recall = {"recall at 1 %": recall_at(is_fraud, anomaly)}
            runs[name].append(points(is_fraud, anomaly) | recall)
    ours = {name: spread(of) for name, of in runs.items()}
    best = {f: max(ours, key=lambda n: ours[n][f][0]) for f in ours["skae"]}
    # One seed's test rows and scores show where the two kinds of rows lie.
    _, _, test, is_fraud = parts(0)
    scores = makers["skae"](0).fit(parts(0)[0][:10_000]).score_samples(test)
    keep = np.r_[np.flatnonzero(~is_fraud)[:1500], np.flatnonzero(is_fraud)]
    return {
        "protocol": PROTOCOL + "; 10,000 normal rows train",
        "source": "separation by eye",
        "here": "; ".join(
            f"{n}: AUROC {shown(of['auroc'])}, AP {shown(of['ap'])}, recall "
            f"{shown(of['recall at 1 %'], 0)} %"
            for n, of in ours.items()
        ),
        "verdict": "best by AUROC: {auroc}, by AP: {ap}, by recall at 1 % false "
        "alarms: "
        "{recall at 1 %}".format(**best),
        "holds": set(best.values()) == {"skae"},
        "ours": ours,
        "pictures": {
            "scores": listed(scores[keep], 3),
            "y": np.where(is_fraud[keep], -1, 1).tolist(),
        },
    }
