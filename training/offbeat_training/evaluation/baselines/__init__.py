"""What a model must beat: random scores, PCA and an isolation forest."""

from offbeat_training.evaluation.baselines.fitting import fitted_scores
from offbeat_training.evaluation.baselines.isolation_forest import N_TREES, IsolationForestBaseline
from offbeat_training.evaluation.baselines.pca import EXPLAINED_VARIANCE, PcaBaseline
from offbeat_training.evaluation.baselines.random_scores import random_scores

__all__ = [
    "EXPLAINED_VARIANCE",
    "N_TREES",
    "IsolationForestBaseline",
    "PcaBaseline",
    "fitted_scores",
    "random_scores",
]
