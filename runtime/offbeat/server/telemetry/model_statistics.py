"""What became of the requests for one version."""

from __future__ import annotations

from time import time


class ModelStatistics:
    """Counts and sums since the version was loaded, as Triton defines them. Belongs to the event loop: there are no locks.

    `n_succeeded` requests waited `queue_s` and were computed for `compute_s` seconds in all, where each request of a batch
    counts the whole of it. `n_failed` requests found no room in the queue, left it too late or cancelled, or failed, after
    `failed_s` seconds in all. `batches` has the number of batches and their seconds by their number of rows. `last_at` is in
    seconds since 1970, 0 for never.
    """

    __slots__ = ("batches", "compute_s", "failed_s", "last_at", "n_failed", "n_succeeded", "queue_s")

    def __init__(self) -> None:
        self.n_succeeded = 0
        self.queue_s = 0.0
        self.compute_s = 0.0
        self.n_failed = 0
        self.failed_s = 0.0
        self.batches: dict[int, tuple[int, float]] = {}
        self.last_at = 0.0

    def succeed(self, n_requests: int, n_rows: int, queue_s: float, compute_s: float) -> None:
        """Counts a batch that has just run; `queue_s` is the sum of its requests' waits."""
        self.n_succeeded += n_requests
        self.queue_s += queue_s
        self.compute_s += n_requests * compute_s
        n_batches, seconds = self.batches.get(n_rows, (0, 0.0))
        self.batches[n_rows] = n_batches + 1, seconds + compute_s
        self.last_at = time()

    def succeed_alone(self, n_batches: int, n_rows: int, compute_s: float, last_at: float) -> None:
        """Counts batches of one request of `n_rows` each, which did not wait, by the sum of their times and the end of the last."""
        self.n_succeeded += n_batches
        self.compute_s += compute_s
        n_before, seconds = self.batches.get(n_rows, (0, 0.0))
        self.batches[n_rows] = n_before + n_batches, seconds + compute_s
        self.last_at = max(self.last_at, last_at)

    def fail(self, n_requests: int, seconds: float) -> None:
        """Counts requests that are not answered, and the sum of the times that they took."""
        self.n_failed += n_requests
        self.failed_s += seconds

    @property
    def n_batches(self) -> int:
        """The batches that were computed."""
        return sum(n_batches for n_batches, _ in self.batches.values())

    @property
    def n_windows(self) -> int:
        """The windows that were scored."""
        return sum(n_rows * n_batches for n_rows, (n_batches, _) in self.batches.items())
