"""Requests over HTTP that are traced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from offbeat.reply_timing import TIMING_KEY
from offbeat.server.rpc.traced_service import asked_of
from offbeat.server.telemetry.tracing import HEADERS, Tracing

Answer = Callable[[Request], Awaitable[Response]]
_SERVER_ERROR = 500


def traced(answer: Answer, route: str, tracing: Tracing) -> Answer:
    """The answer, which must be a response also where it is an error, with a span where the request is to be traced."""

    async def ask(request: Request) -> Response:
        headers = {name: request.headers[name] for name in HEADERS if name in request.headers}
        span = tracing.begin(f"POST {route}", headers, {"http.request.method": "POST", "http.route": route})
        if span is None:
            return await answer(request)
        status, timing = _SERVER_ERROR, ""
        try:
            response = await answer(request)
            status, timing = response.status_code, response.headers.get(TIMING_KEY, "")
            return response
        finally:
            message = getattr(request.state, "message", None)
            span.tell(**({"model": request.path_params["model"]} if message is None else asked_of(message)))
            span.tell_timing(timing)
            span.end("http.response.status_code", status, is_error=status >= _SERVER_ERROR)

    return ask
