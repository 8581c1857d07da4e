"""The socket and its limits."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from grpc_reflection.v1alpha import reflection

from offbeat.certificates import Certificates
from offbeat.config import ServerConfig
from offbeat.connection_config import ConnectionConfig
from offbeat.errors import ConfigurationError
from offbeat.server.access.server_credentials import server_credentials
from offbeat.server.access.watched_files import WatchedFiles

_NEVER_MS = 2**31 - 1
# The identity alone: grpc unpacks a message whole before it looks at its size, and a thousandfold is easily had.
_UNCOMPRESSED = 1


def listen(
    config: ServerConfig,
    host: str,
    port: int,
    handlers: Sequence[grpc.GenericRpcHandler],
    names: Sequence[str],
    certificates: WatchedFiles[Certificates] | None,
) -> tuple[grpc.aio.Server, int]:
    """A server that is bound to the host and the port but not started, and its port.

    It speaks TLS where there are certificates. Raises ConfigurationError where the address is not free.
    """
    credentials = None if certificates is None else server_credentials(certificates)
    server = grpc.aio.server(handlers=handlers, options=_options(config))
    reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
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
        *_connection_options(config.connections),
        *([] if config.accept_compressed else [("grpc.compression_enabled_algorithms_bitset", _UNCOMPRESSED)]),
    ]


def _connection_options(limits: ConnectionConfig) -> list[tuple[str, int]]:
    options = [
        ("grpc.max_concurrent_streams", limits.max_concurrent_streams),
        # Otherwise a call that takes the place of one that has just ended may be refused.
        ("grpc.http.overload_protection", 0),
        # Between the two grpc would refuse some headers and not others.
        ("grpc.max_metadata_size", limits.max_header_bytes),
        ("grpc.absolute_max_metadata_size", limits.max_header_bytes),
        ("grpc.max_connection_age_ms", _ms(limits.max_connection_age_s)),
        ("grpc.max_connection_age_grace_ms", int(1e3 * limits.max_connection_age_grace_s)),
        ("grpc.max_connection_idle_ms", _ms(limits.max_connection_idle_s)),
        ("grpc.keepalive_time_ms", _ms(limits.keepalive_time_s)),
        ("grpc.keepalive_timeout_ms", _ms(limits.keepalive_timeout_s)),
        # Otherwise a minute passes before a ping without an answer closes the connection.
        ("grpc.http2.ping_timeout_ms", _ms(limits.keepalive_timeout_s)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", int(1e3 * limits.min_ping_interval_s)),
    ]
    if limits.max_connections:
        options.append(("grpc.max_allowed_incoming_connections", limits.max_connections))
    return options


def _ms(seconds: float) -> int:
    """In grpc's words, where 0 seconds stand for never."""
    return int(1e3 * seconds) or _NEVER_MS
