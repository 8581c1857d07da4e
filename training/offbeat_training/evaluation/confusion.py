"""Flags against labels, row by row."""

from __future__ import annotations

import msgspec
import numpy as np

from offbeat.result import BoolArray
from offbeat_training.evaluation.harmonic import harmonic_mean


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    """The confusion matrix: rows flagged rightly and wrongly, left out wrongly and rightly."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @classmethod
    def of(cls, labels: BoolArray, is_flagged: BoolArray) -> Confusion:
        """Counts the rows of `labels` [row], True in anomalies, and flags [row]."""
        n_found = int(np.count_nonzero(labels & is_flagged))
        n_flagged, n_anomalous = int(np.count_nonzero(is_flagged)), int(np.count_nonzero(labels))
        return cls(
            true_positives=n_found,
            false_positives=n_flagged - n_found,
            false_negatives=n_anomalous - n_found,
            true_negatives=labels.size - n_flagged - n_anomalous + n_found,
        )

    @property
    def precision(self) -> float:
        """Anomalous among the flagged; 0 where nothing is flagged."""
        return _ratio(self.true_positives, self.false_positives)

    @property
    def recall(self) -> float:
        """Flagged among the anomalous."""
        return _ratio(self.true_positives, self.false_negatives)

    @property
    def f1(self) -> float:
        """Of precision and recall; row by row, never point-adjusted."""
        return harmonic_mean(self.precision, self.recall)

    @property
    def false_positive_rate(self) -> float:
        """Flagged among the normal."""
        return _ratio(self.false_positives, self.true_negatives)


def _ratio(n: int, n_others: int) -> float:
    return n / (n + n_others) if n + n_others else 0.0
