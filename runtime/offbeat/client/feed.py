"""Requests for a stream, no faster than their results are taken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Protocol

from numpy.typing import ArrayLike

from offbeat.errors import require
from offbeat.v1.scoring_pb2 import ScoreRequest


class Build(Protocol):
    """Makes a request of windows."""

    def __call__(self, windows: ArrayLike, *, request_id: str) -> ScoreRequest:
        """The request of that id."""
        ...


class _Feed:
    """Numbers the requests, and keeps the error that ended them early for whoever takes the results."""

    def __init__(self, build: Build, max_in_flight: int) -> None:
        require(max_in_flight >= 1, "max_in_flight", max_in_flight, "at least 1")
        self._build = build
        self._error: BaseException | None = None
        self.n_sent = 0

    def check(self) -> None:
        """Raises what ended the requests early."""
        if self._error is not None:
            raise self._error

    def _next_request(self, windows: ArrayLike) -> ScoreRequest:
        request = self._build(windows, request_id=str(self.n_sent))
        self.n_sent += 1
        return request


class RequestFeed(_Feed):
    """At most `max_in_flight` requests whose results are not taken. grpc reads them in a thread of its own."""

    def __init__(self, windows: Iterable[ArrayLike], build: Build, max_in_flight: int) -> None:
        super().__init__(build, max_in_flight)
        self._windows = windows
        self._slots = threading.Semaphore(max_in_flight)
        self._is_closed = False

    def requests(self) -> Iterator[ScoreRequest]:
        """The requests. Where `windows` raises or a request cannot be made, they end, and `check` raises."""
        try:
            remaining = iter(self._windows)
            while self._slots.acquire() and not self._is_closed:
                yield self._next_request(next(remaining))
        except StopIteration:
            return
        except BaseException as error:  # noqa: BLE001 - grpc's thread would swallow it; `check` raises it
            self._error = error

    def free_one(self) -> None:
        """Lets one more request out."""
        self._slots.release()

    def close(self) -> None:
        """Ends the requests."""
        self._is_closed = True
        self._slots.release()


class AsyncRequestFeed(_Feed):
    """The same in an event loop; `windows` may be an asynchronous iterable."""

    def __init__(
        self, windows: Iterable[ArrayLike] | AsyncIterable[ArrayLike], build: Build, max_in_flight: int
    ) -> None:
        super().__init__(build, max_in_flight)
        self._windows = windows
        self._slots = asyncio.Semaphore(max_in_flight)

    async def requests(self) -> AsyncIterator[ScoreRequest]:
        """The requests. Where `windows` raises or a request cannot be made, they end, and `check` raises."""
        try:
            remaining = aiter(_as_async(self._windows))
            while await self._slots.acquire():
                yield self._next_request(await anext(remaining))
        except StopAsyncIteration:
            return
        except Exception as error:  # noqa: BLE001 - grpc's task would swallow it; `check` raises it
            self._error = error

    def free_one(self) -> None:
        """Lets one more request out."""
        self._slots.release()


def _as_async(windows: Iterable[ArrayLike] | AsyncIterable[ArrayLike]) -> AsyncIterable[ArrayLike]:
    return windows if isinstance(windows, AsyncIterable) else _iterate(windows)


async def _iterate(windows: Iterable[ArrayLike]) -> AsyncIterator[ArrayLike]:
    for batch in windows:
        yield batch
