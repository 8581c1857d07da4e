"""The socket that HTTP listens on, and those of its connections that no protocol knows yet."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Collection
from typing import Any


class Listener(socket.socket):
    """Bounds the connections that have been accepted and have not agreed upon TLS: of more than `max_pending` the oldest is closed.

    Nothing else does: asyncio tells a protocol of a connection when that is done, and waits for it for a minute. `greeted` tells the
    descriptors of those that are.
    """

    def __init__(self, family: int, max_pending: int, greeted: Callable[[], Collection[int]]) -> None:
        # Named, the protocol makes asyncio send at once what it is given: answers are two pieces, and the second would wait for 40 ms.
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._max_pending = max_pending
        self._greeted = greeted
        # By descriptor, the oldest first.
        self._pending: dict[int, socket.socket] = {}

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection, as the socket module has it."""
        connection, address = super().accept()
        # The number may have been another's.
        self._pending.pop(connection.fileno(), None)
        self._pending[connection.fileno()] = connection
        if len(self._pending) > self._max_pending:
            self._make_room()
        return connection, address

    def _make_room(self) -> None:
        greeted = self._greeted()
        self._pending = {
            number: each for number, each in self._pending.items() if each.fileno() == number and number not in greeted
        }
        if len(self._pending) > self._max_pending:
            oldest = self._pending.pop(next(iter(self._pending)))
            with contextlib.suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)
