"""Requests' bodies, of clients that may be slow, vanish, or send too much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.exceptions import HTTPException
from starlette.requests import Request

from offbeat.errors import OverloadedError

# A whole body must be there by then.
_BODY_S = 30.0
# All bodies that are being read or scored together, in units of the largest allowed.
_MAX_BODIES = 4
# Requests that have a body to be read or scored. Above, the HTTP port would soon have no connection left for those who watch the server.
_MAX_REQUESTS = 256


class Intake:
    """Reads bodies of at most `max_bytes`, and bounds those in memory together, and their number. Belongs to HTTP's event loop."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._n_requests = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body, counted until the end of the block.

        Raises HTTPException: 408 for one that is too slow, 413 for too large, 415 for a compressed one.
        Raises OverloadedError where there is no room, ClientDisconnect where the client vanishes.
        """
        if request.headers.get("content-encoding", "identity") != "identity":
            raise HTTPException(415, "a compressed body; expected one as it is")
        self._check(int(request.headers.get("content-length") or 0))
        if self._n_requests >= _MAX_REQUESTS:
            raise OverloadedError(
                f"{self._n_requests} requests over HTTP wait; expected fewer; back off before trying again"
            )
        n_bytes = 0
        self._n_requests += 1
        parts: list[bytes] = []
        try:
            try:
                async with asyncio.timeout(_BODY_S):
                    async for part in request.stream():
                        parts.append(part)
                        n_bytes += len(part)
                        self._n_bytes += len(part)
                        self._check(n_bytes)
            except TimeoutError as error:
                raise HTTPException(408, f"the body has not come within {_BODY_S:g} s") from error
            yield _joined(parts)
        finally:
            self._n_requests -= 1
            self._n_bytes -= n_bytes

    def _check(self, n_bytes: int) -> None:
        if n_bytes > self._max_bytes:
            raise HTTPException(
                413, f"a body of {n_bytes} bytes; expected at most max_message_bytes = {self._max_bytes}"
            )
        if self._n_bytes > _MAX_BODIES * self._max_bytes:
            raise OverloadedError(
                f"{self._n_bytes} bytes of requests are in memory; expected less; back off before trying again"
            )


def _joined(parts: list[bytes]) -> bytes:
    """The whole; the parts are gone then, while it may be in use for long."""
    whole = b"".join(parts)
    parts.clear()
    return whole
