"""How much of the streams may be in memory."""

from __future__ import annotations

import asyncio


class SharedRoom:
    """Bounds the requests that all streams of a server have in flight together: `max_requests`, and up to as many again while shares are unequal.

    A stream goes on where there is room left, or where it has less than its equal share of it: one that has nothing in flight, always. So
    however many there are, they do not fill the queues, where their requests would be refused; they wait in their clients instead.
    """

    def __init__(self, max_requests: int) -> None:
        self._max_requests = max_requests
        self._n_requests = 0
        self._n_streams = 0

    def is_used_up(self, n_own: int) -> bool:
        """Whether a stream that has so many requests in flight must wait until one of them is answered."""
        return bool(n_own) and self._n_requests >= self._max_requests and n_own >= self._max_requests // self._n_streams

    def take(self, *, is_first: bool) -> None:
        """Counts a request, `is_first` where its stream had none in flight."""
        self._n_requests += 1
        self._n_streams += is_first

    def give(self, n_requests: int, *, is_last: bool) -> None:
        """Takes requests off, `is_last` where their stream has none in flight any more."""
        self._n_requests -= n_requests
        self._n_streams -= is_last


class Allowance:
    """Bounds the requests, and their bytes, that a stream has read and whose answers are not written yet, also by the room of all streams."""

    def __init__(self, *, max_requests: int, max_bytes: int, room: SharedRoom) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._room = room
        self._n_requests = 0
        self._n_bytes = 0
        self._freed = asyncio.Event()

    async def available(self) -> None:
        """Returns when one more request may be read; the last one may go beyond the bytes, by its own size."""
        while (
            self._n_requests >= self._max_requests
            or self._n_bytes >= self._max_bytes
            or self._room.is_used_up(self._n_requests)
        ):
            self._freed.clear()
            await self._freed.wait()

    def take(self, n_bytes: int) -> None:
        """Counts a request that was read."""
        self._room.take(is_first=not self._n_requests)
        self._n_requests += 1
        self._n_bytes += n_bytes

    def grow(self, n_bytes: int) -> None:
        """Counts more bytes of a request that was read."""
        self._n_bytes += n_bytes

    def give(self, n_bytes: int) -> None:
        """Counts an answer that was written."""
        self._n_requests -= 1
        self._n_bytes -= n_bytes
        self._room.give(1, is_last=not self._n_requests)
        self._freed.set()

    def close(self) -> None:
        """Leaves the room, with whatever was not answered."""
        if self._n_requests:
            self._room.give(self._n_requests, is_last=True)
            self._n_requests = 0
