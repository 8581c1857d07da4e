"""The server: its parts put together, started and ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc

from offbeat.certificates import Certificates
from offbeat.config import ServerConfig
from offbeat.errors import MissingExtraError
from offbeat.scorer import Scorer
from offbeat.server.access.certificate_watch import CertificateWatch
from offbeat.server.access.gate import Gate, Service, watched_tokens
from offbeat.server.access.server_credentials import watched_certificates
from offbeat.server.access.watched_files import WatchedFiles
from offbeat.server.http.snapshot import take_snapshot
from offbeat.server.models.model_control import ModelControl
from offbeat.server.rpc.boundary import Boundary
from offbeat.server.rpc.channelz_service import ChannelzService
from offbeat.server.rpc.drain import Drain
from offbeat.server.rpc.guard import guarded
from offbeat.server.rpc.health import Health
from offbeat.server.rpc.inference_service import InferenceService
from offbeat.server.rpc.message_stream import stream_room
from offbeat.server.rpc.points_service import PointsService
from offbeat.server.rpc.scoring_service import ScoringService
from offbeat.server.rpc.transport import listen
from offbeat.server.scoring.dispatcher import Dispatcher
from offbeat.server.scoring.engine import Engine
from offbeat.server.scoring.served import ServedModels
from offbeat.server.scoring.watch import Watch
from offbeat.server.scoring.workers import WorkerPool

if TYPE_CHECKING:
    from offbeat.server.http.http_front import HttpFront
    from offbeat.server.telemetry.tracing import Tracing

_logger = logging.getLogger("offbeat.server")
# Twice this is kept of the grace time: to hold the last calls, and to refuse them.
_FAREWELL_S = 0.5


class Server:
    """Serves models of `config.model_repository` over gRPC. Making it starts nothing.

    `scorers`, where given, are served instead of the repository's models. The server closes them when it ends. Belongs
    to one event loop; an async context manager that starts, and stops without draining.
    """

    def __init__(self, config: ServerConfig, scorers: Iterable[Scorer] | None = None) -> None:
        self._config = config
        self._scorers = None if scorers is None else tuple(scorers)
        self._workers = WorkerPool(config.n_workers)
        self._watch = Watch(self._workers, config.max_compute_s)
        self._dispatcher = Dispatcher(self._workers, config.max_inline_us)
        self._models = ServedModels()
        self._control = ModelControl(self._models, config)
        self._drain = Drain()
        boundary = self._boundary = Boundary(
            Engine(self._models, self._dispatcher),
            self._drain,
            config.max_message_bytes,
            stream_room(config.batching.max_queue_size),
        )
        self._points = PointsService(config.series)
        self._services = (
            ScoringService(boundary, self._points),
            InferenceService(boundary, self._control, config.batching),
        )
        self._health = Health((service.NAME for service in self._services), self._models)
        self._take = partial(
            take_snapshot,
            self._models,
            boundary.traffic,
            self._drain,
            self._health,
            self._certificate_expires,
            self._points.snapshot,
        )
        self._certificates: CertificateWatch | None = None
        self._http: HttpFront | None = None
        self._tracing: Tracing | None = None
        self._transports: list[grpc.aio.Server] = []
        self._port = config.port
        self._admin_port = config.admin_port
        self._has_ended = False

    @property
    def port(self) -> int:
        """The port it listens on, known once `start` has begun to listen."""
        return self._port

    @property
    def metrics_port(self) -> int | None:
        """The port of the metrics, known like `port`; None where there are none."""
        return self._config.metrics_port if self._http is None else self._http.port

    @property
    def admin_port(self) -> int | None:
        """The port for admins, known like `port`; None where there is none."""
        return self._admin_port

    async def start(self) -> None:
        """Listens, loads the models, and says SERVING; until then requests are refused as UNAVAILABLE.

        Raises ConfigurationError for an address that is taken; BundleError and BackendError for a repository or a model
        that cannot be served, and then serves nothing.
        """
        try:
            self._listen()
            for transport in self._transports:
                await transport.start()
            self._workers.start()
            self._watch.start()
            if self._http is not None:
                self._http.start()
                _logger.info("HTTP on %s:%d", self._config.metrics_host, self._http.port)
            if self._admin_port is not None:
                _logger.info("admins on %s:%d", self._config.admin_host, self._admin_port)
            await self._points.start()
            await self._control.start(self._scorers)
        except BaseException:
            await self.stop()
            raise
        self._health.set_serving(True)

    def _listen(self) -> None:
        config = self._config
        services: tuple[Service, ...] = self._services
        if config.channelz:
            services += (ChannelzService(),)
        certificates = watched_certificates(config.security) if config.security.has_tls else None
        if certificates is not None:
            self._certificates = CertificateWatch(certificates)
            self._certificates.start()
        if config.trace_endpoint is not None:
            self._tracing = open_tracing(config.trace_endpoint, config.trace_ratio)
        tokens = watched_tokens(config.security.token_file)
        gate = Gate(services, tokens, admits_admins=config.admin_port is None)
        self._port = self._add_transport(config.host, config.port, services, gate, certificates)
        if config.admin_port is not None:
            self._admin_port = self._add_transport(
                config.admin_host, config.admin_port, services, Gate(services, tokens), certificates
            )
        if config.metrics_port is not None:
            # Loading what speaks HTTP takes longer than all the rest of the server.
            from offbeat.server.http.http_front import HttpFront

            self._http = HttpFront(config, self._take, self._services[1], self._boundary, gate, self._tracing)

    def _add_transport(
        self,
        host: str,
        port: int,
        services: Sequence[Service],
        gate: Gate,
        certificates: WatchedFiles[Certificates] | None,
    ) -> int:
        handlers = guarded(services, gate, self._boundary)
        if self._tracing is not None:
            from offbeat.server.rpc.traced_service import TracedService

            handlers = [TracedService(each, self._tracing) for each in handlers]
        handlers = [*handlers, self._health.handlers()]
        names = [*(service.NAME for service in services), self._health.NAME]
        transport, port = listen(self._config, host, port, handlers, names, certificates)
        self._transports.append(transport)
        return port

    def _certificate_expires(self) -> float | None:
        return None if self._certificates is None else self._certificates.expires()

    async def drain(self) -> None:
        """Refuses what is new, answers what was accepted, and stops, all within `grace_s`."""
        end = monotonic() + self._config.grace_s
        farewell_s = min(_FAREWELL_S, self._config.grace_s / 4)
        self._drain.start()
        self._health.set_serving(False)
        try:
            await asyncio.wait_for(self._drain.finished(), self._config.grace_s - 2 * farewell_s)
        except TimeoutError:
            await self._points.finish(farewell_s)
            await self._end(max(0.0, end - monotonic()))
        else:
            await self._points.finish(max(farewell_s, end - monotonic() - 2 * farewell_s))
            await self._drain.hold(farewell_s)
            await self._end(farewell_s)

    async def stop(self) -> None:
        """Stops at once; calls that run end without an answer."""
        self._drain.start()
        self._health.set_serving(False)
        await self._end(None)

    async def _end(self, grace_s: float | None) -> None:
        self._health.close()
        stopping = [asyncio.create_task(transport.stop(grace_s)) for transport in self._transports]
        # One step of these tasks tells the clients to send nothing more here.
        await asyncio.sleep(0)
        self._drain.release()
        await asyncio.gather(*stopping)
        if self._has_ended:
            return
        self._has_ended = True
        if self._http is not None:
            await self._http.stop()
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close, _FAREWELL_S)
        self._control.stop()
        self._points.stop()
        self._watch.stop()
        if self._certificates is not None:
            self._certificates.stop()
        self._dispatcher.close()
        self._workers.stop()
        # A backend must not be freed under a batch that is still running; then the process's end frees it.
        if self._dispatcher.is_idle:
            self._control.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def open_tracing(endpoint: str, ratio: float) -> Tracing:
    """Traces that go there. Raises MissingExtraError."""
    try:
        from offbeat.server.telemetry.tracing import Tracing, otlp_exporter

        return Tracing(otlp_exporter(endpoint), ratio)
    except ImportError as error:
        raise MissingExtraError(f"trace_endpoint needs {error.name}; pip install 'offbeat[tracing]'") from error
