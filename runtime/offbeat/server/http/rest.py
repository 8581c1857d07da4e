"""The REST form of the Open Inference Protocol: /v2."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from google.protobuf.message import Message
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from offbeat.errors import InvalidWindowError, OffbeatError, UnavailableError
from offbeat.inference import open_inference_pb2 as pb
from offbeat.reply_timing import TIMING_KEY
from offbeat.server.access.gate import Gate
from offbeat.server.http.rest_body import Intake
from offbeat.server.http.rest_scoring import RestScoring
from offbeat.server.http.rest_status import http_status
from offbeat.server.messages.rest_messages import (
    RestRequest,
    index_request,
    infer_request,
    infer_response,
    plain,
    put_parameters,
)
from offbeat.server.rpc.boundary import Boundary
from offbeat.server.rpc.inference_service import InferenceService
from offbeat.server.telemetry.incident import incident
from offbeat.server.telemetry.refusals import RefusalLog
from offbeat.telling import in_lines

if TYPE_CHECKING:
    from offbeat.server.telemetry.tracing import Tracing

Result = TypeVar("Result")
Answer = Callable[[Request], Awaitable[Response]]
_JSON_LENGTH = "Inference-Header-Content-Length"
_MODEL = "/v2/models/{model}"
_VERSION = _MODEL + "/versions/{version}"
_REPOSITORY = "/v2/repository/models/{model}"
# The server's event loop answers questions at once.
_PATIENCE_S = 2.0
_OK, _NOT_FOUND, _UNAVAILABLE = 200, 404, 503
# Nobody reads it.
_GONE = 499


class Rest:
    """Answers on HTTP's event loop what the server's one, `loop`, is asked for. Making it starts nothing."""

    def __init__(
        self,
        service: InferenceService,
        boundary: Boundary,
        gate: Gate,
        loop: asyncio.AbstractEventLoop,
        tracing: Tracing | None,
    ) -> None:
        self._service = service
        self._boundary = boundary
        self._gate = gate
        self._scoring = RestScoring(boundary)
        self._intake = Intake(boundary.max_message_bytes)
        self._refusals = RefusalLog()
        self._loop = loop
        self._tracing = tracing

    def routes(self) -> list[Route]:
        """The paths."""
        gets = {
            "/v2": self._asking("ServerMetadata", lambda _: pb.ServerMetadataRequest()),
            "/v2/health/live": self._asking("ServerLive", lambda _: pb.ServerLiveRequest(), "live"),
            "/v2/health/ready": self._asking("ServerReady", lambda _: pb.ServerReadyRequest(), "ready"),
            "/v2/models/stats": self._asking("ModelStatistics", lambda _: pb.ModelStatisticsRequest()),
        }
        for path in (_MODEL, _VERSION):
            gets[path] = self._asking("ModelMetadata", _of_model(pb.ModelMetadataRequest))
            gets[f"{path}/ready"] = self._asking("ModelReady", _of_model(pb.ModelReadyRequest), "ready")
            gets[f"{path}/config"] = self._asking("ModelConfig", _of_model(pb.ModelConfigRequest))
            gets[f"{path}/stats"] = self._asking("ModelStatistics", _of_model(pb.ModelStatisticsRequest))
        infer: Answer = self._infer
        if self._tracing is not None:
            # OpenTelemetry is there only where it is asked for.
            from offbeat.server.http.traced_rest import traced

            infer = traced(partial(self.answer, infer), f"{_MODEL}/infer", self._tracing)
        posts = {
            f"{_MODEL}/infer": infer,
            f"{_VERSION}/infer": infer,
            "/v2/repository/index": self._index,
            f"{_REPOSITORY}/load": self._changing("RepositoryModelLoad", pb.RepositoryModelLoadRequest),
            f"{_REPOSITORY}/unload": self._changing("RepositoryModelUnload", pb.RepositoryModelUnloadRequest),
        }
        routes = [Route(path, _Endpoint(self, answer), methods=["GET"]) for path, answer in gets.items()]
        return routes + [Route(path, _Endpoint(self, answer), methods=["POST"]) for path, answer in posts.items()]

    async def answer(self, answer: Answer, request: Request) -> Response:
        """The answer, or the refusal."""
        try:
            return await answer(request)
        except HTTPException as error:
            return _refusal(error.status_code, error.detail)
        except ClientDisconnect:
            return _refusal(_GONE, "the client has gone")
        except Exception as error:  # noqa: BLE001 - the request boundary, of HTTP
            refusal = error if isinstance(error, OffbeatError) else incident("the request", error)
            self._refusals.record(refusal)
            # The frames that it, and what it comes from, came through know the request's body, and the error: all would stay until
            # garbage is collected.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            return _refusal(http_status(refusal), in_lines(str(refusal)))

    def _asking(self, method: str, message_of: Callable[[Request], Message], flag: str | None = None) -> Answer:
        """What the service answers to a question; with a `flag`, 503 where that is false."""

        async def ask(request: Request) -> Response:
            self._admit(method, request)
            told = plain(await self._ask(method, message_of(request)))
            if flag is not None:
                return _json(_named(request) | told, _OK if told[flag] else _UNAVAILABLE)
            # Triton's own form of a configuration has no name around it.
            return _json(told.get("config", told))

        return ask

    def _changing(
        self, method: str, kind: type[pb.RepositoryModelLoadRequest] | type[pb.RepositoryModelUnloadRequest]
    ) -> Answer:
        async def change(request: Request) -> Response:
            self._admit(method, request)
            message = kind(model_name=request.path_params["model"])
            async with self._intake.body(request) as body:
                put_parameters(message, body)
            return _json(plain(await self._on_loop(self._service.answer(method, message))))

        return change

    async def _index(self, request: Request) -> Response:
        self._admit("RepositoryIndex", request)
        async with self._intake.body(request) as body:
            message = index_request(body)
        return _json(plain(await self._ask("RepositoryIndex", message))["models"])

    async def _infer(self, request: Request) -> Response:
        async with AsyncExitStack() as held:
            wanted = await self._wanted(request, held)
            request.state.message = wanted.message
            scored = await self._while_connected(request, self._scoring.score(wanted.message))
        content, n_json = infer_response(wanted, scored)
        headers = {TIMING_KEY: scored.timing.text()}
        if n_json is not None:
            headers[_JSON_LENGTH] = str(n_json)
        kind = "application/json" if n_json is None else "application/octet-stream"
        return Response(self._boundary.sendable(content), headers=headers, media_type=kind)

    async def _wanted(self, request: Request, held: AsyncExitStack) -> RestRequest:
        """What the request asks for. Its body counts as one in memory until `held` is closed."""
        try:
            self._admit("ModelInfer", request)
            model, version = request.path_params["model"], request.path_params.get("version", "")
            body = await held.enter_async_context(self._intake.body(request))
            return infer_request(model, version, body, _json_length(request, len(body)))
        except Exception as error:
            self._loop.call_soon_threadsafe(self._scoring.refuse, "", _as_counted(error))
            raise

    def _admit(self, method: str, request: Request) -> None:
        """Raises UnauthenticatedError, ForbiddenError."""
        error = self._gate.refusal(f"/{self._service.NAME}/{method}", request.headers.get("authorization"))
        if error is not None:
            raise error

    async def _ask(self, method: str, message: Message) -> Message:
        try:
            return await asyncio.wait_for(self._on_loop(self._service.answer(method, message)), _PATIENCE_S)
        except TimeoutError as error:
            raise UnavailableError(f"the event loop has not turned for {_PATIENCE_S:g} s") from error

    def _on_loop(self, work: Coroutine[Any, Any, Result]) -> asyncio.Future[Result]:
        """What the work comes to on the server's event loop."""
        try:
            return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
        except RuntimeError as error:
            work.close()
            raise UnavailableError("the server has ended; expected another to take the request") from error

    async def _while_connected(self, request: Request, work: Coroutine[Any, Any, Result]) -> Result:
        """What the work comes to. Raises ClientDisconnect, and ends the work, where the client vanishes before."""
        working, gone = self._on_loop(work), asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise ClientDisconnect
            return working.result()
        finally:
            gone.cancel()
            working.cancel()


