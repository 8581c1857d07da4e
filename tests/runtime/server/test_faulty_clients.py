"""Clients that vanish, stall, lie about lengths and flood: whatever they do, others are answered, and nothing of them stays."""

from __future__ import annotations

import random
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from offbeat.connection_config import ConnectionConfig
from offbeat.v1.scoring_pb2 import ScoreResponse
from tests.runtime.folders import random_windows

from .calls import INFER, SCORE, infer_request, score, score_later, score_request
from .fakes import GatedBackend, make_scorer
from .live import LiveServer, Serve, eventually
from .raw_http2 import (
    CONTINUATION,
    GOAWAY,
    HEADERS,
    RST_STREAM,
    RawClient,
    call_headers,
    frame,
    message,
)

STREAM = "/offbeat.v1.AnomalyScoring/ScoreStream"
POINTS = "/offbeat.v1.AnomalyScoring/ScorePoints"
INFER_STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
HEALTH = "/grpc.health.v1.Health/Check"
REQUEST = score_request(random_windows(3)).SerializeToString()


@contextmanager
def raw(server: LiveServer, window: int = 65535) -> Iterator[RawClient]:
    client = RawClient(server.server.port, window)
    try:
        yield client
    finally:
        client.socket.close()


def assert_well(server: LiveServer) -> None:
    """A client that does nothing wrong is answered, and in the end nobody else is counted."""
    assert score(server.channel, score_request(random_windows(3))).outputs
    eventually(lambda: server.server._drain.n_calls == 0, "no call is under way")


