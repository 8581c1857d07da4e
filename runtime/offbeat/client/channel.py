"""How both clients connect."""

from __future__ import annotations

from collections.abc import Iterable

# The server bounds what it takes; what it sends has been asked for.
OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
TIMEOUT_S = 30.0
MAX_IN_FLIGHT = 32


def backend_of(trailing_metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """Who computed the scores, as the reply's metadata says; empty where a proxy has dropped it."""
    return str(dict(trailing_metadata or ()).get("offbeat-backend", ""))
