"""From the errors of held-out normal windows to the threshold."""

from __future__ import annotations

import numpy as np

from offbeat.result import FloatArray, Threshold
from offbeat_training.config import TrainingConfig


def choose_threshold(errors: FloatArray, config: TrainingConfig) -> Threshold:
    """The configured percentile of `errors` [window] (linear between order statistics), or the fixed value."""
    if config.threshold is not None:
        return Threshold(value=config.threshold, method="fixed", n_windows=errors.size)
    value = float(np.percentile(errors.astype(np.float64), config.percentile))
    # A model that reproduces everything exactly has errors of 0, and a threshold must be positive.
    smallest = float(np.finfo(np.float32).tiny)
    return Threshold(
        value=max(value, smallest), method="percentile", n_windows=errors.size, percentile=config.percentile
    )
