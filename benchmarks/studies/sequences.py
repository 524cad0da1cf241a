"""B8 and B9: heartbeats, and maintenance from the sensors of a supercomputer."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.quality import hpc
from benchmarks.quality.hpc import TEST, TRAIN, TUNE
from benchmarks.quality.sequences import NETWORKS, evaluate, load, nearest_five
from benchmarks.studies.rows import listed, points, row, shown, spread
from skae import AutoencoderOutlierDetector

SEEDS = (0, 1, 2)
# Default batches of so few beats make 300 steps, too few for recurrent units.
# Chosen on the training part, with its abnormal beats to test: 98.7 against 98.5.
OURS = NETWORKS | {"recurrent": NETWORKS["recurrent"] | {"batch_size": 32}}


@row("B8", "heartbeats", "ecg5000")
def heartbeats():
    """Networks trained on normal beats, beside the distance to the nearest five."""
    train, test, is_outlier = load()
    nearest = points(is_outlier, nearest_five(train, test))["auroc"]
    ours = {
        name: spread([evaluate(p, train, test, is_outlier, seed) for seed in SEEDS])
        for name, p in OURS.items()
    }
    recurrent = ours["recurrent"]["default"]
    shown_ = np.r_[np.flatnonzero(~is_outlier)[:3], np.flatnonzero(is_outlier)[:3]]
    detector = AutoencoderOutlierDetector(random_state=0, **OURS["recurrent"])
    restored = detector.fit(train).reconstruct(test[shown_])
    return {
        "protocol": "292 normal beats of the training part train, the 4,499 of the "
        "other part test; seeds 0 to 2, median (lowest to highest)",
        "source": "sequence to sequence is named (no figure)",
        "here": "AUROC, default score / reconstruction: "
        + "; ".join(
            f"{n} {shown(of['default'], 2)} / {shown(of['reconstruction'], 2)}"
            for n, of in ours.items()
        )
        + f"; mean distance to 5 neighbours {nearest:.2f}",
        "verdict": f"the recurrent network has {recurrent[0]:.2f}; dense networks and "
        "plain distances are ahead of it on beats that are already aligned",
        "holds": recurrent[0] >= 98,
        "ours": ours | {"5 nearest neighbours": nearest},
        "pictures": {
            "beats": listed(test[shown_], 2),
            "reconstructions": listed(restored, 2),
            "y": np.where(is_outlier[shown_], -1, 1).tolist(),
        },
    }


def stacked(seed, X):
    """Codes of codes: each network restores what the one before makes of the rows."""
    codes = X
    for width in (64, 32):
        layer = AutoencoderOutlierDetector(
            hidden_layer_sizes=(),
            latent_dim=width,
            corruption="masking",
            corruption_scale=0.2,
            anomaly_score="reconstruction",
            random_state=seed,
        ).fit(codes[TRAIN])
        codes = layer.transform(codes)
        codes = StandardScaler().fit(codes[TRAIN]).transform(codes)
    return codes


def sparse(seed, X):
    """Codes of a sparse autoencoder."""
    detector = AutoencoderOutlierDetector(
        hidden_layer_sizes=(),
        latent_dim=64,
        activation="relu",
        corruption=None,
        l1_activity=1e-3,
        anomaly_score="reconstruction",
        random_state=seed,
    )
    return detector.fit(X[TRAIN]).transform(X)


def diagnosed(seed, X, y):
    """Figures of a linear classifier on several views of the sensors."""
    views = {
        "sensors": X,
        "PCA, 32": PCA(32, random_state=seed).fit(X[TRAIN]).transform(X),
        "stacked denoising codes, 32": stacked(seed, X),
        "sparse codes, 64": sparse(seed, X),
    }
    found = {}
    for name, view in views.items():
        # Values far outside the training rows' would decide a linear model alone.
        view = np.arcsinh(view)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
        model.fit(view[TUNE], y[TUNE] == -1)
        said = model.decision_function(view[TEST])
        accuracy = balanced_accuracy_score(y[TEST] == -1, said > 0)
        found[name] = points(y[TEST] == -1, said) | {
            "balanced accuracy": 100 * float(accuracy)
        }
    return found


@row("B9", "predictive maintenance", "hpc")
def maintenance():
    """Codes of the sensors, then a classifier, beside raw and PCA features."""
    X, y = hpc.load()
    ours = spread([diagnosed(seed, X, y) for seed in SEEDS])
    figure = "balanced accuracy"
    best = {f: max(ours, key=lambda n: ours[n][f][0]) for f in ("auroc", figure)}
    return {
        "protocol": "networks learn from rows 0-2,999 without labels, the "
        "classifier from "
        "rows 3,000-4,499 with labels, rows 4,500-6,666 test; seeds 0 to 2",
        "source": "stacked denoising and sparse autoencoders before a classifier, "
        "cited from papers on other machines",
        "here": "; ".join(
            f"{n}: AUROC {shown(of['auroc'])}, balanced accuracy {shown(of[figure])} %"
            for n, of in ours.items()
        ),
        "verdict": f"best order: {best['auroc']}; best at the classifier's threshold, "
        f"which few labels place: {best[figure]}",
        "holds": None,
        "ours": ours,
    }
