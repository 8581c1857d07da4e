"""Ports for servers that cannot be told to take any free one and say which."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

# Below what Linux gives to those who ask for any port: between our look and the server's start no connection takes it.
_PORTS = range(20_000, 32_768)
_given: set[int] = set()


def free_ports(n: int) -> list[int]:
    """`n` different ports of 127.0.0.1 that nobody listens on, and that this process was not given before."""
    ports: list[int] = []
    with ExitStack() as held:
        for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
            if len(ports) == n:
                break
            if port in _given:
                continue
            try:
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            ports.append(port)
    if len(ports) < n:
        raise RuntimeError(f"{len(ports)} free ports in {_PORTS}; expected {n}")
    _given.update(ports)
    return ports
