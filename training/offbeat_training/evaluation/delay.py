"""How soon an anomaly is noticed, and whether it is."""

from __future__ import annotations

import msgspec
import numpy as np

from offbeat.result import BoolArray
from offbeat_training.evaluation.ranges import Ranges


class DetectionDelay(msgspec.Struct, frozen=True, kw_only=True):
    """Of `n_anomalies` runs of anomalous rows, those with a flagged row in them, and how late the first one came.

    Delays are in rows from an anomaly's first row, 0 being at once, over the anomalies that are found; None where none is.
    """

    n_anomalies: int
    n_found: int
    share_found: float
    mean_rows: float | None
    median_rows: float | None
    max_rows: int | None


def detection_delay(labels: BoolArray, is_flagged: BoolArray) -> DetectionDelay:
    """Follows each run of `labels` [row] to its first flagged row [row]. At least one row must be anomalous."""
    anomalies = Ranges.of(labels)
    flagged = np.flatnonzero(is_flagged)
    # One more, past the end, so that an anomaly after the last flag has a next one too.
    following = np.append(flagged, labels.size)[np.searchsorted(flagged, anomalies.first)]
    delays = (following - anomalies.first)[following <= anomalies.last]
    return DetectionDelay(
        n_anomalies=anomalies.first.size,
        n_found=delays.size,
        share_found=delays.size / anomalies.first.size,
        mean_rows=float(delays.mean()) if delays.size else None,
        median_rows=float(np.median(delays)) if delays.size else None,
        max_rows=int(delays.max()) if delays.size else None,
    )
