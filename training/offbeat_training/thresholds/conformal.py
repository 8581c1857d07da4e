"""Split conformal prediction: a p-value for each error, and a threshold whose false-alarm rate is guaranteed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from offbeat.errors import TrainingError
from offbeat.result import Threshold
from offbeat_training.thresholds.positive import positive


def conformal_p_values(calibration: NDArray[np.floating], errors: NDArray[np.floating]) -> NDArray[np.float64]:
    """For each of `errors` [...], the chance of an error as large where the window is as normal as the calibration.

    p = (1 + #{calibration errors ≥ error}) / (n + 1), for n errors `calibration` [window] of held-out normal windows; so
    it is never below 1 / (n + 1). Of windows exchangeable with those, at most a share α has p ≤ α, for every α.
    Raises TrainingError without a calibration error, and for NaN.

    Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005; split form: Laxhammar, Falkman,
    "Inductive conformal anomaly detection for sequential detection of anomalous sub-trajectories", 2015.
    """
    if not calibration.size or np.isnan(calibration).any() or np.isnan(errors).any():
        raise TrainingError(f"{calibration.size} calibration errors; expected at least one, and no NaN anywhere")
    n_below = np.searchsorted(np.sort(calibration, axis=None), errors, side="left")
    return np.asarray((1 + calibration.size - n_below) / (calibration.size + 1))


def conformal_threshold(errors: NDArray[np.floating], false_alarm_rate: float) -> Threshold:
    """The ⌈(n + 1)(1 − α)⌉-th smallest of n `errors` [window] of held-out normal windows, α being `false_alarm_rate`.

    An error exceeds it exactly where its p-value is at most α; so at most a share α of windows exchangeable with these
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
    value = float(np.partition(errors, errors.size - n_above)[errors.size - n_above])
    return Threshold(
        value=positive(value), method="conformal", n_windows=errors.size, false_alarm_rate=false_alarm_rate
    )
