"""The socket and its limits."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from grpc_reflection.v1alpha import reflection

from offbeat.config import ServerConfig
from offbeat.errors import ConfigurationError


def listen(
    config: ServerConfig, handlers: Sequence[grpc.GenericRpcHandler], names: Sequence[str]
) -> tuple[grpc.aio.Server, int]:
    """A server that is bound but not started, and its port. Raises ConfigurationError where the address is not free."""
    server = grpc.aio.server(handlers=handlers, options=_options(config))
    reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
    host = f"[{config.host}]" if ":" in config.host else config.host
    try:
        return server, server.add_insecure_port(f"{host}:{config.port}")
    except RuntimeError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{config.port}; expected a local address and a port that no one else uses"
        ) from error


def _options(config: ServerConfig) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", config.max_message_bytes),
        ("grpc.max_send_message_length", config.max_message_bytes),
        # Otherwise a second server on the same port would start, and take half of the calls.
        ("grpc.so_reuseport", 0),
    ]
