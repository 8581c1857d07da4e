"""What is watched of one version: how long its requests wait, how long its batches take, and what they score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.result import FloatArray
from offbeat.server.telemetry.buckets import DURATION_BOUNDS, SCORE_BOUNDS, Buckets
from offbeat.server.telemetry.recent_windows import RecentWindows

SCORE = "anomaly_score"
# A window is anomalous where its score is above.
_THRESHOLD = 0.5
# Scores are counted so many requests at a time: numpy's calls cost as much for one as for a thousand.
_MAX_PENDING = 256


class Observations:
    """Counts since the version was loaded. Belongs to the event loop: there are no locks.

    Scores are those of the requests that asked for `anomaly_score`, as they do by default.
    """

    __slots__ = ("_pending", "compute", "n_anomalies", "queue", "recent", "scores")

    def __init__(self, recent: RecentWindows) -> None:
        self.recent = recent
        self.queue = Buckets(DURATION_BOUNDS)
        self.compute = Buckets(DURATION_BOUNDS)
        self.scores = Buckets(SCORE_BOUNDS)
        self.n_anomalies = 0
        self._pending: list[NDArray[np.generic]] = []

    def request(self, queue_s: float, windows: FloatArray, outputs: dict[str, NDArray[np.generic]], now: float) -> None:
        """Counts a request, or the part of one that is in a batch, that has just been scored; `now` is of time.monotonic."""
        self.queue.add(queue_s)
        scores = outputs.get(SCORE)
        if scores is None:
            return
        self._pending.append(scores)
        if len(self._pending) >= _MAX_PENDING:
            self.settle()
        if now >= self.recent.next_at:
            self.recent.take(windows, scores, now)

    def batch(self, compute_s: float) -> None:
        """Counts a batch that has just run."""
        self.compute.add(compute_s)

    def alone(self, compute_s: NDArray[np.float64], scores: NDArray[np.float32]) -> None:
        """Counts batches of one request each, which did not wait, by their times, and the scores of all of them."""
        self.queue.add_times(0.0, len(compute_s))
        self.compute.add_all(compute_s)
        if len(scores):
            self._pending.append(scores)
            self.settle()

    def settle(self) -> None:
        """Counts the scores that are still to be counted."""
        if not self._pending:
            return
        scores = np.concatenate(self._pending)
        self._pending.clear()
        finite = scores[np.isfinite(scores)]
        self.scores.add_all(finite)
        self.n_anomalies += int(np.count_nonzero(finite > _THRESHOLD))
