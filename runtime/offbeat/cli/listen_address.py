"""Where `offbeat listen` takes clients."""

from __future__ import annotations

from offbeat.errors import require
from offbeat.security_config import is_loopback


def tcp_address(text: str, *, insecure: bool) -> tuple[str, int]:
    """Host and port of `host:port`, or `[::1]:port`. Raises ConfigurationError, also for a host beyond this machine unless `insecure`."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdigit() and int(port) < 65_536
    require(bool(colon and host) and is_port, "tcp", text, "host:port, such as 127.0.0.1:7007")
    require(
        insecure or is_loopback(host),
        "tcp",
        text,
        "127.0.0.1, ::1 or localhost: lines are neither encrypted nor signed; give --insecure to let anyone send and read along",
    )
    return host, int(port)
