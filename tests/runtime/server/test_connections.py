from __future__ import annotations

import socket
import time
from typing import Any

import grpc
import pytest

from offbeat.connection_config import ConnectionConfig
from offbeat.errors import ConfigurationError
from tests.runtime.folders import random_windows

from .calls import SCORE, score, score_later, score_request
from .fakes import GatedBackend, make_scorer
from .live import LiveServer, Serve, eventually

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
PING = b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)


def limited(serve: Serve, **limits: Any) -> LiveServer:
    return serve(make_scorer(), connections=ConnectionConfig(**limits))


def connected(server: LiveServer) -> socket.socket:
    """A client that has said hello and never answers anything."""
    raw = socket.create_connection(("127.0.0.1", server.server.port), timeout=30)
    raw.sendall(PREFACE)
    return raw


def wait_for_end(raw: socket.socket) -> None:
    """Waits for the server to close the connection. Raises TimeoutError where it does not."""
    try:
        while raw.recv(65536):
            pass
    except ConnectionResetError:
        pass


def test_calls_above_the_limit_of_a_connection_wait_in_the_client(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_batch_size=1, connections=ConnectionConfig(max_concurrent_streams=2))
    calls = [score_later(server.channel, score_request(random_windows(1))) for _ in range(6)]
    assert backend.entered.acquire(timeout=60)
    queue = server.server._models.find("level").queue
    eventually(lambda: len(queue) == 1, "the second call has come")
    time.sleep(0.2)
    assert len(queue) == 1
    backend.gate.set()
    assert all(call.result(60) for call in calls)


def test_headers_above_the_limit_are_refused_and_others_are_answered(serve: Serve) -> None:
    server = limited(serve, max_header_bytes=4096)
    request = score_request(random_windows(1)).SerializeToString()
    for n_bytes, code in ((3000, grpc.StatusCode.OK), (9000, grpc.StatusCode.RESOURCE_EXHAUSTED)) * 2:
        call = server.channel.unary_unary(SCORE).future(request, metadata=(("x", "y" * n_bytes),), timeout=60)
        assert call.code() is code


def test_connections_above_the_limit_are_closed(serve: Serve) -> None:
    server = limited(serve, max_connections=2)
    with connected(server) as first, connected(server) as second:
        assert first.recv(1)
        assert second.recv(1)
        with connected(server) as third:
            wait_for_end(third)
    # The server may hear of the closed ones after the next has come, and turn that one away: gRPC then tries again.
    grpc.channel_ready_future(server.channel).result(timeout=60)
    assert score(server.channel, score_request(random_windows(1))).outputs


@pytest.mark.parametrize(
    "limit", [{"max_connection_idle_s": 0.3}, {"max_connection_age_s": 0.3, "max_connection_age_grace_s": 0.2}]
)
def test_connections_that_are_idle_or_old_are_closed_and_clients_connect_anew(
    serve: Serve, limit: dict[str, float]
) -> None:
    server = limited(serve, **limit)
    with connected(server) as raw:
        wait_for_end(raw)
    assert score(server.channel, score_request(random_windows(1))).outputs
    time.sleep(0.6)
    assert score(server.channel, score_request(random_windows(1))).outputs


def test_a_peer_that_answers_no_ping_is_taken_for_gone(serve: Serve) -> None:
    server = limited(serve, keepalive_time_s=1, keepalive_timeout_s=0.2)
    started = time.monotonic()
    with connected(server) as raw:
        wait_for_end(raw)
    assert time.monotonic() - started > 0.5, "before it was asked"


def test_a_client_that_pings_too_often_is_sent_away(serve: Serve) -> None:
    server = limited(serve, min_ping_interval_s=10)
    with connected(server) as raw:
        raw.sendall(PING * 10)
        wait_for_end(raw)
    patient = limited(serve, min_ping_interval_s=0)
    with connected(patient) as raw:
        raw.sendall(PING * 10)
        raw.settimeout(0.5)
        with pytest.raises(TimeoutError):
            wait_for_end(raw)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_connections", -1),
        ("max_concurrent_streams", 0),
        ("max_header_bytes", 100),
        ("max_connection_age_s", -1.0),
        ("max_connection_age_grace_s", -1.0),
        ("max_connection_idle_s", float("nan")),
        ("keepalive_time_s", 0.5),
        ("keepalive_timeout_s", 0.0),
        ("min_ping_interval_s", -0.1),
    ],
)
def test_a_limit_out_of_range_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=f"{field} is"):
        ConnectionConfig(**{field: value})
