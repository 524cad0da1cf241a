"""Pictures and explanations of detectors, alone or in Pipelines."""

from skae.inspection._alarm_signal import AlarmSignalDisplay
from skae.inspection._explanations import explain, feature_errors, p_values
from skae.inspection._feature_errors import FeatureErrorDisplay
from skae.inspection._latent_space import LatentSpaceDisplay
from skae.inspection._loss_curve import LossCurveDisplay
from skae.inspection._reasons import Reason, reasons
from skae.inspection._reconstruction import ReconstructionDisplay
from skae.inspection._score_distribution import ScoreDistributionDisplay
from skae.inspection._threshold_cost import ThresholdCostDisplay

__all__ = [
    "AlarmSignalDisplay",
    "FeatureErrorDisplay",
    "LatentSpaceDisplay",
    "LossCurveDisplay",
    "Reason",
    "ReconstructionDisplay",
    "ScoreDistributionDisplay",
    "ThresholdCostDisplay",
    "explain",
    "feature_errors",
    "p_values",
    "reasons",
]
