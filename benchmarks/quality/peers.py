"""Detectors to compare with, at their defaults, behind one interface.

Each has ``fit(X)`` and ``score_samples(X)``, higher for more normal rows.
"""

import numpy as np
from scipy.stats import rankdata
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

from skae import AutoencoderOutlierDetector


class KNeighborsDistance:
    """Distance to the k-th training row, negated."""

    def __init__(self, n_neighbors):
        self.n_neighbors = n_neighbors

    def fit(self, X):
        """Index the training rows."""
        n_neighbors = min(self.n_neighbors, len(X))
        self.index = NearestNeighbors(n_neighbors=n_neighbors, n_jobs=-1).fit(X)
        return self

    def score_samples(self, X):
        """Minus the distance to the k-th neighbour."""
        return -self.index.kneighbors(X)[0][:, -1]


class Norm:
    """Distance to the origin, which is the mean of standardised rows, negated."""

    def fit(self, X):
        """Nothing to learn."""
        return self

    def score_samples(self, X):
        """Minus the length of each row."""
        return -np.linalg.norm(X, axis=1)


class PCAReconstruction:
    """Squared error of a PCA that keeps 90 % of the variance, negated."""

    def fit(self, X):
        """Find the components."""
        self.pca = PCA(n_components=0.9, svd_solver="full").fit(X)
        return self

    def score_samples(self, X):
        """Minus the squared residual."""
        restored = self.pca.inverse_transform(self.pca.transform(X))
        return -np.square(X - restored).sum(axis=1)


class TrimmedMahalanobis:
    """Mahalanobis distance of the three quarters of the rows that fit best, negated.

    Ten concentration steps; the eigenvalues have a floor of a hundredth of their mean.
    """

    def fit(self, X):
        """Concentrate."""
        self.kept = np.arange(len(X))
        for _ in range(11):
            rows = X[self.kept]
            self.mean = rows.mean(axis=0)
            covariance = np.atleast_2d(np.cov(rows.T, bias=True))
            values, vectors = np.linalg.eigh(covariance)
            values = np.maximum(values, 0) + 0.01 * values.mean()
            self.whitening = vectors / np.sqrt(values)
            order = np.argsort(-self.score_samples(X), kind="stable")
            self.kept = order[: round(0.75 * len(X))]
        return self

    def score_samples(self, X):
        """Minus the squared distance."""
        return -np.square((X - self.mean) @ self.whitening).sum(axis=1)


class TrimmedNeighbors:
    """Mean of two ranks: trimmed Mahalanobis, and 20-NN among the rows kept."""

    def fit(self, X):
        """Concentrate, then index."""
        self.gaussian = TrimmedMahalanobis().fit(X)
        self.neighbors = KNeighborsDistance(20).fit(X[self.gaussian.kept])
        return self

    def score_samples(self, X):
        """Ranks among the rows given."""
        parts = (self.gaussian, self.neighbors)
        return np.mean([rankdata(part.score_samples(X)) for part in parts], axis=0)


class Subsampled:
    """A detector of quadratic cost, trained on at most 10,000 random rows."""

    def __init__(self, detector, seed):
        self.detector = detector
        self.seed = seed

    def fit(self, X):
        """Train on a sample."""
        if len(X) > 10_000:
            X = X[np.random.default_rng(self.seed).choice(len(X), 10_000, False)]
        self.detector.fit(X)
        return self

    def score_samples(self, X):
        """Scores of the detector."""
        return self.detector.score_samples(X)


class PyOD:
    """A detector of PyOD, whose scores are higher for outliers."""

    def __init__(self, module, name, **parameters):
        self.module, self.name, self.parameters = module, name, parameters

    def fit(self, X):
        """Import and train."""
        module = __import__(f"pyod.models.{self.module}", fromlist=[self.name])
        self.detector = getattr(module, self.name)(**self.parameters)
        self.detector.fit(X)
        return self

    def score_samples(self, X):
        """Minus PyOD's score."""
        return -np.nan_to_num(self.detector.decision_function(X))


# Detectors that would take hours on tables wider than this.
MAX_FEATURES = {"EllipticEnvelope": 1000}

DETECTORS = {
    "skae": lambda seed: AutoencoderOutlierDetector(random_state=seed),
    "IsolationForest": lambda seed: IsolationForest(random_state=seed),
    "LOF": lambda seed: LocalOutlierFactor(novelty=True),
    "OneClassSVM": lambda seed: Subsampled(OneClassSVM(), seed),
    "EllipticEnvelope": lambda seed: Subsampled(
        EllipticEnvelope(random_state=seed), seed
    ),
    "1-NN": lambda seed: KNeighborsDistance(1),
    "5-NN": lambda seed: KNeighborsDistance(5),
    "PCA reconstruction": lambda seed: PCAReconstruction(),
    "norm": lambda seed: Norm(),
    "trimmed Mahalanobis": lambda seed: TrimmedMahalanobis(),
    "trimmed Mahalanobis + 20-NN": lambda seed: TrimmedNeighbors(),
    "PyOD AutoEncoder": lambda seed: PyOD(
        "auto_encoder", "AutoEncoder", random_state=seed, verbose=0
    ),
    "PyOD VAE": lambda seed: PyOD("vae", "VAE", random_state=seed, verbose=0),
    "PyOD ECOD": lambda seed: PyOD("ecod", "ECOD"),
    "PyOD HBOS": lambda seed: PyOD("hbos", "HBOS"),
    "PyOD KNN": lambda seed: PyOD("knn", "KNN"),
}
