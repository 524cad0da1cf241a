"""Types that skops may build when it loads what this package made."""

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from sklearn.metrics._scorer import _PassthroughScorer, _Scorer
from sklearn.model_selection import KFold

from skae import metrics, model_selection
from skae._command.logs import Logs
from skae._detector import AutoencoderOutlierDetector

_TYPES = (
    AutoencoderOutlierDetector,
    Logs,
    *(getattr(model_selection, name) for name in model_selection.__all__),
    metrics.AlarmCost,
    # What a fitted search, with our scorers or without scoring, consists of.
    metrics._outlier_positive,
    _PassthroughScorer,
    _Scorer,
    KFold,
    # Of a SimpleImputer of text.
    np.dtype,
    average_precision_score,
    f1_score,
    roc_auc_score,
)

# What makes numbers of dates and text in the Pipelines of `python -m skae score`.
_SKRUB = (
    "skrub._apply_to_cols.ApplyToCols",
    "skrub._apply_to_each_col.ApplyToEachCol",
    "skrub._datetime_encoder.DatetimeEncoder",
    "skrub._string_encoder.StringEncoder",
    "skrub._to_str.ToStr",
    "skrub.selectors._base.All",
)

TRUSTED_TYPES = sorted(
    [*(f"{kind.__module__}.{kind.__qualname__}" for kind in _TYPES), *_SKRUB]
)
