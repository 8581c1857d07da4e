"""A port's gate, before its gRPC services."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import grpc

from offbeat.errors import OffbeatError
from offbeat.server.access.gate import Gate, Service
from offbeat.server.rpc.boundary import Boundary, Context, Handler


class GuardedService(grpc.GenericRpcHandler):
    """A service that only those reach whom the gate lets through.

    It stands where grpc looks a method up, before anything of the request is read, and leaves the method itself as it is.
    """

    def __init__(self, service: grpc.GenericRpcHandler, gate: Gate, boundary: Boundary) -> None:
        self._service = service
        self._gate = gate
        self._boundary = boundary

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The method, or one that refuses the call; None for a method that is not of this service."""
        method: grpc.RpcMethodHandler[bytes, bytes] | None = self._service.service(handler_call_details)
        if method is None:
            return None
        authorization = None
        for key, value in handler_call_details.invocation_metadata:
            if key == "authorization":
                authorization = str(value)
                break
        error = self._gate.refusal(handler_call_details.method, authorization)
        return method if error is None else self._refusal(handler_call_details.method, error)

    def _refusal(self, method: str, error: OffbeatError) -> Handler:
        traffic = self._boundary.traffic.methods.get(method.rpartition("/")[2])
        if traffic is not None:
            self._boundary.count_refusal(traffic, "", error)
        # Does for calls of every kind: they end before a message is read.
        return grpc.stream_stream_rpc_method_handler(partial(_refuse, self._boundary, error))


def guarded(services: Sequence[Service], gate: Gate, boundary: Boundary) -> list[grpc.GenericRpcHandler]:
    """The services' methods, behind the gate where it is not open to all."""
    if gate.is_open:
        return [service.handlers() for service in services]
    return [GuardedService(service.handlers(), gate, boundary) for service in services]


async def _refuse(boundary: Boundary, error: OffbeatError, _: object, context: Context) -> None:
    await boundary.abort(context, error)
