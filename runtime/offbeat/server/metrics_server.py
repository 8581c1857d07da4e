"""The port on which the server is watched: /metrics, /healthz and /readyz, over HTTP."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from offbeat.errors import ConfigurationError
from offbeat.server.incident import incident
from offbeat.server.metrics import ServerCollector
from offbeat.server.snapshot import Snapshot

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# The event loop is never busy for so long; if it is, that is what there is to tell.
_PATIENCE_S = 2.0
# A client that sends nothing keeps a thread for so long.
_IDLE_S = 5.0
_UNAVAILABLE = "503 Service Unavailable"


class MetricsServer:
    """Answers in threads of its own from snapshots that the event loop takes. Making it starts nothing.

    `/healthz` is 200 while the event loop turns and no batch hangs, `/readyz` while health says SERVING; otherwise 503.
    """

    def __init__(self, take: Callable[[], Snapshot], host: str, port: int) -> None:
        self._take = take
        self._host = host
        self.port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._http: ThreadingWSGIServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to answer; must be called on the event loop. Raises ConfigurationError where the address is not free."""
        self._loop = asyncio.get_running_loop()
        try:
            self._http = make_server(self._host, self.port, self._app(), _server_class(self._host), _Handler)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {self._host}:{self.port} for metrics: {error.strerror}; expected a local address and a port "
                "that no one else uses"
            ) from error
        self.port = self._http.server_port
        # Not among the threads that the process waits for at its end: this one computes nothing in C++.
        self._thread = threading.Thread(target=self._http.serve_forever, name="metrics-http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answers no more. Returns at once."""
        if self._http is not None:
            # shutdown waits for a thread that may wait for this loop.
            threading.Thread(target=_close, args=(self._http,), name="metrics-end", daemon=True).start()
            self._http = None

    def _app(self) -> WSGIApplication:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        registry.register(ServerCollector(self._snapshot))
        metrics: WSGIApplication = make_wsgi_app(registry)

        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            try:
                if environ["PATH_INFO"] == "/metrics":
                    return metrics(environ, start_response)
                status, text = self._answer(environ["PATH_INFO"])
            except TimeoutError:
                status, text = _UNAVAILABLE, f"the event loop has not turned for {_PATIENCE_S:g} s"
            except Exception as error:  # noqa: BLE001 - the request boundary, of HTTP
                status, text = "500 Internal Server Error", str(incident("the metrics port", error))
            return _say(start_response, status, text)

        return app

    def _answer(self, path: str) -> tuple[str, str]:
        """Status and text. Raises TimeoutError."""
        match path:
            case "/healthz":
                hung = self._snapshot().hung
                if not hung:
                    return "200 OK", "ok"
                return _UNAVAILABLE, "; ".join(
                    f"model {each.name!r} version {each.version}: {each.reason}" for each in hung
                )
            case "/readyz":
                return ("200 OK", "SERVING") if self._snapshot().is_ready else (_UNAVAILABLE, "NOT_SERVING")
        return "404 Not Found", "expected /metrics, /healthz or /readyz"

    def _snapshot(self) -> Snapshot:
        """A snapshot, from another thread than the loop's. Raises TimeoutError."""
        if self._loop is None:
            raise TimeoutError
        future: concurrent.futures.Future[Snapshot] = concurrent.futures.Future()
        try:
            self._loop.call_soon_threadsafe(_resolve, future, self._take)
        except RuntimeError as error:
            raise TimeoutError from error
        return future.result(_PATIENCE_S)


class _Handler(WSGIRequestHandler):
    timeout = _IDLE_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the standard library
        """Nothing: the port is asked every few seconds."""


def _server_class(host: str) -> type[ThreadingWSGIServer]:
    class Server(ThreadingWSGIServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    return Server


def _resolve(future: concurrent.futures.Future[Snapshot], take: Callable[[], Snapshot]) -> None:
    try:
        future.set_result(take())
    except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
        future.set_exception(error)


def _close(http: ThreadingWSGIServer) -> None:
    http.shutdown()
    http.server_close()


def _say(start_response: StartResponse, status: str, text: str) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]
