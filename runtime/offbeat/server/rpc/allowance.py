"""How much of the streams may be in memory."""

from __future__ import annotations

import asyncio


class SharedRoom:
    """Bounds the requests that all streams of a server have in flight together: `max_requests`, and up to as many again while shares are unequal.

    A stream goes on where there is room left, or where it has less than its equal share of it: one that has nothing in flight, always. So
    however many there are, they do not fill the queues, where their requests would be refused; they wait in their clients instead.
    `n_requests` are in flight, of `n_streams` that have any: their `Allowance`s count them, once a message each, and so without a call.
    """

    __slots__ = ("max_requests", "n_requests", "n_streams")

    def __init__(self, max_requests: int) -> None:
        self.max_requests = max_requests
        self.n_requests = 0
        self.n_streams = 0

    def is_used_up(self, n_own: int) -> bool:
        """Whether a stream that has so many requests in flight must wait until one of them is answered."""
        return self.n_requests >= self.max_requests and n_own > 0 and n_own >= self.max_requests // self.n_streams


class Allowance:
    """Bounds the requests, and their bytes, that a stream has read and whose answers are not written yet, also by the room of all streams."""

    __slots__ = ("_freed", "_max_bytes", "_max_requests", "_n_bytes", "_n_requests", "_room")

    def __init__(self, *, max_requests: int, max_bytes: int, room: SharedRoom) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._room = room
        self._n_requests = 0
        self._n_bytes = 0
        self._freed = asyncio.Event()

    async def available(self) -> None:
        """Returns when one more request may be read; the last one may go beyond the bytes, by its own size."""
        room = self._room
        while (
            self._n_requests >= self._max_requests
            or self._n_bytes >= self._max_bytes
            or (room.n_requests >= room.max_requests and room.is_used_up(self._n_requests))
        ):
            self._freed.clear()
            await self._freed.wait()

    def take(self, n_bytes: int) -> None:
        """Counts a request that was read."""
        room = self._room
        room.n_requests += 1
        if not self._n_requests:
            room.n_streams += 1
        self._n_requests += 1
        self._n_bytes += n_bytes

    def grow(self, n_bytes: int) -> None:
        """Counts more bytes of a request that was read."""
        self._n_bytes += n_bytes

    def give(self, n_bytes: int) -> None:
        """Counts an answer that was written."""
        room = self._room
        room.n_requests -= 1
        self._n_requests -= 1
        if not self._n_requests:
            room.n_streams -= 1
        self._n_bytes -= n_bytes
        self._freed.set()

    def close(self) -> None:
        """Leaves the room, with whatever was not answered."""
        if self._n_requests:
            self._room.n_requests -= self._n_requests
            self._room.n_streams -= 1
            self._n_requests = 0
