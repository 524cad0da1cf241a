"""Splits, thresholds and a filter of alarms for any outlier detector, skae's or not."""

from skae.model_selection._alarm_filter import AlarmFilter
from skae.model_selection._objectives import FalseAlarmRate, FBeta, RecallAtPrecision
from skae.model_selection._split import NoveltyKFold, NoveltySplit
from skae.model_selection._tuned_threshold import TunedThresholdDetector

__all__ = [
    "AlarmFilter",
    "FBeta",
    "FalseAlarmRate",
    "NoveltyKFold",
    "NoveltySplit",
    "RecallAtPrecision",
    "TunedThresholdDetector",
]
