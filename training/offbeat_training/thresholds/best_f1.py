"""The threshold with the highest F1 on labelled windows."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from offbeat.result import BoolArray


class BestF1(msgspec.Struct, frozen=True, kw_only=True):
    """The highest F1 that any threshold reaches, with its precision and recall; flagged is what exceeds `threshold`."""

    f1: float
    precision: float
    recall: float
    threshold: float


def best_f1(labels: BoolArray, scores: NDArray[np.floating], weights: NDArray[np.floating] | None = None) -> BestF1:
    """Tries every threshold that splits the `scores` [row], `labels` [row] being True in anomalies.

    The threshold lies halfway between the lowest score flagged and the highest that is not, if any is not; of several with the same F1
    it is the lowest. `weights` [row] say how many rows each stands for. At least one row must be anomalous.
    """
    scores = scores.astype(np.float64)
    precision, recall, thresholds = precision_recall_curve(labels, scores, sample_weight=weights)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    best = int(np.argmax(f1[: thresholds.size]))
    return BestF1(
        f1=float(f1[best]),
        precision=float(precision[best]),
        recall=float(recall[best]),
        threshold=_just_below(scores, float(thresholds[best])),
    )


def _just_below(scores: NDArray[np.floating], lowest_flagged: float) -> float:
    others = scores[scores < lowest_flagged]
    if others.size:
        highest_left = float(others.max())
        return highest_left + (lowest_flagged - highest_left) / 2
    # Of float32, so that it stays below when the folder rounds it.
    return float(np.nextafter(np.float32(lowest_flagged), np.float32(-np.inf)))
