"""How much of one stream may be in memory."""

from __future__ import annotations

import asyncio


class Allowance:
    """Bounds the requests, and their bytes, that a stream has read and whose answers are not written yet."""

    def __init__(self, *, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._n_requests = 0
        self._n_bytes = 0
        self._freed = asyncio.Event()

    async def available(self) -> None:
        """Returns when one more request may be read; the last one may go beyond the bytes, by its own size."""
        while self._n_requests >= self._max_requests or self._n_bytes >= self._max_bytes:
            self._freed.clear()
            await self._freed.wait()

    def take(self, n_bytes: int) -> None:
        """Counts a request that was read."""
        self._n_requests += 1
        self._n_bytes += n_bytes

    def grow(self, n_bytes: int) -> None:
        """Counts more bytes of a request that was read."""
        self._n_bytes += n_bytes

    def give(self, n_bytes: int) -> None:
        """Counts an answer that was written."""
        self._n_requests -= 1
        self._n_bytes -= n_bytes
        self._freed.set()
