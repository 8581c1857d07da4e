"""Refusing calls before their message is read, while that is all there is to do for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import TypeAlias, cast

import grpc

from offbeat.server.rpc.boundary import Boundary, Context, Handler
from offbeat.server.rpc.status import details, status_code
from offbeat.server.telemetry.traffic import MethodTraffic

_Answer: TypeAlias = Callable[[bytes, Context], Awaitable[bytes]]
_EOF = grpc.aio.EOF  # type: ignore[attr-defined]


class SheddingService(grpc.GenericRpcHandler):
    """The `methods` of a service by name, of which the one that scores a message (`scoring`) has two forms.

    Where a refusal is likely it is a stream for grpc: then the call comes without its message, and refusing it costs less than a server
    pays that does nothing but answer. With its message read it costs as much as a small request. Both forms give the same answers.
    """

    def __init__(self, service: str, methods: Mapping[str, Handler], scoring: str, boundary: Boundary) -> None:
        self._methods = {f"/{service}/{name}": method for name, method in methods.items()}
        self._scoring = f"/{service}/{scoring}"
        answer = cast(_Answer, methods[scoring].unary_unary)
        self._shedding = _shedding(boundary, answer, boundary.traffic.method(scoring))
        self._overload = boundary.overload

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The method; None for one that is not of this service."""
        method: str = handler_call_details.method
        if self._overload.is_known and method == self._scoring and self._overload.is_likely(monotonic()):
            return self._shedding
        return self._methods.get(method)


def _shedding(boundary: Boundary, answer: _Answer, traffic: MethodTraffic) -> Handler:
    overload, drain = boundary.overload, boundary.drain

    async def call(_: object, context: Context) -> None:
        error = None if drain.is_draining else overload.refusal(monotonic(), context.time_remaining())
        if error is None:
            message = await context.read()
            if message is _EOF:
                # As for any call that ends before its message has come: nobody waits for a status.
                raise asyncio.CancelledError
            await context.write(await answer(message, context))
            return
        # No model is told: nobody has read which.
        boundary.count_refusal(traffic, "", error)
        boundary.refusal(error)
        # Not aborted: what is raised and caught for that would be a tenth of the refusal.
        context.set_code(status_code(error))
        context.set_details(details(error))

    return grpc.stream_stream_rpc_method_handler(call)
