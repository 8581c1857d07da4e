"""Which threshold a recalibration is to choose."""

from __future__ import annotations

import msgspec

from offbeat.bundle import Manifest
from offbeat.errors import ConfigurationError, require
from offbeat.result import ThresholdMethod
from offbeat_training.config import TrainingConfig


class CalibrationFlags(msgspec.Struct, frozen=True, kw_only=True):
    """What the flags ask for; whatever is None stays as the model's present threshold has it."""

    threshold_method: ThresholdMethod | None = None
    percentile: float | None = None
    false_alarm_rate: float | None = None
    threshold: float | None = None

    def config(self, present: Manifest) -> TrainingConfig:
        """The fields of a training configuration that choose a threshold. Raises ConfigurationError where they contradict each other."""
        old = present.threshold
        method = self.threshold_method or self._implied_method(old.method)
        if method == "fixed" and self.threshold is None and self.threshold_method is None:
            raise ConfigurationError(
                f"the model's threshold is fixed ({old.value:g}), and has no method to repeat; "
                "expected --percentile, --false-alarm-rate, --threshold-method or --threshold"
            )
        is_apt = self.percentile is None or method == "percentile"
        require(is_apt, "percentile", self.percentile, f"none with threshold_method {method}")
        has_rate = method in ("pot", "conformal")
        return TrainingConfig(
            threshold_method=method,
            threshold=self.threshold,
            percentile=self.percentile or (old.percentile if method == old.method else None) or 95.0,
            false_alarm_rate=self.false_alarm_rate or (old.false_alarm_rate if has_rate else None),
        )

    def _implied_method(self, present: ThresholdMethod) -> ThresholdMethod:
        if self.threshold is not None:
            return "fixed"
        if self.percentile is not None:
            return "percentile"
        if self.false_alarm_rate is not None:
            return present if present in ("pot", "conformal") else "conformal"
        return present
