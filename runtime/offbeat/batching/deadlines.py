"""The deadlines of waiting requests, earliest first."""

from __future__ import annotations

import heapq
from typing import Generic

from offbeat.batching.request import Completion, PendingRequest


class _Entry(Generic[Completion]):
    """A place in the heap. It outlives its request, but must not keep the windows alive: then `request` is None."""

    __slots__ = ("deadline", "request")

    def __init__(self, deadline: float, request: PendingRequest[Completion]) -> None:
        self.deadline = deadline
        self.request: PendingRequest[Completion] | None = request

    def __lt__(self, other: _Entry[Completion]) -> bool:
        return self.deadline < other.deadline


class Deadlines(Generic[Completion]):
    """A heap from which any request can be taken: `add` costs O(log n), `discard` and `earliest` amortised the same."""

    def __init__(self) -> None:
        self._heap: list[_Entry[Completion]] = []
        self._entries: dict[PendingRequest[Completion], _Entry[Completion]] = {}

    def add(self, request: PendingRequest[Completion]) -> None:
        """Watches the request's deadline, if it has one."""
        if request.deadline is not None:
            entry = self._entries[request] = _Entry(request.deadline, request)
            heapq.heappush(self._heap, entry)

    def discard(self, request: PendingRequest[Completion]) -> None:
        """Forgets the request."""
        entry = self._entries.pop(request, None)
        if entry is None:
            return
        entry.request = None
        # Dead entries may not outnumber living ones for long, or cancelled requests would fill the memory.
        if len(self._heap) > 2 * len(self._entries) + 64:
            self._heap = list(self._entries.values())
            heapq.heapify(self._heap)

    def earliest(self) -> float | None:
        """The next deadline, None where nothing has one."""
        while self._heap and self._heap[0].request is None:
            heapq.heappop(self._heap)
        return self._heap[0].deadline if self._heap else None

    def pop_passed(self, now: float) -> list[PendingRequest[Completion]]:
        """Takes out the requests whose deadline is not after `now`, earliest first."""
        passed: list[PendingRequest[Completion]] = []
        while self._heap and self._heap[0].deadline <= now:
            request = heapq.heappop(self._heap).request
            if request is not None:
                del self._entries[request]
                passed.append(request)
        return passed
