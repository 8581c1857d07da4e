"""How both clients connect."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import grpc
import numpy as np

from offbeat.certificates import read_certificates
from offbeat.errors import require
from offbeat.reply_timing import ReplyTiming
from offbeat.security_config import ClientSecurity

# The server bounds what it takes; what it sends has been asked for.
OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
TIMEOUT_S = 30.0
MAX_IN_FLIGHT = 32
# Some thirty years: above three hundred grpc takes a deadline as one that has passed, infinity among them.
_NO_BOUND_S = 1e9


def bound_s(timeout_s: float | None, otherwise_s: float | None = None) -> float | None:
    """A timeout as grpc takes it, None for no bound, as infinity is; `otherwise_s` where none is given. One that is not positive has passed.

    Raises ConfigurationError for what is no number of seconds.
    """
    if timeout_s is None:
        return otherwise_s
    is_number = isinstance(timeout_s, (int, float, np.integer, np.floating)) and not math.isnan(timeout_s)
    require(is_number, "timeout_s", timeout_s, "a number of seconds, or None")
    return float(timeout_s) if timeout_s < _NO_BOUND_S else None


def channel_options(security: ClientSecurity) -> Sequence[tuple[str, str | int]]:
    """grpc's options for a channel."""
    if security.tls_server_name is None:
        return OPTIONS
    return (*OPTIONS, ("grpc.ssl_target_name_override", security.tls_server_name))


def channel_credentials(security: ClientSecurity) -> grpc.ChannelCredentials | None:
    """None without TLS. Raises ConfigurationError for files that cannot be used."""
    if not security.has_tls:
        return None
    read = read_certificates(security.tls_client_cert, security.tls_client_key, security.tls_ca)
    return grpc.ssl_channel_credentials(read.authorities, read.key, read.chain)


def call_metadata(security: ClientSecurity) -> tuple[tuple[str, str], ...] | None:
    """What each call carries beside its message."""
    return None if security.token is None else (("authorization", f"Bearer {security.token}"),)


def backend_of(trailing_metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """Who computed the scores, as the reply's metadata says; empty where a proxy has dropped it."""
    timing = ReplyTiming.of_metadata(trailing_metadata)
    return "" if timing is None else timing.backend
