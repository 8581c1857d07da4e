"""grpc.channelz.v1: what grpc knows of its connections."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2, channelz_pb2_grpc

_SERVICE = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"]


class ChannelzService:
    """grpc's own answers. All of it is for admins: it tells who is connected."""

    NAME: str = _SERVICE.full_name
    ADMIN = tuple(method.name for method in _SERVICE.methods)

    def handlers(self) -> grpc.GenericRpcHandler:
        """The methods by name."""
        collected = _Collected()
        channelz_pb2_grpc.add_ChannelzServicer_to_server(channelz.aio.ChannelzServicer(), collected)
        return collected.handlers[0]


class _Collected:
    """Takes what is meant for a server: only so does grpc give its methods away."""

    def __init__(self) -> None:
        self.handlers: list[grpc.GenericRpcHandler] = []

    def add_generic_rpc_handlers(self, handlers: tuple[grpc.GenericRpcHandler, ...]) -> None:
        self.handlers.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """The same methods once more, for servers with threads."""
