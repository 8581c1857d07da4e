"""All that is answered over HTTP, on one port."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from offbeat.certificates import server_context
from offbeat.config import ServerConfig
from offbeat.security_config import SecurityConfig
from offbeat.server.access.gate import Gate
from offbeat.server.access.server_credentials import read_server_certificates
from offbeat.server.access.watched_files import WatchedFiles
from offbeat.server.http.http_server import HttpServer
from offbeat.server.http.rest import Rest, failure
from offbeat.server.http.snapshot import Snapshot
from offbeat.server.http.watching import Watching, plain_failure
from offbeat.server.rpc.boundary import Boundary
from offbeat.server.rpc.inference_service import InferenceService

if TYPE_CHECKING:
    from offbeat.server.telemetry.tracing import Tracing

# As long as a request's answer takes that is ready.
_FAREWELL_S = 1.0


class HttpFront:
    """What the server is watched by, and, with `config.rest`, the REST form of its protocol.

    Made on the event loop of the server, it starts nothing; raises ConfigurationError for files that cannot be used.
    """

    def __init__(
        self,
        config: ServerConfig,
        take: Callable[[], Snapshot],
        service: InferenceService,
        boundary: Boundary,
        gate: Gate,
        tracing: Tracing | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        routes = Watching(take, loop).routes()
        if config.rest:
            routes += Rest(service, boundary, gate, loop, tracing).routes()
        self._has_rest = config.rest
        self._http = HttpServer(
            config.metrics_host,
            config.metrics_port or 0,
            routes,
            failure if config.rest else plain_failure,
            config.connections.max_header_bytes,
            _contexts(config.security) if config.metrics_tls else None,
        )

    @property
    def port(self) -> int:
        """The port it listens on, once it has started."""
        return self._http.port

    def start(self) -> None:
        """Begins to answer. Raises ConfigurationError where the address is not free."""
        self._http.start()

    async def stop(self) -> None:
        """Answers no more. Returns when the answers to scoring requests have been sent, within a second."""
        self._http.stop()
        if self._has_rest:
            await self._http.ended(_FAREWELL_S)


def _contexts(security: SecurityConfig) -> Callable[[], ssl.SSLContext]:
    """The server's side of TLS, by the files as they are now, and as they will be.

    Raises ConfigurationError for files that cannot be used now.
    """
    files = (security.tls_cert, security.tls_key, security.tls_client_ca)
    return WatchedFiles([path for path in files if path is not None], partial(_context, security)).latest


def _context(security: SecurityConfig) -> ssl.SSLContext:
    """For the files that gRPC's ports use, and no others."""
    read_server_certificates(security)
    return server_context(security.tls_cert, security.tls_key, security.tls_client_ca)
