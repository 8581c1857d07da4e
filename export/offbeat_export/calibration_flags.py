"""The flags of `offbeat recalibrate`, in the order of its help, and which threshold they choose."""

from __future__ import annotations

import msgspec

from offbeat.bundle import Manifest
from offbeat.data import ColumnSelection
from offbeat.errors import ConfigurationError, require
from offbeat.flag_fields import Flags, flag
from offbeat.result import ThresholdMethod
from offbeat_training.config import TrainingConfig
from offbeat_training.train_flags import COLUMNS


class CalibrationFlags(msgspec.Struct, frozen=True, kw_only=True):
    """What the flags ask for. Whatever is None of the threshold stays as the model's present one has it; `version` None is the
    next free one, and `stride` None, in rows from one window to the next, that of training.
    """

    threshold_method: ThresholdMethod | None = None
    percentile: float | None = None
    false_alarm_rate: float | None = None
    threshold: float | None = None
    version: int | None = None
    stride: int | None = None

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


KINDS = (ColumnSelection, CalibrationFlags)
FLAGS: Flags = {
    "threshold_method": flag("As in training. Default: the model's present one."),
    "percentile": flag("Of the errors of the data: the threshold."),
    "false_alarm_rate": flag("Of normal windows: conformal, or pot where the model has that."),
    "threshold": flag("A fixed threshold, in units of the error."),
    "version": flag("The version to write; the next free one by default.", min=1),
    "stride": flag("Rows from one window to the next; that of training by default.", min=1),
    "label_column": flag("Says which rows are anomalous: left out, or used by best-f1."),
    "normal_label": flag("The label of normal rows."),
    **{name: COLUMNS[name] for name in ("timestamp_column", "delimiter", "key", "layout", "missing")},
}
