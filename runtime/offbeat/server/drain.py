"""Ending without losing what was accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from offbeat.errors import UnavailableError


class Drain:
    """Counts the calls that were accepted, and after `start` accepts none."""

    def __init__(self) -> None:
        self.is_draining = False
        self._n_calls = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._listeners: set[Callable[[], object]] = set()

    def check(self) -> None:
        """Raises UnavailableError when draining."""
        if self.is_draining:
            raise UnavailableError("the server is draining and takes no new requests; expected another to take them")

    def enter(self) -> None:
        """Counts a call; `leave` must follow when its reply has been sent. Raises UnavailableError when draining."""
        self.check()
        self._n_calls += 1
        self._quiet.clear()

    def leave(self) -> None:
        """Ends a call."""
        self._n_calls -= 1
        if self._n_calls == 0:
            self._quiet.set()

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
        """Returns when no call is left."""
        await self._quiet.wait()
