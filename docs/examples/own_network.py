"""An encoder with a skip connection and dropout, as a network of one's own."""

from flax import nnx
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderOutlierDetector


class Skipping(nnx.Module):
    def __init__(self, n_features, rngs):
        self.first = nnx.Linear(n_features, 64, rngs=rngs)
        self.second = nnx.Linear(64, 64, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)
        self.back = nnx.Linear(64, n_features, rngs=rngs)

    def encode(self, x):
        x = nnx.gelu(self.first(x))
        return x + nnx.gelu(self.second(self.dropout(x)))

    def decode(self, code):
        return self.back(code)


if __name__ == "__main__":
    X, y = load_breast_cancer(return_X_y=True)
    detector = make_pipeline(
        StandardScaler(), AutoencoderOutlierDetector(network=Skipping, random_state=0)
    ).fit(X[y == 1])
    malignant = detector.predict(X[y == 0])
    print(f"{(malignant == -1).mean():.0%} of the malignant rows are flagged")
    print(detector[-1].summary())