# What the body holds, and how grpc ends a single request then. Where the body ends before its message does it goes on waiting,
# until the client's deadline; and it takes what is said to be compressed, but not how, as it is.
LIES: dict[str, tuple[bytes, str]] = {
    "longer than what comes": (message(REQUEST, claimed=len(REQUEST) + 1), "not"),
    "shorter than what comes": (message(REQUEST, claimed=10), "refused"),
    "a prefix cut off": (b"\0\0\0", "not"),
    "compressed, without a word how": (message(REQUEST, flag=1), "answered"),
    "a flag that there is not": (message(REQUEST, flag=77), "refused"),
    "nothing": (b"", "not"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_client_that_lies_about_lengths_is_told_so_and_its_other_calls_are_answered(serve: Serve, lie: str) -> None:
    server = serve(make_scorer())
    body, how = LIES[lie]
    for path in (SCORE, INFER, STREAM):
        with raw(server) as client:
            stream = client.call(path, body)
            if how != "not" and path != STREAM:
                end = client.end_of(stream)
                assert b"grpc-status" in end
                assert (b"grpc-status\x010" in end) == (how == "answered" and path == SCORE)
            assert client.is_answered(client.call(SCORE, message(REQUEST)))
    assert_well(server)


@pytest.mark.parametrize("path", [SCORE, HEALTH, POINTS])
def test_a_message_that_claims_gigabytes_is_refused_before_it_is_kept(serve: Serve, path: str) -> None:
    server = serve(make_scorer(), max_message_bytes=2**20)
    before = resident_mib()
    with raw(server) as client:
        stream = client.call(path, message(b"", claimed=2**32 - 1), end=False)
        # What is under way when the call ends goes nowhere.
        assert client.fill([stream], 2**27) < 2**26
        assert resident_mib() - before < 16
    assert_well(server)


COMPRESSIONS = [grpc.Compression.Gzip, grpc.Compression.Deflate]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_message_that_would_unpack_to_a_thousand_times_its_size_is_refused_packed(
    serve: Serve, compression: grpc.Compression
) -> None:
    server = serve(make_scorer(), max_message_bytes=2**20)
    bomb = bytes(2**24)
    # Unpacked, it would be RESOURCE_EXHAUSTED, as larger than the limit.
    for path in (SCORE, INFER, HEALTH):
        with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
            server.channel.unary_unary(path)(bomb, compression=compression, timeout=60)
    for path in (STREAM, INFER_STREAM, POINTS):
        with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
            list(server.channel.stream_stream(path)(iter([bomb]), compression=compression, timeout=60))
    assert_well(server)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compressed_messages_are_taken_up_to_the_limit_where_the_server_says_so(
    serve: Serve, compression: grpc.Compression
) -> None:
    server = serve(make_scorer(), max_message_bytes=2**20, accept_compressed=True)
    send = server.channel.unary_unary(SCORE)
    plain = ScoreResponse.FromString(send(REQUEST, timeout=60))
    assert ScoreResponse.FromString(send(REQUEST, compression=compression, timeout=60)).outputs == plain.outputs
    stream = server.channel.stream_stream(STREAM)
    assert len(list(stream(iter([REQUEST, REQUEST]), compression=compression, timeout=60))) == 2
    with pytest.raises(grpc.RpcError, match="larger than max"):
        send(bytes(2**24), compression=compression, timeout=60)


def test_a_compressed_message_is_unpacked_no_further_than_the_limit(serve: Serve) -> None:
    server = serve(make_scorer(), max_message_bytes=2**20, accept_compressed=True)
    with pytest.raises(grpc.RpcError, match="Decompressed message larger than max"):
        server.channel.unary_unary(SCORE)(bytes(2**24), compression=grpc.Compression.Gzip, timeout=60)
    assert_well(server)


def test_a_tensor_that_claims_more_than_it_has_costs_no_memory(serve: Serve) -> None:
    server = serve(make_scorer())
    request = infer_request(random_windows(1))
    request.inputs[0].shape[0] = 2**40
    with raw(server) as client:
        assert b"expected" in client.end_of(client.call(INFER, message(request.SerializeToString())))
    assert_well(server)


def test_clients_that_send_half_a_message_and_stall_leave_others_alone(serve: Serve) -> None:
    server = serve(make_scorer())
    with ExitStack() as stack:
        stalled = [stack.enter_context(raw(server)) for _ in range(50)]
        for number, client in enumerate(stalled):
            for path in (SCORE, STREAM):
                client.call(path, message(REQUEST)[: 1 + number], end=False)
        assert score(server.channel, score_request(random_windows(3))).outputs
        for client in stalled[::2]:
            client.vanish()
        assert score(server.channel, score_request(random_windows(3))).outputs
    assert_well(server)


@pytest.mark.parametrize("path", [SCORE, POINTS])
def test_half_messages_take_no_more_than_the_limits_allow_together_and_their_memory_is_used_again(
    serve: Serve, path: str
) -> None:
    limit, n_calls, n_connections = 2**20, 12, 4
    server = serve(
        make_scorer(),
        max_message_bytes=limit,
        connections=ConnectionConfig(max_concurrent_streams=n_calls),
    )
    assert_well(server)

    def flood() -> float:
        with ExitStack() as stack:
            for _ in range(n_connections):
                client = stack.enter_context(raw(server))
                streams = [client.call(path, message(b"", claimed=limit), end=False) for _ in range(n_calls)]
                assert client.fill(streams, limit - 1, patience_s=60) == n_calls * (limit - 1)
            assert score(server.channel, score_request(random_windows(3))).outputs
            return resident_mib()

    flood_mib, before = limit * n_calls * n_connections / 2**20, resident_mib()
    first = last = flood()
    assert first - before < 1.5 * flood_mib
    for _ in range(3):
        eventually(lambda: server.server._drain.n_calls == 0, "no call is under way")
        last = flood()
    # Three more of them would be twice this, if any of it stayed.
    assert last - first < 1.5 * flood_mib
    assert_well(server)


def test_a_client_that_vanishes_without_a_word_takes_its_queued_requests_along(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    client = RawClient(server.server.port)
    for _ in range(20):
        client.call(SCORE, message(REQUEST))
    queue = server.server._models.find("level").queue
    eventually(lambda: len(queue) == 20, "all are queued")
    client.vanish()
    eventually(lambda: len(queue) == 0, "none is queued")
    backend.gate.set()
    assert running.result(60)
    assert_well(server)
    assert backend.batches == [1, 3]


def test_calls_that_are_taken_back_as_fast_as_they_come_leave_nothing(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_batch_size=4096)
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    with raw(server) as client:
        for _ in range(1000):
            client.reset(client.call(SCORE, message(REQUEST)))
        queue = server.server._models.find("level").queue
        backend.gate.set()
        assert running.result(60)
        eventually(lambda: len(queue) == 0, "the queue is empty")
        assert_well(server)


def test_streams_above_the_limit_are_refused_and_other_connections_answered(serve: Serve) -> None:
    server = serve(make_scorer(), connections=ConnectionConfig(max_concurrent_streams=100))
    with raw(server) as client:
        for _ in range(1000):
            client.call(SCORE, message(REQUEST)[:20], end=False)
        first = next(each for each in client.frames() if each.kind in (RST_STREAM, GOAWAY))
        assert first.kind == GOAWAY or first.stream > 200
        assert score(server.channel, score_request(random_windows(3))).outputs
    assert_well(server)


def test_a_client_that_takes_no_answers_keeps_only_its_own(serve: Serve) -> None:
    server = serve(make_scorer())
    with raw(server, window=0) as client:
        for _ in range(200):
            client.call(SCORE, message(REQUEST))
        client.call(STREAM, b"".join([message(REQUEST)] * 200), end=False)
        for _ in range(3):
            assert score(server.channel, score_request(random_windows(3))).outputs
    assert_well(server)


def test_headers_without_an_end_are_not_kept(serve: Serve) -> None:
    server = serve(make_scorer())
    fields = (b"\0\x04name" + b"\x7f\x81\x01" + b"v" * 256) * 60

    def send(n_mib: int) -> float:
        for _ in range(n_mib * 2**20 // len(fields)):
            client.send(frame(CONTINUATION, 0, 1, fields))
        assert_well(server)
        return resident_mib()

    with raw(server) as client:
        client.send(frame(HEADERS, 0, 1, call_headers(SCORE)))
        # What it reads into has grown by then.
        before = send(64)
        assert send(128) - before < 64


def resident_mib() -> float:
    """Of this process, in which the server is, too."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def noise(client: RawClient) -> None:
    client.send(random.Random(0).randbytes(20_000))  # noqa: S311 - noise, no secrets


def frames_of_any_kind(client: RawClient) -> None:
    dice = random.Random(1)  # noqa: S311 - noise, no secrets
    for _ in range(300):
        content = dice.randbytes(dice.randrange(64))
        client.send(frame(dice.randrange(12), dice.randrange(256), dice.randrange(9), content))


@pytest.mark.parametrize("attack", [noise, frames_of_any_kind], ids=lambda attack: attack.__name__)
def test_what_is_no_http2_ends_the_connection_and_no_other(serve: Serve, attack: Callable[[Any], None]) -> None:
    server = serve(make_scorer())
    with raw(server) as client:
        attack(client)
        # They end, so the server has closed it.
        assert len(list(client.frames())) < 100
    assert_well(server)
