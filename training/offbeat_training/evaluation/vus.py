"""VUS-PR: the volume under the surface of range-aware precision and recall."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.errors import DataError
from offbeat.result import BoolArray
from offbeat_training.evaluation.ranges import Indices, Ranges

Floats = NDArray[np.float64]

N_THRESHOLDS = 250


def vus_pr(labels: BoolArray, scores: NDArray[np.floating], window: int) -> float:
    """Mean, over buffer lengths 0 … `window`, of the area under the range-aware precision-recall curve.

    `labels` [row] are True in anomalies, `scores` [row] rise with abnormality; only their order counts. `window` is the
    series' period in rows. For a buffer length ℓ a row at distance d ≤ ℓ/2 from an anomaly counts √(1 − d/ℓ) of one,
    which forgives scores that are a little early or late, and recall is multiplied by the part of the anomalies that are
    touched at all. Thresholds are 250 of the scores, evenly spaced by rank.

    Source: Paparrizos, Boniol, Palpanas, Tsay, Elmore, Franklin, "Volume Under the Surface: A New Accuracy Evaluation
    Measure for Time-Series Anomaly Detection", PVLDB 15(11), 2022; recall and its buffer as computed by TSB-AD (Liu,
    Paparrizos, NeurIPS 2024). Raises DataError for labels without an anomaly and for arrays that do not fit.
    """
    if labels.shape != scores.shape or labels.ndim != 1:
        raise DataError(f"labels have shape {labels.shape}, scores {scores.shape}; expected one of each per row")
    if not np.isfinite(scores).all():
        raise DataError("scores hold NaN or infinity; expected finite numbers")
    anomalies = Ranges.of(labels)
    starts, ends = anomalies.first, anomalies.last
    if not starts.size:
        raise DataError("labels hold no anomaly; VUS-PR is defined only where there is one")
    found_at, n_predicted = _threshold_reached(scores)
    n_hits = _cumulated(found_at[labels])
    areas = [
        _area(labels, starts, ends, found_at, n_predicted, n_hits, buffer_length) for buffer_length in range(window + 1)
    ]
    return float(np.mean(areas))


def _threshold_reached(scores: NDArray[np.floating]) -> tuple[Indices, Floats]:
    """For each row the number of the first, highest threshold that its score reaches; and how many rows reach each."""
    descending = np.sort(scores)[::-1]
    thresholds = descending[np.linspace(0, scores.size - 1, N_THRESHOLDS).astype(np.int64)]
    found_at = np.searchsorted(-thresholds, -scores, side="left")
    return found_at, _cumulated(found_at)


def _cumulated(found_at: Indices, weights: Floats | None = None) -> Floats:
    """For each threshold, the summed weight of the rows that reach it."""
    return np.cumsum(np.bincount(found_at, weights, minlength=N_THRESHOLDS)).astype(np.float64)


def _area(
    labels: BoolArray,
    starts: Indices,
    ends: Indices,
    found_at: Indices,
    n_predicted: Floats,
    n_hits: Floats,
    buffer_length: int,
) -> float:
    """Area under the precision-recall curve [threshold] for one buffer length."""
    near, weights = _buffer(labels, starts, ends, buffer_length)
    near_hits = _cumulated(found_at[near], weights)
    true_positives = n_hits + near_hits
    # Buffer rows count as positives only as far as they are found, and half, so that recall needs no luck to reach 1.
    positives = labels.sum() + near_hits / 2
    recall = np.minimum(true_positives / positives, 1) * _touched(found_at, starts, ends, buffer_length)
    precision = true_positives / n_predicted
    return float(np.dot(np.diff(recall, prepend=0.0), precision))


def _buffer(labels: BoolArray, starts: Indices, ends: Indices, buffer_length: int) -> tuple[Indices, Floats]:
    """Normal rows within ⌊ℓ/2⌋ of an anomaly, and their weights: sums of √(1 − d/ℓ) over the anomalies, at most 1."""
    distances = np.arange(1, buffer_length // 2 + 1)
    weight = np.sqrt(1 - distances / max(buffer_length, 1))
    rows = np.concatenate([(ends[:, None] + distances).ravel(), (starts[:, None] - distances).ravel()])
    inside = (rows >= 0) & (rows < labels.size)
    weights = np.bincount(rows[inside], np.tile(weight, 2 * starts.size)[inside], minlength=labels.size)
    near = np.flatnonzero((weights > 0) & ~labels)
    return near, np.minimum(weights[near], 1.0)


def _touched(found_at: Indices, starts: Indices, ends: Indices, buffer_length: int) -> Floats:
    """For each threshold, the part of the anomalies, widened by the buffer and joined where they meet, that it touches."""
    first = np.maximum(starts - buffer_length // 2, 0)
    last = np.minimum(ends + buffer_length // 2, found_at.size - 1)
    separate = first[1:] > last[:-1]
    first, last = first[np.append(True, separate)], last[np.append(separate, True)]
    # reduceat needs an index past each stretch, and the one past the last row must exist.
    stretches = np.stack([first, last + 1], axis=1).ravel()
    earliest = np.minimum.reduceat(np.append(found_at, N_THRESHOLDS), stretches)[::2]
    return np.asarray(_cumulated(earliest) / first.size)
