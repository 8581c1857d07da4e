"""Configuration: what one connection may take, and how long it lasts."""

from __future__ import annotations

import msgspec

from offbeat.errors import require

_DAY_S = 86_400


class ConnectionConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of the transport; 0 stands for none where it says so.

    `max_connections` (0: any number) may be open at once, with `max_concurrent_streams` calls each; further calls wait in the
    client. `max_header_bytes` bounds the metadata of a call, names and values. A connection is told to go after
    `max_connection_age_s` (0: never), and cut off `max_connection_age_grace_s` later; or after `max_connection_idle_s` without
    a call (0: never). A peer that is silent for `keepalive_time_s` is pinged, and taken for gone without an answer in
    `keepalive_timeout_s`. Clients that ping more often than every `min_ping_interval_s` are sent away.
    """

    max_connections: int = 0
    max_concurrent_streams: int = 4096
    max_header_bytes: int = 16 * 2**10
    max_connection_age_s: float = 0.0
    max_connection_age_grace_s: float = 30.0
    max_connection_idle_s: float = 0.0
    keepalive_time_s: float = 60.0
    keepalive_timeout_s: float = 20.0
    min_ping_interval_s: float = 10.0

    def __post_init__(self) -> None:
        self._check("max_connections", 0, 1_000_000, "connections")
        self._check("max_concurrent_streams", 1, 1_000_000, "calls")
        self._check("max_header_bytes", 1024, 2**20, "bytes")
        self._check("max_connection_age_s", 0, _DAY_S, "seconds")
        self._check("max_connection_age_grace_s", 0, _DAY_S, "seconds")
        self._check("max_connection_idle_s", 0, _DAY_S, "seconds")
        # Below a second grpc takes a second, without a word.
        self._check("keepalive_time_s", 1, _DAY_S, "seconds")
        self._check("keepalive_timeout_s", 0.1, 3600, "seconds")
        self._check("min_ping_interval_s", 0, 3600, "seconds")

    def _check(self, field: str, least: float, most: float, unit: str) -> None:
        value = getattr(self, field)
        require(least <= value <= most, field, value, f"{least:,} to {most:,} {unit}")
