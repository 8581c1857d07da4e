"""The waiting requests that may share a batch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic

from offbeat.batching.request import Completion, Key, PendingRequest


class KeyQueue(Generic[Completion]):
    """The waiting requests of one key: level by level, oldest first. OrderedDicts, because a dict's first key is not found in O(1)."""

    __slots__ = ("_levels", "key", "n_rows")

    def __init__(self, key: Key, n_levels: int) -> None:
        self.key = key
        self.n_rows = 0
        self._levels: list[OrderedDict[PendingRequest[Completion], None]] = [OrderedDict() for _ in range(n_levels)]

    def __bool__(self) -> bool:
        return any(self._levels)

    def __iter__(self) -> Iterator[PendingRequest[Completion]]:
        for level in self._levels:
            yield from level

    def add(self, request: PendingRequest[Completion]) -> None:
        """Takes a request to the end of its level."""
        self._levels[request.level][request] = None
        self.n_rows += request.n_rows

    def remove(self, request: PendingRequest[Completion]) -> None:
        """Takes a request out."""
        del self._levels[request.level][request]
        self.n_rows -= request.n_rows

    def first(self, max_rows: int) -> list[PendingRequest[Completion]]:
        """The longest run of first requests that fits; never jumping over a large one keeps the order."""
        run: list[PendingRequest[Completion]] = []
        n_rows = 0
        for request in self:
            n_rows += request.n_rows
            if n_rows > max_rows:
                break
            run.append(request)
        return run
