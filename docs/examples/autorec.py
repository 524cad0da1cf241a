"""AutoRec: an autoencoder of incomplete rows fills a table of ratings.

python autorec.py ml-100k/u.data
"""

import sys
import warnings

import numpy as np

from skae import AutoencoderOutlierDetector

SHRINKAGE = 5

# Columns of two ratings may have any spread.
warnings.filterwarnings("ignore", "Column .* has standard deviation")


class AutoRec:
    """Rating prediction after Sedhain, Menon, Sanner and Xie (2015).

    Rows are items with a column for each user (item-based), or the other way round.
    The network restores what is left of the ratings after the biases of columns and
    rows, which it would have to learn otherwise.
    """

    def __init__(self, **parameters):
        self.network = AutoencoderOutlierDetector(
            missing="mask",
            hidden_layer_sizes=(),
            latent_dim=500,
            activation="sigmoid",
            corruption=None,
            alpha=7e-4,
            max_iter=50,
            anomaly_score="reconstruction",
            validation_fraction=0,
        ).set_params(**parameters)

    def fit(self, ratings):
        """Learn from a table with NaN for unknown ratings."""
        self.mean = np.nanmean(ratings)
        self.column_bias = shrunken_mean(ratings - self.mean, axis=0)
        known = ratings[np.isfinite(ratings).any(axis=1)]
        deviations = known - self.biases(known)
        # Losses are means over a row's ratings: its weight is their number.
        self.network.fit(deviations, sample_weight=np.isfinite(known).sum(axis=1))
        return self

    def biases(self, ratings):
        """Prediction without the network."""
        expected = self.mean + self.column_bias
        return expected + shrunken_mean(ratings - expected, axis=1)[:, None]

    def predict(self, ratings):
        """Every rating of rows that give some, also of rows not seen in ``fit``."""
        predicted = self.biases(ratings)
        known = np.isfinite(ratings).any(axis=1)
        deviations = (ratings - predicted)[known]
        predicted[known] += self.network.reconstruct(deviations)
        return predicted


def shrunken_mean(deviations, axis):
    """Mean of what is known, drawn towards 0 where little is."""
    n_known = np.isfinite(deviations).sum(axis=axis)
    return np.nansum(deviations, axis=axis) / (n_known + SHRINKAGE)


def read(path):
    """Table of users and items from lines of user, item, rating and time."""
    user, item, rating, _ = np.loadtxt(path, dtype=int).T
    ratings = np.full((user.max(), item.max()), np.nan)
    ratings[user - 1, item - 1] = rating
    return ratings


def hide(ratings, share, rng):
    """Return the table without a share of its ratings, and which are hidden."""
    hidden = np.isfinite(ratings) & (rng.random(ratings.shape) < share)
    return np.where(hidden, np.nan, ratings), hidden


def error(ratings, predicted, hidden):
    """Root mean squared error of the hidden ratings."""
    difference = ratings[hidden] - predicted[hidden]
    return np.sqrt(np.mean(difference**2))


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    ratings = read(sys.argv[1])
    given, hidden = hide(ratings.T, 0.1, rng)
    model = AutoRec(random_state=0).fit(given)
    print(f"item-based: {error(ratings.T, model.predict(given), hidden):.3f}")

    # A model of nine users of ten serves the others, from nine tenths of their ratings.
    is_new = rng.random(len(ratings)) < 0.1
    model = AutoRec(random_state=0).fit(ratings[~is_new])
    given, hidden = hide(ratings[is_new], 0.1, rng)
    print(f"new users: {error(ratings[is_new], model.predict(given), hidden):.3f}")
