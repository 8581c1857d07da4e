"""All that a report may be drawn from."""

from __future__ import annotations

import msgspec
import numpy as np

from offbeat.errors import DataError
from offbeat.result import FloatArray
from offbeat_training.evaluation import Comparison, Contender
from offbeat_training.report.history import TrainingHistory


class ReportInputs(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A comparison and what is known beside it; a pane whose values are None is left out of the report.

    `values` is [line, feature], or [line, time, feature] for ready-made windows, in raw units, and `reconstruction` has
    its shape; `feature_error` [line, feature] sums to the error of the line, so the threshold is its measure too.
    `threshold` is in units of the error. `facts` stand at the top, in order. Raises DataError where parts do not fit.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    comparison: Comparison
    threshold: float | None = None
    feature_names: tuple[str, ...] = ()
    values: FloatArray | None = None
    feature_error: FloatArray | None = None
    reconstruction: FloatArray | None = None
    history: TrainingHistory | None = None

    def __post_init__(self) -> None:
        n_lines, n_features = self.comparison.labels.size, len(self.feature_names)
        self._expect("values", self.values, (n_lines, n_features))
        self._expect("feature_error", self.feature_error, (n_lines, n_features))
        if self.reconstruction is not None and self.values is None:
            raise DataError("a reconstruction without values; expected the data that were scored beside it")
        if self.reconstruction is not None and self.values is not None:
            self._expect("reconstruction", self.reconstruction, (n_lines, n_features))
            if self.reconstruction.shape != self.values.shape:
                shape, expected = self.reconstruction.shape, self.values.shape
                raise DataError(f"reconstruction has shape {shape}; expected {expected}, that of the values")

    @property
    def model(self) -> Contender:
        """The contender whose report this is."""
        return self.comparison.contenders[0]

    def ranked_features(self) -> tuple[int, ...]:
        """All of them; where their contributions are known, those first that weigh most in what is true or found."""
        if self.feature_error is None:
            return tuple(range(len(self.feature_names)))
        matters = self.comparison.labels | self.model.is_flagged
        weight = self.feature_error[matters].mean(axis=0, dtype=np.float64)
        return tuple(int(feature) for feature in np.argsort(-weight, kind="stable"))

    def _expect(self, field: str, array: FloatArray | None, shape: tuple[int, int]) -> None:
        if array is None:
            return
        if array.ndim not in (2, 3) or (array.shape[0], array.shape[-1]) != shape:
            raise DataError(f"{field} has shape {array.shape}; expected {shape[0]} lines of {shape[1]} features")
        if not np.isfinite(array).all():
            raise DataError(f"{field} holds NaN or infinity; expected finite numbers")
