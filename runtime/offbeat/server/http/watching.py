"""What the server is watched by over HTTP: /metrics, /healthz and /readyz."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from offbeat.server.http.metrics import ServerCollector
from offbeat.server.http.snapshot import Snapshot
from offbeat.server.telemetry.incident import incident

# The event loop is never busy for so long; if it is, that is what there is to tell.
_PATIENCE_S = 2.0
_UNAVAILABLE = 503


class Watching:
    """Answers in threads of HTTP from snapshots that the server's event loop, `loop`, takes.

    `/healthz` is 200 while the event loop turns, no batch hangs and no engine fails with everything, `/readyz` while health says SERVING; otherwise 503.
    """

    def __init__(self, take: Callable[[], Snapshot], loop: asyncio.AbstractEventLoop) -> None:
        self._take = take
        self._loop = loop
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._registry.register(ServerCollector(self.snapshot))

    def routes(self) -> list[Route]:
        """The paths; not coroutines, so that they are answered in threads."""
        return [
            Route("/metrics", _patient(self._metrics)),
            Route("/healthz", _patient(self._life)),
            Route("/readyz", _patient(self._readiness)),
        ]

    def snapshot(self) -> Snapshot:
        """A snapshot, from another thread than the loop's. Raises TimeoutError."""
        future: concurrent.futures.Future[Snapshot] = concurrent.futures.Future()
        try:
            self._loop.call_soon_threadsafe(_resolve, future, self._take)
        except RuntimeError as error:
            raise TimeoutError from error
        return future.result(_PATIENCE_S)

    def _metrics(self, request: Request) -> Response:
        encode, content_type = _encoder(request.headers.get("accept", ""))
        return Response(encode(self._registry), headers={"content-type": content_type})

    def _life(self, _: Request) -> Response:
        hung = self.snapshot().hung
        if not hung:
            return _text(200, "ok")
        return _text(
            _UNAVAILABLE, "; ".join(f"model {each.name!r} version {each.version}: {each.reason}" for each in hung)
        )

    def _readiness(self, _: Request) -> Response:
        return _text(200, "SERVING") if self.snapshot().is_ready else _text(_UNAVAILABLE, "NOT_SERVING")


def plain_failure(status: int, reason: str) -> Response:
    """The answer to what no route takes."""
    return _text(status, "expected /metrics, /healthz or /readyz" if status == 404 else reason)


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """The form that the header asks for, and its name; the plain one where it asks for a version that is no number."""
    try:
        return choose_encoder(accept)
    except TypeError:
        return choose_encoder("")


def _patient(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def patient(request: Request) -> Response:
        try:
            return answer(request)
        except TimeoutError:
            return _text(_UNAVAILABLE, f"the event loop has not turned for {_PATIENCE_S:g} s")
        except Exception as error:  # noqa: BLE001 - the request boundary, of HTTP
            return _text(500, str(incident("the metrics port", error)))

    return patient


def _resolve(future: concurrent.futures.Future[Snapshot], take: Callable[[], Snapshot]) -> None:
    try:
        future.set_result(take())
    except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
        future.set_exception(error)


def _text(status: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status)
