"""grpc.health.v1, overall, by service and by model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from offbeat.server.scoring.served import ServedModels


class Health:
    """Answers Check and Watch.

    The server (the empty name) and its services share one status: SERVING after `set_serving(True)`, until then, and while a
    batch of a model hangs or its engine fails, NOT_SERVING.
    A model's name, unless a service has it, is SERVING while one of its versions takes requests and the server does not end.

    grpcio-health-checking has a servicer too, but there a watcher that leaves cuts off the others of its service, and
    a watcher that does not read holds up the drain.
    """

    NAME: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

    def __init__(self, services: Iterable[str], models: ServedModels) -> None:
        self._names = frozenset(("", *services))
        self._models = models
        models.listen(self._wake_watchers)
        self._is_serving = False
        self._is_ending = False
        self._changed = asyncio.Event()
        self._is_closed = False

    def set_serving(self, is_serving: bool) -> None:
        """Tells the status to whoever asks or watches; False is for the end."""
        self._is_serving = is_serving
        self._is_ending = not is_serving
        self._wake_watchers()

    @property
    def is_serving(self) -> bool:
        """Whether the status is SERVING."""
        return self._is_serving and not self._models.suspended()

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
        status = self._status(request.service)
        if status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service, and no such model")
        return health_pb2.HealthCheckResponse(status=status)

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
        if service in self._names:
            is_serving = self.is_serving
        elif self._models.knows(service):
            is_serving = bool(self._models.versions(service)) and not self._is_ending
        else:
            return health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
        return serving if is_serving else not_serving

    def _wake_watchers(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
