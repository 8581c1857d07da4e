"""REST's connections: slow, silent, hostile or given up, and what the next one finds."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import http.client
import json
import socket
import threading
import time
import tracemalloc

import grpc
import pytest

from offbeat.server.http import http_server, rest_body
from offbeat.server.messages.rest_messages import MAX_JSON_BYTES
from tests.runtime.folders import random_windows

from .fakes import GatedBackend
from .live import LiveServer, Serve, eventually
from .metrics_port import samples
from .rest_client import INFER, ask, exchange, infer_json, raw, received, rest

WINDOWS = random_windows(3)


def test_a_client_that_vanishes_takes_its_request_along(serve: Serve) -> None:
    backend = GatedBackend()
    server = rest(serve, backend, max_inline_us=0)
    body = json.dumps(infer_json(WINDOWS)).encode()
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    running, waiting = raw(server, head + body), raw(server, head + body)
    assert backend.entered.acquire(timeout=60)
    eventually(lambda: samples(server, "offbeat_queue_depth") == [1], "one waits")
    waiting.close()
    eventually(lambda: samples(server, "offbeat_queue_depth") == [0], "it has left")
    running.close()
    backend.gate.set()
    assert samples(server, "offbeat_requests_total", method="RestInfer", status="CANCELLED")


def test_bodies_that_are_too_large_half_or_slow_are_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = rest(serve, max_message_bytes=4096)
    assert ask(server, INFER, b" " * 5000)[0] == 413
    chunked = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    with raw(server, chunked + (b"400\r\n" + b" " * 1024 + b"\r\n") * 8) as lying:
        assert b" 413 " in received(lying).partition(b"\r\n")[0]
    half = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nConnection: close\r\n\r\n".encode() + b"{"
    # For this one alone: others may have to wait for a busy machine.
    with monkeypatch.context() as patch:
        patch.setattr(rest_body, "_BODY_S", 0.2)
        with raw(server, half) as slow:
            assert b" 408 " in received(slow).partition(b"\r\n")[0]
    assert ask(server, INFER, b"x", **{"Content-Encoding": "gzip"})[0] == 415
    for _ in range(20):
        raw(server, half).close()
    assert ask(server, INFER, infer_json(WINDOWS))[0] == 200
    big = ask(rest(serve), INFER, b" " * (MAX_JSON_BYTES + 1))
    assert big[0] == 400
    assert "binary data" in big[1]["error"]


@pytest.mark.parametrize(
    "noise",
    [
        b"\0" * 1000,
        b"GET /v2\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n\r\n",
        b"POST /v2/models/level/infer HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v2/models/level/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 10**6 + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /%ff%00/../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /v2/models/%2e%2e%2f%2e%2e HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_noise_is_refused_and_the_next_request_is_answered(rest_server: LiveServer, noise: bytes) -> None:
    with raw(rest_server) as connection:
        connection.settimeout(0.5)
        answer = b""
        with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            connection.sendall(noise)
            answer = connection.recv(65536)
        assert b" 500 " not in answer.partition(b"\r\n")[0]
    assert ask(rest_server, INFER, infer_json(WINDOWS))[0] == 200


def trickled(connection: socket.socket) -> bool:
    """Whether one more header could be sent."""
    time.sleep(0.05)
    try:
        connection.sendall(b"X: y\r\n")
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def test_heads_that_trickle_in_and_answers_that_nobody_reads_are_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = rest(serve)
    windows = random_windows(2000)
    body = json.dumps(infer_json(windows, ["reconstruction"])).encode()
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with monkeypatch.context() as patch:
        patch.setattr(http_server, "_HEADERS_S", 0.3)
        with raw(server, b"GET /v2 HTTP/1.1\r\n") as trickling:
            eventually(lambda: not trickled(trickling), "it is cut off")
    with monkeypatch.context() as patch:
        patch.setattr(http_server, "_STALL_S", 0.3)
        # More than the system keeps for a reader.
        with raw(server) as deaf, pytest.raises((BrokenPipeError, ConnectionResetError)):
            deaf.sendall((head + body) * 100)
    assert ask(server, INFER, infer_json(WINDOWS))[0] == 200


def test_many_silent_connections_hold_up_nobody_for_long(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_MAX_CONNECTIONS", 20)
    server = rest(serve)
    with monkeypatch.context() as patch:
        patch.setattr(http_server, "_HEADERS_S", 0.3)
        silent = [raw(server) for _ in range(60)]
        assert [received(each) for each in silent] == [b""] * 60
    assert ask(server, INFER, infer_json(WINDOWS))[0] == 200
    for each in silent:
        each.close()


def test_silent_connections_make_room_for_one_that_asks(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_MAX_CONNECTIONS", 20)
    # None is to go for being silent too long.
    monkeypatch.setattr(http_server, "_HEADERS_S", 600.0)
    server = rest(serve)
    silent = [raw(server) for _ in range(30)]
    assert ask(server, INFER, infer_json(WINDOWS))[0] == 200
    # The oldest went, and not those of whom a request may come any time.
    assert [received(each) for each in silent[:11]] == [b""] * 11
    silent[-1].sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert received(silent[-1]).startswith(b"HTTP/1.1 200 ")
    for each in silent:
        each.close()


def test_a_path_with_a_slash_behind_it_sends_nobody_where_a_header_says(rest_server: LiveServer) -> None:
    status, headers, _ = exchange(rest_server, f"{INFER}/", infer_json(WINDOWS), Host="elsewhere")
    assert status == 404
    assert "location" not in headers


def test_an_engine_that_hangs_on_the_loop_makes_rest_unavailable(serve: Serve) -> None:
    gate = threading.Event()
    server = rest(serve)
    hang = server._loop._loop
    hang.call_soon_threadsafe(gate.wait, 60)
    assert ask(server, "/v2/health/live")[0] == 503
    gate.set()
    assert ask(server, "/v2/health/live")[0] == 200
    assert grpc.channel_ready_future(server.channel).result(60) is None


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head(rest_server: LiveServer) -> None:
    body = json.dumps(infer_json(WINDOWS))
    connection = http.client.HTTPConnection("127.0.0.1", rest_server.server.metrics_port, timeout=60)
    seconds = []
    with contextlib.closing(connection):
        for _ in range(21):
            started = time.monotonic()
            connection.request("POST", INFER, body)
            assert connection.getresponse().read()
            seconds.append(time.monotonic() - started)
    # The system's delay is 0.04 s, of every answer but the first: a busy machine may be late, but not delay all of them.
    assert min(seconds[1:]) < 0.03


def test_bodies_count_as_in_memory_until_their_requests_are_answered(serve: Serve) -> None:
    backend = GatedBackend()
    server = rest(serve, backend, max_inline_us=0, max_message_bytes=2048)
    body = json.dumps(infer_json(WINDOWS)).encode()
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 2048\r\n\r\n".encode()
    waiting = []
    for n_before in range(4):
        waiting.append(raw(server, head + body.ljust(2048)))
        eventually(lambda n=n_before: samples(server, "offbeat_calls_in_flight") == [n + 1], "it is being scored")
    status, told = ask(server, INFER, body)
    assert (status, told["error"].partition(";")[0]) == (429, f"{4 * 2048 + len(body)} bytes of requests are in memory")
    backend.gate.set()
    for each in waiting:
        assert each.recv(4096).startswith(b"HTTP/1.1 200 ")
        each.close()
    eventually(lambda: ask(server, INFER, body)[0] == 200, "there is room again")


@pytest.mark.parametrize("wrong", [{"name": "x"}, {"shape": [10_000, 5, 3]}])
def test_a_refused_body_is_gone_without_a_garbage_collection(rest_server: LiveServer, wrong: dict[str, object]) -> None:
    data = bytes(10_000 * 5 * 2 * 4)
    size: dict[str, object] = {"binary_data_size": len(data)}
    tensor = {"name": "window", "datatype": "FP32", "shape": [10_000, 5, 2], "parameters": size} | wrong
    head = json.dumps({"inputs": [tensor]}).encode()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(20):
            length = {"Inference-Header-Content-Length": str(len(head))}
            assert ask(rest_server, INFER, head + data, **length)[0] == 400
        eventually(lambda: tracemalloc.get_traced_memory()[0] < 5 * len(data), "the bodies are gone")
    finally:
        tracemalloc.stop()
        gc.enable()


def test_connections_that_cannot_be_accepted_are_complained_of_once_in_a_second(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    loop = asyncio.new_event_loop()
    monkeypatch.setattr(loop, "time", lambda: now, raising=False)
    loop.set_exception_handler(http_server._Complaints())
    told = {
        "message": "socket.accept() out of system resource",
        "exception": OSError(errno.EMFILE, "Too many open files"),
    }
    for _ in range(128):
        loop.call_exception_handler(told)
    now += 1.5
    loop.call_exception_handler(told)
    loop.close()
    assert [record.getMessage() for record in caplog.records] == ["socket.accept() out of system resource"] * 2


def test_clients_who_are_slow_with_their_bodies_keep_nobody_from_seeing_how_the_server_is(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "_MAX_CONNECTIONS", 20)
    monkeypatch.setattr(rest_body, "_MAX_REQUESTS", 10)
    server = rest(serve)
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode()
    slow = [raw(server, head + b"{") for _ in range(15)]
    eventually(lambda: ask(server, INFER, infer_json(WINDOWS))[0] == 429, "there is no room for one more")
    for _ in range(3):
        assert [exchange(server, path)[0] for path in ("/healthz", "/readyz", "/metrics")] == [200] * 3
    for each in slow:
        each.close()
    eventually(lambda: ask(server, INFER, infer_json(WINDOWS))[0] == 200, "there is room again")
