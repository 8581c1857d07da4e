"""The batching policy: who waits, who goes next, who may share a batch."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic

from offbeat.batching.cost import BatchCost
from offbeat.batching.deadlines import Deadlines
from offbeat.batching.drain_rate import DrainRate
from offbeat.batching.key_queue import KeyQueue
from offbeat.batching.request import Batch, Completion, Key, PendingRequest
from offbeat.batching.selection import select
from offbeat.config import BatchingConfig
from offbeat.errors import DeadlineExceededError, InvalidWindowError, OverloadedError

# Who would wait for longer than this share of the time that it has left is refused at once. Near 1 every answer would come at the
# edge of its deadline, and most of them too late: there is the way back to the caller, too.
_MAX_WAIT_SHARE = 0.5


class DynamicBatcher(Generic[Completion]):
    """The queue of one model: a pure policy, without clock, threads or I/O. Not safe for use from several threads.

    Whoever owns it asks for `next_batch` when a worker is idle, after each `submit` and at `next_wakeup`. Each request
    leaves exactly once: in a batch, through `purge`, or through `cancel`. Batches go to the key whose first request is the
    oldest of the lowest level, so that no key starves; within a key and a level the order of arrival is kept, but where a
    deadline is near and `cost` tells that it would be missed. Every call costs O(log n) for each request that it moves.
    """

    def __init__(self, config: BatchingConfig, cost: BatchCost | None = None) -> None:
        self._config = config
        self._cost = cost or BatchCost()
        self._n_levels = max(1, config.priority_levels)
        self._delay_s = config.max_queue_delay_us * 1e-6
        self._n_waiting = 0
        self._n_rows = [0] * self._n_levels
        self._rate = DrainRate()
        # By level, in the order of arrival.
        self._levels: list[OrderedDict[PendingRequest[Completion], KeyQueue[Completion]]] = [
            OrderedDict() for _ in range(self._n_levels)
        ]
        self._queues: dict[Key, KeyQueue[Completion]] = {}
        self._full: OrderedDict[KeyQueue[Completion], None] = OrderedDict()
        self._deadlines: Deadlines[Completion] = Deadlines()
        self._expired: list[PendingRequest[Completion]] = []

    def __len__(self) -> int:
        return self._n_waiting

    def submit(self, request: PendingRequest[Completion]) -> None:
        """Queues a request; arrivals may not go backwards.

        Raises OverloadedError when `max_queue_size` requests wait already, or so many that this one could not be answered well
        before its deadline, DeadlineExceededError where that has passed, and InvalidWindowError for more rows than `max_batch_size`.
        """
        self._check_admission(request)
        key = request.key
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = KeyQueue(key, self._n_levels)
        queue.add(request)
        if queue.n_rows >= self._config.max_batch_size:
            self._full[queue] = None
        self._levels[request.level][request] = queue
        self._n_waiting += 1
        self._n_rows[request.level] += request.n_rows
        self._deadlines.add(request)

    def check_room(self, n_requests: int) -> None:
        """Raises OverloadedError where so many requests more would not find room now, InvalidWindowError where they never would."""
        size = self._config.max_queue_size
        if n_requests > size:
            raise InvalidWindowError(
                f"a request that makes {n_requests} batches; expected at most max_queue_size = {size} of up to "
                f"max_batch_size = {self._config.max_batch_size} windows each"
            )
        if self._n_waiting + n_requests > size:
            raise OverloadedError(
                f"{self._n_waiting} requests are waiting; expected fewer than max_queue_size = {size}; back off before trying again"
            )

    def refuses_all(self, now: float, left_s: float | None) -> bool:
        """Whether a request that came now, `left_s` before its deadline (None: without one), would be refused whatever it is.

        Also of the first level, and with one row.
        """
        if self._n_waiting >= self._config.max_queue_size:
            return True
        return left_s is not None and self._wait_s(0, now) > _MAX_WAIT_SHARE * left_s

    def takes_at_once(self, n_rows: int) -> bool:
        """Whether a request of so many rows would not wait for company, were a worker idle; False also where it is refused."""
        return self._delay_s == 0 and n_rows <= self._config.max_batch_size

    def cancel(self, request: PendingRequest[Completion]) -> bool:
        """Takes a request out; False where it had left already."""
        if request not in self._levels[request.level]:
            return False
        self._deadlines.discard(request)
        self._remove(request)
        return True

    def purge(self, now: float) -> list[PendingRequest[Completion]]:
        """Takes out the requests whose deadline has passed, or cannot be met. They were in no batch and never will be."""
        self._expire(now)
        expired, self._expired = self._expired, []
        return expired

    def next_batch(self, now: float) -> Batch[Completion] | None:
        """The batch that an idle worker should run now, None to let it wait. Ask `purge` afterwards."""
        self._expire(now)
        while (queue := self._ready_queue(now)) is not None:
            batch = self._take(queue, now)
            if batch is not None:
                return batch
        return None

    def next_wakeup(self, *, worker_is_idle: bool) -> float | None:
        """When to ask again, should nothing arrive before: a deadline passes, or an idle worker has waited long enough."""
        deadline = self._deadlines.earliest()
        if not worker_is_idle or not self._n_waiting:
            return deadline
        due = self._due()
        return due if deadline is None else min(due, deadline)

    def _check_admission(self, request: PendingRequest[Completion]) -> None:
        if request.n_rows > self._config.max_batch_size:
            raise InvalidWindowError(
                f"{request.n_rows} windows in one request; expected at most max_batch_size = {self._config.max_batch_size}"
            )
        self.check_room(1)
        if request.deadline is not None:
            left_s = request.deadline - request.arrival
            if left_s < 0:
                raise DeadlineExceededError("the deadline passed before the request was queued; nothing was run")
            self._check_wait(request, left_s)

    def _check_wait(self, request: PendingRequest[Completion], left_s: float) -> None:
        wait_s = self._wait_s(request.level, request.arrival)
        if wait_s > _MAX_WAIT_SHARE * left_s:
            raise OverloadedError(
                f"{self._n_waiting} requests are waiting, for about {wait_s * 1e3:.0f} ms; expected less than half of the "
                f"{left_s * 1e3:.0f} ms until the deadline; back off before trying again"
            )

    def _wait_s(self, level: int, now: float) -> float:
        """How long a request of that level is expected to wait; 0 where that is not known."""
        return self._rate.wait_s(sum(self._n_rows[: level + 1]), now) if self._n_waiting else 0.0

    def _due(self) -> float:
        """When the first request that stops waiting for company does so."""
        return min(next(iter(level)).arrival for level in self._levels if level) + self._delay_s

    def _ready_queue(self, now: float) -> KeyQueue[Completion] | None:
        if not self._n_waiting:
            return None
        if now >= self._due():
            return next(next(iter(level.values())) for level in self._levels if level)
        return next(iter(self._full), None)

    def _take(self, queue: KeyQueue[Completion], now: float) -> Batch[Completion] | None:
        """A batch of the queue's first requests; None where none of them can be answered in time."""
        first = queue.first(self._config.max_batch_size)
        selection = select(first, self._cost, now, is_crowded=queue.n_rows > sum(request.n_rows for request in first))
        for request in (*selection.taken, *selection.late):
            self._deadlines.discard(request)
            self._remove(request)
        self._expired.extend(selection.late)
        n_rows = sum(request.n_rows for request in selection.taken)
        if self._n_waiting:
            self._rate.take(n_rows, now)
        if not selection.taken:
            return None
        return Batch(requests=tuple(selection.taken), n_rows=n_rows)

    def _expire(self, now: float) -> None:
        for request in self._deadlines.pop_passed(now):
            self._remove(request)
            self._expired.append(request)

    def _remove(self, request: PendingRequest[Completion]) -> None:
        queue = self._levels[request.level].pop(request)
        self._n_waiting -= 1
        self._n_rows[request.level] -= request.n_rows
        if not self._n_waiting:
            self._rate.pause()
        queue.remove(request)
        if queue.n_rows < self._config.max_batch_size:
            self._full.pop(queue, None)
        if not queue:
            del self._queues[queue.key]
