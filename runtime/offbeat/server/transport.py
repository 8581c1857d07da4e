"""The socket and its limits."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2
from grpc_reflection.v1alpha import reflection

from offbeat.config import ServerConfig
from offbeat.errors import ConfigurationError
from offbeat.server.server_credentials import server_credentials


def listen(
    config: ServerConfig, handlers: Sequence[grpc.GenericRpcHandler], names: Sequence[str]
) -> tuple[grpc.aio.Server, int]:
    """A server that is bound but not started, and its port.

    Raises ConfigurationError where the address is not free, and for certificates that cannot be used.
    """
    credentials = server_credentials(config.security) if config.security.has_tls else None
    server = grpc.aio.server(handlers=handlers, options=_options(config))
    names = (*names, reflection.SERVICE_NAME)
    if config.channelz:
        channelz.add_channelz_servicer(server)
        names = (*names, channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name)
    reflection.enable_server_reflection(names, server)
    host = f"[{config.host}]" if ":" in config.host else config.host
    address = f"{host}:{config.port}"
    try:
        if credentials is None:
            return server, server.add_insecure_port(address)
        return server, server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise ConfigurationError(
            f"cannot listen on {address}; expected a local address and a port that no one else uses"
        ) from error


def _options(config: ServerConfig) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", config.max_message_bytes),
        ("grpc.max_send_message_length", config.max_message_bytes),
        # Otherwise a second server on the same port would start, and take half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.enable_channelz", int(config.channelz)),
    ]
