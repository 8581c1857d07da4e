"""Result types: plain values that every room may use."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.conformal import Calibration
from offbeat.errors import ConfigurationError

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

DEFAULT_OUTPUTS: tuple[str, ...] = ("reconstruction_error", "anomaly_score", "is_anomaly")

ThresholdMethod = Literal["percentile", "fixed", "best-f1", "pot", "conformal"]
# What each method has to say of itself; every other parameter is None.
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "percentile": ("percentile",),
    "fixed": (),
    "best-f1": ("f1",),
    "pot": ("false_alarm_rate", "initial_percentile"),
    "conformal": ("false_alarm_rate",),
}


class Threshold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reconstruction error above which a window is an anomaly, and how it was chosen.

    `value` is in units of `reconstruction_error` (the loss on normalised values), chosen over `n_windows` held-out
    windows. `percentile`: the percentile taken, in percent. `best-f1`: the `f1` reached on labelled windows. `pot` (peaks
    over threshold): the target `false_alarm_rate`, and the `initial_percentile` above which the tail was fitted.
    `conformal`: the guaranteed `false_alarm_rate`, and the `calibration` that p-values follow from, which may be absent.
    Raises ConfigurationError for a value that is not a positive, finite float32, and for parameters that are not the
    method's own.
    """

    value: float
    method: ThresholdMethod
    n_windows: Annotated[int, msgspec.Meta(ge=0)] = 0
    percentile: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    false_alarm_rate: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    initial_percentile: Annotated[float, msgspec.Meta(ge=0, lt=100)] | None = None
    f1: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        with np.errstate(over="ignore", under="ignore"):
            as_float32 = float(np.float32(self.value))
        if not (math.isfinite(as_float32) and as_float32 >= float(np.finfo(np.float32).tiny)):
            raise ConfigurationError(f"threshold is {self.value!r}; expected a positive, normal float32 number")
        expected = _PARAMETERS[self.method]
        for name in ("percentile", "false_alarm_rate", "initial_percentile", "f1"):
            given = getattr(self, name)
            if (given is not None) != (name in expected):
                words = " and ".join(expected) or "none of them"
                raise ConfigurationError(f"threshold method {self.method!r} has {name} {given!r}; expected {words}")

        if self.calibration is not None:
            n_windows = self.calibration.n_windows if self.method == "conformal" else None
            if n_windows != self.n_windows:
                raise ConfigurationError(
                    f"threshold method {self.method!r} over {self.n_windows} windows has a calibration of "
                    f"{self.calibration.n_windows}; expected one of as many, with 'conformal' alone"
                )

    @property
    def how(self) -> str:
        """How it was chosen, in words for a table."""
        if self.method == "fixed":
            return "fixed"
        facts = [f"{name.replace('_', ' ')} {getattr(self, name):g}" for name in _PARAMETERS[self.method]]
        words = facts if self.method == "percentile" else [self.method, *facts]
        return f"{', '.join(words)}, of {self.n_windows:,} windows"


class ScoreResult(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Scores of a batch of windows, row for row in the order they were given.

    Only the outputs that were asked for are arrays; the others are None. `reconstruction_error` [batch] is the
    training loss per window on normalised values; `anomaly_score` [batch] is clip(error / (2 · threshold), 0, 1),
    so that 0.5 is the threshold; `is_anomaly` [batch] is error > threshold; `feature_error` [batch, feature] and
    `step_error` [batch, time] are shares of the error, each summing to it; `reconstruction` has the shape and raw
    units of the windows. Where the model decodes fewer steps than a window has, both have that many. Some models give more:
    `error_std` [batch], the error's spread over a variational model's draws; `class_probability` [batch, class];
    `forecast` [batch, time, feature], at each step the prediction of the next one, in raw units. `p_value` [batch] follows
    from the error where the threshold is conformal: the chance of one as large where the window is normal. `model`, `version` and `backend` say who answered.
    """

    model: str
    version: int
    backend: str
    reconstruction_error: FloatArray | None = None
    anomaly_score: FloatArray | None = None
    is_anomaly: BoolArray | None = None
    feature_error: FloatArray | None = None
    step_error: FloatArray | None = None
    reconstruction: FloatArray | None = None
    error_std: FloatArray | None = None
    class_probability: FloatArray | None = None
    forecast: FloatArray | None = None
    p_value: FloatArray | None = None

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The outputs that are present, by name."""
        present = {name: getattr(self, name) for name in RESULT_NAMES}
        return {name: array for name, array in present.items() if array is not None}


RESULT_NAMES: tuple[str, ...] = tuple(
    name for name in ScoreResult.__struct_fields__ if name not in ("model", "version", "backend")
)
# No graph gives it: it is a matter of the calibration in the manifest.
P_VALUE = "p_value"
OUTPUT_NAMES: tuple[str, ...] = tuple(name for name in RESULT_NAMES if name != P_VALUE)
