"""D: uses of the code, after O. Ramos Flores, on the digits of scikit-learn.

1,200 of the 1,797 digits train, the others test, unless a row says otherwise.
"""

import runpy

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.quality import autorec
from benchmarks.studies.digits import REDUCING, digits
from benchmarks.studies.rows import EXAMPLES, against, error, listed, row, shown, spread
from skae import AutoencoderOutlierDetector
from skae.datasets import load_movielens, make_sparse_counts

SEEDS = (0, 1, 2)
N_LABELS = 100
PLAIN = {
    "hidden_layer_sizes": (128,),
    "latent_dim": 16,
    "corruption": None,
    "max_iter": 100,
    "anomaly_score": "reconstruction",
    "validation_fraction": 0,
}


def fitted(seed, **parameters):
    """Fit a network of digits."""
    detector = AutoencoderOutlierDetector(random_state=seed, **PLAIN | parameters)
    return detector.fit(digits(seed)[0])


@row("D1", "output activations, losses, penalties")
def outputs_and_penalties():
    """Test error and sparsity of each."""
    cross = {"output_activation": "sigmoid", "loss": "binary_cross_entropy"}
    variants = {
        "linear, MSE": {},
        "ReLU, MSE": {"output_activation": "relu"},
        "sigmoid, MSE": {"output_activation": "sigmoid"},
        "sigmoid, BCE": cross,
        "sigmoid, BCE, L1 on weights": cross | {"l1_weights": 1e-5},
        "sigmoid, BCE, L2 on weights": cross | {"alpha": 1e-4},
        "sigmoid, BCE, L1 on the code": cross | {"l1_activity": 1e-3},
        "sigmoid, BCE, L2 on the code": cross | {"l2_activity": 1e-3},
    }
    ours = {}
    for name, parameters in variants.items():
        runs = []
        for seed in SEEDS:
            detector = fitted(seed, activation="relu", **parameters)
            test = digits(seed)[1]
            kernels = [w for n, w in detector.weights_.items() if n.endswith("kernel")]
            runs.append(
                {
                    "test MSE": float(error(detector, test).mean()),
                    "mean code": float(np.abs(detector.transform(test)).mean()),
                    "mean weight": float(
                        np.mean([np.abs(kernel).mean() for kernel in kernels])
                    ),
                }
            )
        ours[name] = spread(runs)
    return {
        "protocol": "64-128-16-128-64 with ReLU, 100 epochs; seeds 0 to 2, median",
        "source": "names ReLU, sigmoid, MSE, BCE, L1 and L2",
        **outputs_judged(ours),
        "ours": ours,
    }


def outputs_judged(ours):
    """Put the figures of the row in words."""
    base = ours["sigmoid, BCE"]
    smaller = (
        ours["sigmoid, BCE, L1 on the code"]["mean code"][0] < base["mean code"][0],
        ours["sigmoid, BCE, L2 on the code"]["mean code"][0] < base["mean code"][0],
        ours["sigmoid, BCE, L1 on weights"]["mean weight"][0] < base["mean weight"][0],
        ours["sigmoid, BCE, L2 on weights"]["mean weight"][0] < base["mean weight"][0],
    )
    best = min(ours, key=lambda name: ours[name]["test MSE"][0])
    dear = [n for n, of in ours.items() if of["test MSE"][1] > base["test MSE"][2]]
    return {
        "here": "; ".join(f"{n} {of['test MSE'][0]:.4f}" for n, of in ours.items())
        + " (test MSE)",
        "verdict": f"lowest test MSE: {best}; {sum(smaller)} of 4 penalties make small "
        "what they should; error higher than with sigmoid and BCE alone, beyond seeds: "
        f"{', '.join(dear)}",
        "holds": all(smaller),
    }


@row("D2", "originals against reconstructions")
def reconstructions():
    """Digits and what the network makes of them."""
    detector = fitted(
        0, output_activation="sigmoid", loss="binary_cross_entropy", max_iter=300
    )
    train, test, _, _ = digits(0)
    found = float(error(detector, test).mean())
    baseline = float(np.mean((test - train.mean(axis=0)) ** 2))
    return {
        "protocol": "64-128-16-128-64, sigmoid and BCE, 300 epochs, seed 0",
        "source": "a small error means that reconstruction succeeded",
        "here": f"test MSE {found:.4f}, of the mean digit {baseline:.4f}",
        "verdict": "16 numbers keep the digits readable",
        "holds": found < baseline / 4,
        "ours": {"test MSE": found, "test MSE of the mean": baseline},
        "pictures": {
            "digits": listed(test[:8], 2),
            "reconstructions": listed(detector.reconstruct(test[:8]), 2),
        },
    }


