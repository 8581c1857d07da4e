"""What flags by conformal p-value would have been worth."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.conformal import conformal_p_values
from offbeat.errors import DataError
from offbeat.result import BoolArray
from offbeat_training.evaluation.confusion import Confusion

RATES = (0.01, 0.05)


class ConformalFlags(msgspec.Struct, frozen=True, kw_only=True):
    """The lines whose p-value is at most the nominal `rate`: the rate realised on normal lines, and the anomalies' share.

    `n_calibration` normal lines gave the p-values; none of them is below 1 / (n + 1).
    """

    rate: float
    false_positive_rate: float
    recall: float
    n_calibration: int


def conformal_flags(
    labels: BoolArray, errors: NDArray[np.floating], calibration: NDArray[np.floating]
) -> tuple[ConformalFlags, ...]:
    """Judges p-values of `errors` [line] at the nominal rates 1 % and 5 % against `labels` [line].

    `calibration` are the errors of normal lines that were neither learnt from nor are judged here. Raises DataError where
    there are none or they are not finite.
    """
    if not calibration.size or not np.isfinite(calibration).all():
        raise DataError(f"{calibration.size} calibration errors; expected at least one, and finite numbers only")
    p_values = conformal_p_values(calibration, errors)
    confusions = {rate: Confusion.of(labels, p_values <= rate) for rate in RATES}
    return tuple(
        ConformalFlags(
            rate=rate,
            false_positive_rate=confusion.false_positive_rate,
            recall=confusion.recall,
            n_calibration=calibration.size,
        )
        for rate, confusion in confusions.items()
    )
