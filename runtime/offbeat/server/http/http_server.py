"""HTTP, in a thread and on an event loop of its own: it answers also while the server's loop hangs, and never keeps that one busy."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from offbeat.errors import ConfigurationError
from offbeat.server.http.listener import Listener

# A client may take so long for a request's headers, and may read nothing of an answer for so long.
_HEADERS_S = 5.0
_STALL_S = 30.0
# Longer than proxies keep a connection without requests, or they would send one just when it is closed (nginx and AWS: 60 s).
_KEEP_ALIVE_S = 75
# Above, whoever has been silent for longest makes room for the next; above twice as many, connections are closed as they come. Requests
# are bounded where they wait for something, and not here: who asks how the server is must be answered also beside very many others.
_MAX_CONNECTIONS = 256
# Connections that wait to be accepted. Where no file can be opened any more, asyncio complains of each of them, again and again.
_BACKLOG = 128
_COMPLAINT_S = 1.0
Failure = Callable[[int, str], Response]


class HttpServer:
    """Answers the routes. Making it starts nothing.

    `failure` makes the answer to what no route takes, of its status and reason. `tls` is asked for the context of each handshake.
    """

    def __init__(
        self,
        host: str,
        port: int,
        routes: list[Route],
        failure: Failure,
        max_header_bytes: int,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._host = host
        self.port = port
        self._thread: threading.Thread | None = None
        application = Starlette(routes=routes, exception_handlers={HTTPException: _told_by(failure)})
        # Where it would send a client is what that client's own header says: there is no such path instead.
        application.router.redirect_slashes = False
        self._http = uvicorn.Server(
            uvicorn.Config(
                application,
                # One that survives hostile input, in Python; parsing is not what costs here.
                http=_PatientProtocol,
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE_S,
                h11_max_incomplete_event_size=max_header_bytes,
                ssl_context_factory=None if tls is None else _following(tls),
            )
        )

    def start(self) -> None:
        """Begins to answer. Raises ConfigurationError where the address is not free."""
        listener = self._listener()
        self.port = listener.getsockname()[1]
        # Not among the threads that the process waits for at its end: this one computes nothing in C++.
        self._thread = threading.Thread(target=self._run, args=(listener,), name="http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answers what is under way, and no more. Returns at once."""
        self._http.should_exit = True

    async def ended(self, within_s: float) -> None:
        """Returns when all is answered, or the time is over; to be called on another event loop than HTTP's."""
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, within_s)

    def _run(self, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(_Complaints())
            runner.run(self._http.serve(sockets=[listener]))

    def _greeted(self) -> set[int]:
        """The descriptors of the connections that may ask."""
        open_ones = (each.transport for each in self._http.server_state.connections if each.transport is not None)
        sockets = (transport.get_extra_info("socket") for transport in open_ones)
        return {each.fileno() for each in sockets if each is not None}

    def _listener(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = Listener(family, _MAX_CONNECTIONS, self._greeted)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self.port))
            listener.listen()
        except OSError as error:
            listener.close()
            raise ConfigurationError(
                f"cannot listen on {self._host}:{self.port} for metrics: {error.strerror}; expected a local address and a port "
                "that no one else uses"
            ) from error
        return listener


class _Complaints:
    """Logs what the event loop complains of, at most once in a second."""

    def __init__(self) -> None:
        self._next_line = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if loop.time() >= self._next_line:
            self._next_line = loop.time() + _COMPLAINT_S
            loop.default_exception_handler(context)


class _PatientProtocol(H11Protocol):
    """A connection that is given up where its client sends no whole request head, or reads no answer, in time."""

    _opened_s = 0.0
    _silence: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._opened_s = self.loop.time()
        if len(self.connections) > 2 * _MAX_CONNECTIONS:
            transport.abort()
        elif len(self.connections) >= _MAX_CONNECTIONS:
            self._displace()
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(_STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._silence, self._stall):
            if timer is not None:
                timer.cancel()

    def _await_head(self) -> None:
        """The time runs from the connection, or the first byte after the answer before, whatever trickles in meanwhile."""
        if self._is_owed() and self._silence is None:
            self._silence = self.loop.call_later(_HEADERS_S, self.transport.abort)
        elif not self._is_owed() and self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _is_owed(self) -> bool:
        """Whether the next thing is a request of the client's."""
        return self.cycle is None or self.cycle.response_complete

    def _displace(self) -> None:
        """Closes the oldest connection that asks for nothing, so that silent ones keep nobody from asking."""
        others = (each for each in self.connections if isinstance(each, _PatientProtocol) and each is not self)
        silent = [each for each in others if each._is_owed() and not each.transport.is_closing()]
        if silent:
            min(silent, key=lambda each: each._opened_s).transport.abort()


def _told_by(failure: Failure) -> Callable[[Request, Exception], Any]:
    async def tell(_: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        return failure(error.status_code, error.detail)

    return tell


def _following(tls: Callable[[], ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
    """Makes the context that listens, which takes the latest one for each handshake."""

    def choose(connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        connection.context = tls()

    def context(*_: object) -> ssl.SSLContext:
        first = tls()
        first.sni_callback = choose
        return first

    return context