def accuracies(seed):
    """Shares of new digits that are right, in per cent, with few labels."""
    X, test, y, y_test = digits(seed)
    few, labels = X[:N_LABELS], y[:N_LABELS]
    detector = fitted(seed, latent_dim=64, corruption="masking", corruption_scale=0.3)
    pca = PCA(16, random_state=seed).fit(X)
    raw = make_pipeline(SVC(C=10))

    def right(model, codes, test_codes):
        return model.fit(codes, labels).score(test_codes, y_test)

    found = {
        "SVM on pixels": right(raw, few, test),
        "SVM on PCA codes": right(SVC(C=10), pca.transform(few), pca.transform(test)),
        "SVM on codes": right(
            make_pipeline(StandardScaler(), SVC(C=10)),
            detector.transform(few),
            detector.transform(test),
        ),
        "encoder frozen, linear layer": right(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)),
            detector.transform(few),
            detector.transform(test),
        ),
    }
    example = runpy.run_path(str(EXAMPLES / "fine_tuning.py"))
    for name, network, weight in (
        ("fine-tuned", detector.to_module(), 0.0),
        ("fine-tuned, with the autoencoder's loss", detector.to_module(), 1.0),
        ("from scratch", example["untrained"](detector.to_module(), seed), 0.0),
    ):
        model = example["fine_tune"](network, few, labels, X, weight=weight, seed=seed)
        guess = np.asarray(model(test.astype(np.float32)).argmax(axis=1))
        found[name] = np.mean(guess == y_test)
    return {name: 100 * float(share) for name, share in found.items()}


@row("D3", "classification with codes")
def classification():
    """SVM on codes, a frozen and a fine-tuned encoder, the loss as a regulariser."""
    ours = spread([accuracies(seed) for seed in SEEDS])
    return {
        "protocol": f"{N_LABELS} of 1,200 digits have labels; seeds 0 to 2, median "
        "(lowest to highest)",
        "source": "encoder as first part, frozen or tuned; SVM on codes; regulariser",
        **classification_judged(ours),
        "ours": ours,
    }


def classification_judged(ours):
    """Put the figures of the row in words."""
    by_code, by_pca = ours["SVM on codes"], ours["SVM on PCA codes"]
    tuned, scratch = ours["fine-tuned"], ours["from scratch"]
    best = max(ours, key=lambda name: ours[name][0])
    return {
        "here": "; ".join(f"{n} {shown(of)} %" for n, of in ours.items()),
        "verdict": f"best: {best}; an SVM on codes is {against(by_code, by_pca)} one "
        f"on PCA codes; fine-tuning is {against(tuned, scratch)} the same network from "
        f"scratch, and {against(tuned, by_code)} the SVM on codes",
        "holds": None,
    }


