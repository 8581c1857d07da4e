"""gRPC services whose calls are traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from offbeat.inference.open_inference_pb2 import ModelInferRequest
from offbeat.reply_timing import TIMING_KEY
from offbeat.server.rpc.boundary import Context, Handler
from offbeat.server.telemetry.tracing import HEADERS, RequestSpan, Tracing
from offbeat.v1.scoring_pb2 import ScoreRequest

# Those that OpenTelemetry's conventions for servers call errors; the others are the caller's.
_ERRORS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)


_Asked = Callable[[bytes], dict[str, str | int]]


class TracedService(grpc.GenericRpcHandler):
    """A service whose calls have spans where they are to be traced; the others reach their method as if it were not there."""

    def __init__(self, service: grpc.GenericRpcHandler, tracing: Tracing) -> None:
        self._service = service
        self._tracing = tracing

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The method, or one that traces it; None for a method that is not of this service."""
        method: Handler | None = self._service.service(handler_call_details)
        if method is None:
            return None
        answer = method.unary_unary or method.stream_stream
        if answer is None:
            return method
        headers = {key: str(value) for key, value in handler_call_details.invocation_metadata if key in HEADERS}
        _, service, name = handler_call_details.method.split("/")
        span = self._tracing.begin(
            f"{service}/{name}", headers, {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
        )
        if span is None:
            return method
        asked = _ASKED.get(handler_call_details.method, _nothing)
        codec = (method.request_deserializer, method.response_serializer)
        if method.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(_traced(answer, span, asked), *codec)
        return grpc.unary_unary_rpc_method_handler(_traced(answer, span, asked), *codec)


class _TracedContext:
    """A call's context that remembers what the method says of the call."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.timing = ""
        self.code = grpc.StatusCode.OK
        self.details = ""
        self.n_read = 0
        self.n_written = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def set_trailing_metadata(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self.timing = dict(metadata).get(TIMING_KEY, "")
        self._context.set_trailing_metadata(metadata)

    def set_code(self, code: grpc.StatusCode) -> None:
        self.code = code
        self._context.set_code(code)

    def set_details(self, details: str) -> None:
        self.details = details
        self._context.set_details(details)

    async def abort(self, code: grpc.StatusCode, details: str = "") -> None:
        self.code, self.details = code, details
        await self._context.abort(code, details)

    async def read(self) -> Any:
        message = await self._context.read()
        self.n_read += isinstance(message, bytes)
        return message

    async def write(self, message: bytes) -> None:
        await self._context.write(message)
        self.n_written += 1


def _traced(method: Callable[[Any, Any], Any], span: RequestSpan, asked: _Asked) -> Callable[[Any, Context], Any]:
    async def call(request: Any, context: Context) -> Any:
        told = _TracedContext(context)
        try:
            return await method(request, told)
        except BaseException:
            # Who aborts has said why; otherwise nobody is left to be told.
            if told.code is grpc.StatusCode.OK:
                told.code = grpc.StatusCode.CANCELLED
            raise
        finally:
            if isinstance(request, bytes):
                span.tell(**asked(request))
            else:
                span.tell(n_requests=told.n_read, n_answers=told.n_written)
            span.tell_timing(told.timing)
            value: int = told.code.value[0]
            span.end("rpc.grpc.status_code", value, is_error=told.code in _ERRORS, reason=told.details)

    return call


def _asked_of_score(data: bytes) -> dict[str, str | int]:
    try:
        request = ScoreRequest.FromString(data)
    except DecodeError:
        return {}
    return {"model": request.model, "windows": next(iter(request.window.shape), 0)}


def _asked_of_infer(data: bytes) -> dict[str, str | int]:
    try:
        return asked_of(ModelInferRequest.FromString(data))
    except DecodeError:
        return {}


def asked_of(request: ModelInferRequest) -> dict[str, str | int]:
    """The model that a request asks, and for how many windows."""
    shape = request.inputs[0].shape if request.inputs else ()
    return {"model": request.model_name, "windows": next(iter(shape), 0)}


def _nothing(_: bytes) -> dict[str, str | int]:
    return {}


_ASKED: dict[str, _Asked] = {
    "/offbeat.v1.AnomalyScoring/Score": _asked_of_score,
    "/inference.GRPCInferenceService/ModelInfer": _asked_of_infer,
}
