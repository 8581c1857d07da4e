"""Requests for a stream, no faster than their results are taken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from google.protobuf.message import Message

from offbeat.errors import require

Item = TypeVar("Item")
_Item = TypeVar("_Item", contravariant=True)


class Build(Protocol[_Item]):
    """Makes a request of what is to be scored."""

    def __call__(self, windows: _Item, /, *, request_id: str) -> Message:
        """The request of that id."""
        ...


class _Feed(Generic[Item]):
    """Numbers the requests, and keeps the error that ended them early for whoever takes the results."""

    def __init__(self, build: Build[Item], max_in_flight: int) -> None:
        require(max_in_flight >= 1, "max_in_flight", max_in_flight, "at least 1")
        self._build = build
        self._error: BaseException | None = None
        self.n_sent = 0

    def check(self) -> None:
        """Raises what ended the requests early."""
        if self._error is not None:
            raise self._error

    def _next_request(self, windows: Item) -> Message:
        request = self._build(windows, request_id=str(self.n_sent))
        self.n_sent += 1
        return request


class RequestFeed(_Feed[Item]):
    """At most `max_in_flight` requests whose results are not taken. grpc reads them in a thread of its own."""

    def __init__(self, windows: Iterable[Item], build: Build[Item], max_in_flight: int) -> None:
        super().__init__(build, max_in_flight)
        self._windows = windows
        self._slots = threading.Semaphore(max_in_flight)
        self._is_closed = False

    def requests(self) -> Iterator[Message]:
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


class AsyncRequestFeed(_Feed[Item]):
    """The same in an event loop; `windows` may be an asynchronous iterable."""

    def __init__(self, windows: Iterable[Item] | AsyncIterable[Item], build: Build[Item], max_in_flight: int) -> None:
        super().__init__(build, max_in_flight)
        self._windows = windows
        self._slots = asyncio.Semaphore(max_in_flight)

    async def requests(self) -> AsyncIterator[Message]:
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


def _as_async(windows: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterable[Item]:
    return windows if isinstance(windows, AsyncIterable) else _iterate(windows)


async def _iterate(windows: Iterable[Item]) -> AsyncIterator[Item]:
    for batch in windows:
        yield batch
