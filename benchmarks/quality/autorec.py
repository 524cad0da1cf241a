"""Rating prediction on MovieLens 100k: AutoRec, biases, truncated SVD.

    SKAE_DATA=DIR python -m benchmarks.quality.autorec --out FILE

A tenth of the ratings is hidden, in three random splits; the parameters of the example
were chosen on a fourth one (seed 100). The truncated SVD is that of the same deviations
from the same biases with 0 for unknown ratings, at the rank that is best on the hidden
ratings.
"""

import argparse
import json
import runpy
from pathlib import Path

import numpy as np
from sklearn.decomposition import TruncatedSVD

from skae.datasets import load_movielens

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "autorec.py"
RANKS = (2, 5, 10, 15, 20, 30, 50)
SHARE = 0.1

example = runpy.run_path(str(EXAMPLE))
AutoRec, error, hide = (example[name] for name in ("AutoRec", "error", "hide"))


def evaluate(ratings, seed):
    """Errors of hidden ratings by every method, for rows of any kind."""
    given, hidden = hide(ratings, SHARE, np.random.default_rng(seed))
    model = AutoRec(random_state=seed).fit(given)
    biases = model.biases(given)
    deviations = np.nan_to_num(given - biases)
    errors = {
        "mean": error(ratings, np.full(ratings.shape, model.mean), hidden),
        "biases": error(ratings, biases, hidden),
        "AutoRec": error(ratings, model.predict(given), hidden),
    }
    errors["truncated SVD"] = min(
        error(ratings, biases + svd.inverse_transform(codes), hidden)
        for rank in RANKS
        for svd in [TruncatedSVD(rank, random_state=seed)]
        for codes in [svd.fit_transform(deviations)]
    )
    return errors


def evaluate_new_users(ratings, seed):
    """Errors for users the model has not seen, who give nine tenths of theirs."""
    rng = np.random.default_rng(seed)
    is_new = rng.random(len(ratings)) < SHARE
    model = AutoRec(random_state=seed).fit(ratings[~is_new])
    given, hidden = hide(ratings[is_new], SHARE, rng)
    return {
        "biases": error(ratings[is_new], model.biases(given), hidden),
        "AutoRec": error(ratings[is_new], model.predict(given), hidden),
    }


def main():
    """Run all splits and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    ratings = load_movielens().data
    kinds = {
        "item-based": lambda seed: evaluate(ratings.T, seed),
        "user-based": lambda seed: evaluate(ratings, seed),
        "new users": lambda seed: evaluate_new_users(ratings, seed),
    }
    report = {"seeds": options.seeds, "median": {}, "runs": {}}
    for kind, function in kinds.items():
        runs = [function(seed) for seed in options.seeds]
        report["runs"][kind] = runs
        report["median"][kind] = {
            k: round(float(np.median([r[k] for r in runs])), 4) for k in runs[0]
        }
        print(f"{kind:12}", report["median"][kind], flush=True)
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
