"""grpc.health.v1, overall and by service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2


class Health:
    """Answers Check and Watch. All names share one status: SERVING after `set_serving(True)`, until then NOT_SERVING.

    grpcio-health-checking has a servicer too, but there a watcher that leaves cuts off the others of its service, and
    a watcher that does not read holds up the drain.
    """

    NAME: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

    def __init__(self, services: Iterable[str]) -> None:
        self._names = frozenset(("", *services))
        self._is_serving = False
        self._changed = asyncio.Event()
        self._is_closed = False

    def set_serving(self, is_serving: bool) -> None:
        """Tells the status to whoever asks or watches."""
        self._is_serving = is_serving
        self._wake_watchers()

    @property
    def is_serving(self) -> bool:
        """Whether the status is SERVING."""
        return self._is_serving

    def close(self) -> None:
        """Ends the watches, which would otherwise last as long as their clients."""
        self._is_closed = True
        self._wake_watchers()

    def handlers(self) -> grpc.GenericRpcHandler:
        """The methods by name."""
        parse, encode = health_pb2.HealthCheckRequest.FromString, health_pb2.HealthCheckResponse.SerializeToString
        return grpc.method_handlers_generic_handler(
            self.NAME,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._check, parse, encode),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch, parse, encode),
            },
        )

    async def _check(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return health_pb2.HealthCheckResponse(status=self._status(request.service))

    async def _watch(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        told = None
        while True:
            changed, status = self._changed, self._status(request.service)
            if status != told:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                told = status
            if self._is_closed:
                return
            await changed.wait()

    def _status(self, service: str) -> Any:
        if service not in self._names:
            return health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        serving = health_pb2.HealthCheckResponse.SERVING
        return serving if self._is_serving else health_pb2.HealthCheckResponse.NOT_SERVING

    def _wake_watchers(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
