"""Range-based precision and recall: anomalies and alarms counted as ranges, not as rows."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.result import BoolArray
from offbeat_training.evaluation.harmonic import harmonic_mean
from offbeat_training.evaluation.ranges import Ranges

# How much of recall is earned by touching an anomaly at all.
EXISTENCE_WEIGHT = 0.2


class RangeQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Range-based precision, recall, and their harmonic mean, between 0 and 1."""

    precision: float
    recall: float
    f1: float


def range_quality(labels: BoolArray, is_flagged: BoolArray) -> RangeQuality:
    """Judges flags [row] against `labels` [row] by their runs, the true ranges and the predicted ones.

    A true range R with n_R predicted ones across it earns α · [n_R > 0] + (1 − α) · overlap / (|R| · max(n_R, 1)), with
    α = 0.2; a predicted range P earns overlap / (|P| · max(n_P, 1)). Recall and precision are the means of these. So
    positional bias is flat, the cardinality factor 1/n, and existence has no part in precision. Precision is 0 where
    nothing is flagged, recall where nothing is anomalous.

    Source: Tatbul, Lee, Zdonik, Alam, Gottschlich, "Precision and Recall for Time Series", NeurIPS 2018.
    """
    true, predicted = Ranges.of(labels), Ranges.of(is_flagged)
    n_across = true.n_overlapping(predicted)
    found = EXISTENCE_WEIGHT * (n_across > 0) + (1 - EXISTENCE_WEIGHT) * _overlap_reward(true, is_flagged, n_across)
    right = _overlap_reward(predicted, labels, predicted.n_overlapping(true))
    precision = float(right.mean()) if right.size else 0.0
    recall = float(found.mean()) if found.size else 0.0
    return RangeQuality(precision=precision, recall=recall, f1=harmonic_mean(precision, recall))


def _overlap_reward(ranges: Ranges, rows: BoolArray, n_across: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(ranges.n_rows_in(rows) / (ranges.lengths * np.maximum(n_across, 1)))