class _Endpoint:
    """An answer as an ASGI application, which Starlette leaves as it is: a class's instance, not a function."""

    def __init__(self, rest: Rest, answer: Answer) -> None:
        self._rest = rest
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._rest.answer(self._answer, Request(scope, receive))
        await response(scope, receive, send)


def failure(status: int, reason: str) -> Response:
    """The answer to what no route takes."""
    return _refusal(status, f"no such path; expected one like {_MODEL}/infer" if status == _NOT_FOUND else reason)


def _refusal(status: int, reason: str) -> Response:
    """A refusal in the protocol's form."""
    return _json({"error": reason}, status)


def _json(value: object, status: int = _OK) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _named(request: Request) -> dict[str, str]:
    """The name of the path's model, where there is one."""
    return {"name": name} if (name := request.path_params.get("model")) else {}


def _of_model(kind: Callable[..., Message]) -> Callable[[Request], Message]:
    """Makes the message that names the model, and the version, of a request's path."""

    def message_of(request: Request) -> Message:
        return kind(name=request.path_params["model"], version=request.path_params.get("version", ""))

    return message_of


def _json_length(request: Request, n_bytes: int) -> int:
    """How much of the body is JSON. Raises InvalidWindowError."""
    told = request.headers.get(_JSON_LENGTH)
    if told is None:
        return n_bytes
    if not (told.isascii() and told.isdigit() and len(told) <= 18 and int(told) <= n_bytes):
        raise InvalidWindowError(f"{_JSON_LENGTH} is {told!r:.40}; expected 0 to the body's {n_bytes} bytes")
    return int(told)


def _as_counted(error: Exception) -> BaseException:
    """The error as the counts know it."""
    if isinstance(error, ClientDisconnect):
        return asyncio.CancelledError()
    return InvalidWindowError(error.detail) if isinstance(error, HTTPException) else error