def rand_indices(seed):
    """Take the adjusted Rand index of k-means on several tables of the same digits."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    tables = {
        "pixels": X,
        "PCA, 16": PCA(16, random_state=seed).fit_transform(X),
    }
    for name, parameters in {
        "codes, 16": {},
        "denoising codes, 128": {"latent_dim": 128, "corruption": "gaussian"},
        "denoising codes, 16": {"corruption": "gaussian"},
    }.items():
        detector = AutoencoderOutlierDetector(random_state=seed, **PLAIN | parameters)
        tables[name] = detector.fit(X).transform(X)
    return {
        name: 100
        * float(
            adjusted_rand_score(
                y, KMeans(10, n_init=10, random_state=seed).fit_predict(table)
            )
        )
        for name, table in tables.items()
    }


@row("D4", "clustering of codes")
def clustering():
    """k-means on codes, on pixels and on principal components."""
    ours = spread([rand_indices(seed) for seed in SEEDS])
    codes = {n: of for n, of in ours.items() if "codes" in n}
    best = max(codes, key=lambda name: codes[name][0])
    ahead = codes[best][0] > max(ours["pixels"][0], ours["PCA, 16"][0])
    return {
        "protocol": "all 1,797 digits, ten clusters; seeds 0 to 2, median (lowest to "
        "highest) of 100 times the adjusted Rand index",
        "source": "codes serve any clustering; they are trained for reconstruction "
        "alone",
        "here": "; ".join(f"{n} {shown(of)}" for n, of in ours.items()),
        "verdict": (
            "codes cluster better than pixels"
            if ahead
            else "codes do not cluster better than pixels: the drawback that the text "
            "names is what is seen"
        ),
        "holds": None,
        "ours": ours,
    }


@row("D5", "recommendation", "ml100k")
def recommendation():
    """AutoRec beside means, biases and a truncated SVD."""
    ratings = load_movielens().data
    ours = {
        "item-based": spread([autorec.evaluate(ratings.T, seed) for seed in SEEDS]),
        "user-based": spread([autorec.evaluate(ratings, seed) for seed in SEEDS]),
    }
    items, users = (of["AutoRec"][0] for of in ours.values())
    return {
        "protocol": "a tenth of the ratings is hidden; three splits, median (lowest to "
        "highest) RMSE; the rank of the SVD is the best on the hidden ratings",
        "source": "AutoRec, user- and item-based (no figure)",
        "here": "; ".join(
            f"{kind}: " + ", ".join(f"{n} {shown(f, 3)}" for n, f in of.items())
            for kind, of in ours.items()
        ),
        "verdict": f"item-based {items:.3f} and user-based {users:.3f} are "
        + ("ahead of" if items < ours["item-based"]["truncated SVD"][0] else "behind")
        + " the factorisation",
        "holds": items <= 0.91,
        "ours": ours,
    }


def reduced(X, width, seed):
    """Relative error and trustworthiness of codes, PCA and TruncatedSVD."""
    dense = np.asarray(X.todense()) if hasattr(X, "todense") else X
    total = np.sum((dense - dense.mean(axis=0)) ** 2)
    detector = AutoencoderOutlierDetector(
        random_state=seed, **PLAIN | REDUCING | {"latent_dim": width}
    ).fit(X)
    found = {"autoencoder": (detector.transform(X), detector.reconstruct(X))}
    for name, model in {
        "PCA": PCA(width, random_state=seed),
        "TruncatedSVD": TruncatedSVD(width, random_state=seed),
    }.items():
        codes = model.fit_transform(dense if name == "PCA" else X)
        found[name] = (codes, model.inverse_transform(codes))
    return {
        name: {
            "error": float(np.sum((dense - restored) ** 2) / total),
            "trustworthiness": float(trustworthiness(dense, codes, n_neighbors=10)),
        }
        for name, (codes, restored) in found.items()
    }


@row("D6", "dimensionality reduction")
def reduction():
    """Codes of 2 and 8 units against linear methods, on digits and on sparse counts."""
    tables = {
        "digits": lambda seed: load_digits().data / 16,
        "sparse counts": lambda seed: make_sparse_counts(1200, 2000, random_state=seed)[
            0
        ],
    }
    ours = {
        f"{name}, {width}": spread([reduced(make(seed), width, seed) for seed in SEEDS])
        for name, make in tables.items()
        for width in (2, 8)
    }

    def said(case):
        return f"{case}: " + ", ".join(
            f"{n} {of['error'][0]:.2f} / {of['trustworthiness'][0]:.3f}"
            for n, of in ours[case].items()
        )

    better = {
        figure: [
            case
            for case, of in ours.items()
            if sign * of["autoencoder"][figure][0] < sign * of["PCA"][figure][0]
        ]
        for figure, sign in (("error", 1), ("trustworthiness", -1))
    }
    return {
        "protocol": "1,797 digits and 1,200 sparse texts of 2,000 words, all rows "
        "train; seeds 0 to 2, median of the share of variance lost / trustworthiness",
        "source": "every autoencoder reduces dimensions in its bottleneck",
        "here": "; ".join(map(said, ours)),
        "verdict": "the autoencoder has a lower error than PCA on "
        f"{', '.join(better['error']) or 'none'}, and keeps neighbours better on "
        f"{', '.join(better['trustworthiness']) or 'none'}",
        "holds": None,
        "ours": ours,
    }
