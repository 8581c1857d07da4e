"""Split conformal prediction: a threshold whose false-alarm rate is guaranteed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from offbeat.conformal import Calibration
from offbeat.errors import TrainingError
from offbeat.result import Threshold
from offbeat_training.thresholds.positive import positive


def conformal_threshold(errors: NDArray[np.floating], false_alarm_rate: float) -> Threshold:
    """The ⌈(n + 1)(1 − α)⌉-th smallest of n `errors` [window] of held-out normal windows, α being `false_alarm_rate`.

    An error exceeds it exactly where its p-value, of offbeat.conformal, is at most α; so at most a share α of windows exchangeable with these
    does, on average over calibrations. Raises TrainingError for fewer than 1/α − 1 windows, which cannot show so small a
    rate.
    """
    # The sum is rounded so that 0.07 · 100 counts as 7.
    n_above = math.floor(round(false_alarm_rate * (errors.size + 1), 9))
    if not n_above:
        n_needed = math.ceil(round(1 / false_alarm_rate - 1, 9))
        raise TrainingError(
            f"{errors.size} held-out windows; a conformal false_alarm_rate of {false_alarm_rate:g} needs {n_needed}"
        )
    rank = errors.size - n_above + 1
    return Threshold(
        value=positive(float(np.partition(errors, rank - 1)[rank - 1])),
        method="conformal",
        n_windows=errors.size,
        false_alarm_rate=false_alarm_rate,
        calibration=Calibration.of(errors, rank),
    )
