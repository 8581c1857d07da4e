"""From the errors of held-out windows to the threshold."""

from offbeat_training.thresholds.best_f1 import BestF1, best_f1
from offbeat_training.thresholds.choice import choose_threshold, require_enough_windows
from offbeat_training.thresholds.conformal import conformal_threshold
from offbeat_training.thresholds.percentile import percentile_threshold
from offbeat_training.thresholds.pot import pot_threshold

__all__ = [
    "BestF1",
    "best_f1",
    "choose_threshold",
    "conformal_threshold",
    "percentile_threshold",
    "pot_threshold",
    "require_enough_windows",
]
