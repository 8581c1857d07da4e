"""Ending without losing what was accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from offbeat.errors import UnavailableError

# Nothing came for this long: every caller who waits for answers one by one is being held.
_QUIET_S = 0.03


class Drain:
    """Counts the calls that were accepted (`n_calls` are under way), and after `start` accepts none.

    grpc answers calls that cross with its shutdown as CANCELLED, as if the caller had wanted that. So the end has two steps:
    `hold` keeps the last calls waiting, and `release`, once the shutdown is on its way to the clients, refuses them.
    """

    def __init__(self) -> None:
        self.is_draining = False
        self.is_holding = False
        self.n_calls = 0
        self._n_held = 0
        # Made by whoever waits for the last call: an Event would be set and cleared with every call.
        self._quiet: asyncio.Future[None] | None = None
        self._released = asyncio.Event()
        self._listeners: set[Callable[[], object]] = set()

    def check(self) -> None:
        """Raises UnavailableError when draining."""
        if self.is_draining:
            raise UnavailableError("the server is draining and takes no new requests; expected another to take them")

    def enter(self) -> None:
        """Counts a call; `leave` must follow when its reply has been sent. Raises UnavailableError when draining."""
        if self.is_draining:
            self.check()
        self.n_calls += 1

    def leave(self) -> None:
        """Ends a call."""
        self.n_calls -= 1
        if self.n_calls == 0 and self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)

    def listen(self, listener: Callable[[], object]) -> None:
        """Has `start` call the listener."""
        self._listeners.add(listener)

    def forget(self, listener: Callable[[], object]) -> None:
        """Takes a listener back."""
        self._listeners.discard(listener)

    def start(self) -> None:
        """Refuses new calls from now on, and tells the listeners once."""
        self.is_draining = True
        for listener in tuple(self._listeners):
            listener()
        self._listeners.clear()

    async def finished(self) -> None:
        """Returns when no accepted call is left."""
        if self.n_calls:
            self._quiet = asyncio.get_running_loop().create_future()
            await self._quiet

    async def hold(self, at_most_s: float) -> None:
        """Has new calls wait at `passage`, and returns when no more of them come, or the time is over."""
        self.is_holding = True
        end, n_before = monotonic() + at_most_s, -1
        while n_before != self._n_held and monotonic() < end:
            n_before = self._n_held
            await asyncio.sleep(_QUIET_S)

    async def passage(self) -> None:
        """Where calls wait while they are held."""
        self._n_held += 1
        await self._released.wait()

    def release(self) -> None:
        """Lets the calls go on that were held."""
        self._released.set()
