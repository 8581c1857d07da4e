"""From a configuration to its threshold."""

from __future__ import annotations

import numpy as np

from offbeat.errors import TrainingError
from offbeat.result import FloatArray, Threshold
from offbeat_training.config import TrainingConfig
from offbeat_training.thresholds.best_f1 import best_f1
from offbeat_training.thresholds.conformal import conformal_threshold
from offbeat_training.thresholds.percentile import percentile_threshold
from offbeat_training.thresholds.positive import positive
from offbeat_training.thresholds.pot import pot_threshold

_NO_ERRORS = np.empty(0, np.float32)


def choose_threshold(
    errors: FloatArray, config: TrainingConfig, anomalous: FloatArray = _NO_ERRORS, normal_weight: float = 1.0
) -> Threshold:
    """The threshold that `config` asks for, from the `errors` [window] of held-out normal windows.

    The method `best-f1` also takes the errors `anomalous` [window] of windows labelled as anomalies, each held-out window
    standing for `normal_weight` normal ones. Raises TrainingError where the windows are too few for the method.
    """
    match config.chosen_threshold_method:
        case "pot":
            return pot_threshold(errors, config.target_false_alarm_rate)
        case "conformal":
            return conformal_threshold(errors, config.target_false_alarm_rate)
        case "best-f1":
            return _best_f1_threshold(errors, anomalous, normal_weight)
    if config.threshold is not None:
        return Threshold(value=config.threshold, method="fixed", n_windows=errors.size)
    return percentile_threshold(errors, config.percentile)


def require_enough_windows(n_held_out: int, n_anomalous: int, config: TrainingConfig) -> None:
    """Refuses before hours of training what `choose_threshold` would refuse after them: only the counts decide it."""
    choose_threshold(np.zeros(n_held_out, np.float32), config, np.zeros(n_anomalous, np.float32))


def _best_f1_threshold(normal: FloatArray, anomalous: FloatArray, normal_weight: float) -> Threshold:
    if not anomalous.size:
        raise TrainingError(
            "no window is labelled anomalous; threshold method best-f1 needs labels: give a label_column"
        )
    # An anomaly so wild that its error overflows has the largest one.
    largest = float(np.finfo(np.float32).max)
    errors = np.nan_to_num(np.concatenate([normal, anomalous]), nan=largest)
    labels = np.repeat([False, True], [normal.size, anomalous.size])
    best = best_f1(labels, errors, np.where(labels, 1.0, normal_weight))
    return Threshold(value=positive(best.threshold), method="best-f1", n_windows=errors.size, f1=best.f1)
