"""Scoring in this process."""

from offbeat.scorer.checks import (
    as_float32,
    check_calibration,
    check_finite,
    check_outputs,
    check_shape,
    check_windows,
    real_array,
)
from offbeat.scorer.scorer import Scorer, load

__all__ = [
    "Scorer",
    "as_float32",
    "check_calibration",
    "check_finite",
    "check_outputs",
    "check_shape",
    "check_windows",
    "load",
    "real_array",
]
