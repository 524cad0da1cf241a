"""Columns that tell outliers from inliers alone, as copies of a label do."""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from skae._command.columns import Columns
from skae._command.text import listed

# ROC AUC of one column from which it is doubted, and rows of each kind that show it.
DOUBTED, MIN_ROWS = 0.999, 5


def note(X: pd.DataFrame, columns: Columns, is_outlier: np.ndarray) -> list[str]:
    """Name the columns, in a line that asks whether they give the label away."""
    names = [
        *(name for name in columns.numbers if _tells(X[name], is_outlier)),
        *(
            name
            for name in columns.categories
            if _tells(_rates(X[name], is_outlier), is_outlier)
        ),
    ]
    if not names:
        return []
    return [
        f"does {listed(names)} give the label away? Alone it tells outliers from "
        f"inliers (ROC AUC {DOUBTED} or more): leave it out by --drop"
    ]


def _tells(values: pd.Series, is_outlier: np.ndarray) -> bool:
    values = values.to_numpy(float)
    is_there = ~np.isnan(values)
    if not is_there.any():
        return False
    # Missing in outliers alone is a way to tell them, too.
    filled = np.where(is_there, values, np.nanmedian(values))
    areas = [_area(values, is_outlier) for values in (filled, is_there.astype(float))]
    return max(areas) >= DOUBTED


def _area(values: np.ndarray, is_outlier: np.ndarray) -> float:
    n_outliers = np.count_nonzero(is_outlier)
    if min(n_outliers, len(is_outlier) - n_outliers) < MIN_ROWS:
        return 0.5
    area = roc_auc_score(is_outlier, values)
    return max(area, 1 - area)


def _rates(values: pd.Series, is_outlier: np.ndarray) -> pd.Series:
    """Share of outliers among the other rows of the same category."""
    target = pd.Series(is_outlier.astype(float), index=values.index)
    groups = target.groupby(values.fillna("(missing)"))
    n, total = groups.transform("size"), groups.transform("sum")
    rest = (total - target) / (n - 1).where(n > 1)
    return rest.fillna(target.mean())
