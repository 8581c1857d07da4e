"""The batching policy: who waits, who goes next, who may share a batch."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic

from offbeat.batching.deadlines import Deadlines
from offbeat.batching.request import Batch, Completion, Key, PendingRequest
from offbeat.config import BatchingConfig
from offbeat.errors import InvalidWindowError, OverloadedError


class _KeyQueue(Generic[Completion]):
    """The waiting requests of one key, oldest first. An OrderedDict, because a dict's first key is not found in O(1)."""

    __slots__ = ("key", "n_rows", "requests")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.requests: OrderedDict[PendingRequest[Completion], None] = OrderedDict()
        self.n_rows = 0


class DynamicBatcher(Generic[Completion]):
    """The queue of one model: a pure policy, without clock, threads or I/O. Not safe for use from several threads.

    Whoever owns it asks for `next_batch` when a worker is idle, after each `submit` and at `next_wakeup`. Each request
    leaves exactly once: in a batch, through `purge`, or through `cancel`. Batches go to the key whose first request is the
    oldest, so that no key starves; within a key the order of arrival is kept. Every call costs O(log n) for each
    request that it moves.
    """

    def __init__(self, config: BatchingConfig) -> None:
        self._config = config
        self._delay_s = config.max_queue_delay_us * 1e-6
        self._waiting: OrderedDict[PendingRequest[Completion], _KeyQueue[Completion]] = OrderedDict()
        self._queues: dict[Key, _KeyQueue[Completion]] = {}
        self._full: OrderedDict[_KeyQueue[Completion], None] = OrderedDict()
        self._deadlines: Deadlines[Completion] = Deadlines()
        self._expired: list[PendingRequest[Completion]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, request: PendingRequest[Completion]) -> None:
        """Queues a request; arrivals may not go backwards.

        Raises OverloadedError when `max_queue_size` requests wait already, and InvalidWindowError for more rows than
        `max_batch_size`.
        """
        self._check_admission(request)
        key = request.key
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _KeyQueue(key)
        queue.requests[request] = None
        queue.n_rows += request.n_rows
        if queue.n_rows >= self._config.max_batch_size:
            self._full[queue] = None
        self._waiting[request] = queue
        self._deadlines.add(request)

    def takes_at_once(self, n_rows: int) -> bool:
        """Whether a request of so many rows would not wait for company, were a worker idle; False also where it is refused."""
        return self._delay_s == 0 and n_rows <= self._config.max_batch_size

    def cancel(self, request: PendingRequest[Completion]) -> bool:
        """Takes a request out; False where it had left already."""
        if request not in self._waiting:
            return False
        self._deadlines.discard(request)
        self._remove(request)
        return True

    def purge(self, now: float) -> list[PendingRequest[Completion]]:
        """Takes out the requests whose deadline has passed. They were in no batch and never will be."""
        self._expire(now)
        expired, self._expired = self._expired, []
        return expired

    def next_batch(self, now: float) -> Batch[Completion] | None:
        """The batch that an idle worker should run now, None to let it wait."""
        self._expire(now)
        queue = self._ready_queue(now)
        return None if queue is None else self._take(queue)

    def next_wakeup(self, *, worker_is_idle: bool) -> float | None:
        """When to ask again, should nothing arrive before: a deadline passes, or an idle worker has waited long enough."""
        deadline = self._deadlines.earliest()
        if not worker_is_idle or not self._waiting:
            return deadline
        due = self._due()
        return due if deadline is None else min(due, deadline)

    def _check_admission(self, request: PendingRequest[Completion]) -> None:
        if request.n_rows > self._config.max_batch_size:
            raise InvalidWindowError(
                f"{request.n_rows} windows in one request; expected at most max_batch_size = {self._config.max_batch_size}"
            )
        if len(self._waiting) >= self._config.max_queue_size:
            raise OverloadedError(
                f"{len(self._waiting)} requests are waiting; expected fewer than max_queue_size = "
                f"{self._config.max_queue_size}; back off before trying again"
            )

    def _due(self) -> float:
        """When the oldest request stops waiting for company."""
        return next(iter(self._waiting)).arrival + self._delay_s

    def _ready_queue(self, now: float) -> _KeyQueue[Completion] | None:
        if not self._waiting:
            return None
        if now >= self._due():
            return next(iter(self._waiting.values()))
        return next(iter(self._full), None)

    def _take(self, queue: _KeyQueue[Completion]) -> Batch[Completion]:
        """The longest run of oldest requests that fits; never jumping over a large one keeps the order."""
        taken: list[PendingRequest[Completion]] = []
        n_rows = 0
        while queue.requests:
            request = next(iter(queue.requests))
            if n_rows + request.n_rows > self._config.max_batch_size:
                break
            n_rows += request.n_rows
            taken.append(request)
            self._deadlines.discard(request)
            self._remove(request)
        return Batch(requests=tuple(taken), n_rows=n_rows)

    def _expire(self, now: float) -> None:
        for request in self._deadlines.pop_passed(now):
            self._remove(request)
            self._expired.append(request)

    def _remove(self, request: PendingRequest[Completion]) -> None:
        queue = self._waiting.pop(request)
        del queue.requests[request]
        queue.n_rows -= request.n_rows
        if queue.n_rows < self._config.max_batch_size:
            self._full.pop(queue, None)
        if not queue.requests:
            del self._queues[queue.key]
