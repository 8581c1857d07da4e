from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from offbeat.server.rpc.message_stream import MAX_IN_FLIGHT
from offbeat.v1 import scoring_pb2 as v1
from tests.runtime.folders import OUTPUTS, expected_outputs, random_windows

from .calls import arrays, score, score_request
from .fakes import FailingBackend, GatedBackend, make_scorer
from .live import LiveServer, Serve, eventually


def stream(
    server: LiveServer,
    requests: Iterable[v1.ScoreRequest | bytes],
    channel: grpc.Channel | None = None,
    **settings: Any,
) -> Any:
    """The call, an iterator of answers."""
    method = (channel or server.channel).stream_stream(
        "/offbeat.v1.AnomalyScoring/ScoreStream", response_deserializer=v1.ScoreStreamResponse.FromString
    )
    encoded = (each if isinstance(each, bytes) else each.SerializeToString() for each in requests)
    return method(encoded, timeout=settings.pop("timeout", 120), **settings)


class Source:
    """Requests that a test sends one by one; None ends them."""

    def __init__(self) -> None:
        self._queue: queue.Queue[v1.ScoreRequest | None] = queue.Queue()
        self.send = self._queue.put

    def __iter__(self) -> Iterator[v1.ScoreRequest]:
        return iter(self._queue.get, None)


def test_every_request_is_answered_once_by_its_id(serve: Serve) -> None:
    server = serve(make_scorer())
    sizes = [1 + n % 7 for n in range(500)]
    requests = (score_request(random_windows(size, seed=n), id=str(n)) for n, size in enumerate(sizes))
    answers = {answer.response.id: arrays(answer.response) for answer in stream(server, requests)}
    assert sorted(answers, key=int) == [str(n) for n in range(500)]
    for n, size in enumerate(sizes):
        expected = expected_outputs(random_windows(size, seed=n))["anomaly_score"]
        np.testing.assert_array_equal(answers[str(n)]["anomaly_score"], expected)


def test_answers_come_when_they_are_ready_not_in_the_order_of_requests(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend, name="slow"), make_scorer(name="fast"), n_workers=2)
    source = Source()
    answers = stream(server, source)
    source.send(score_request(random_windows(1), model="slow", id="first"))
    assert backend.entered.acquire(timeout=60)
    source.send(score_request(random_windows(1), model="fast", id="second"))
    assert next(answers).response.id == "second"
    backend.gate.set()
    assert next(answers).response.id == "first"
    source.send(None)
    assert list(answers) == []


def test_a_refused_request_is_answered_on_the_stream_and_does_not_end_it(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(make_scorer(FailingBackend(666.0, RuntimeError("broken"))), max_batch_size=4, max_queue_size=8)
    windows = random_windows(1)
    requests: list[v1.ScoreRequest | bytes] = [
        score_request(windows, id="unknown", model="nobody"),
        score_request(random_windows(33), id="large"),
        score_request(np.full((1, 3, 2), 666.0, np.float32), id="broken"),
        b"\xff",
        score_request(windows, id="good"),
    ]
    with caplog.at_level(logging.CRITICAL, "offbeat.server"):
        answers = list(stream(server, requests))
    told = {answer.refusal.id: answer.refusal for answer in answers if answer.HasField("refusal")}
    assert {request_id: refusal.code for request_id, refusal in told.items()} == {
        "unknown": grpc.StatusCode.NOT_FOUND.value[0],
        "large": grpc.StatusCode.INVALID_ARGUMENT.value[0],
        "broken": grpc.StatusCode.INTERNAL.value[0],
        "": grpc.StatusCode.INVALID_ARGUMENT.value[0],
    }
    assert "max_batch_size = 4" in told["large"].message
    assert "incident" in told["broken"].message
    assert [answer.response.id for answer in answers if answer.HasField("response")] == ["good"]


def test_an_answer_above_the_limit_is_a_refusal_on_the_stream(serve: Serve) -> None:
    server = serve(make_scorer(), max_message_bytes=4096)
    requests = [score_request(random_windows(80), OUTPUTS, id="large"), score_request(random_windows(1), id="small")]
    answers = {answer.response.id or answer.refusal.id: answer for answer in stream(server, requests)}
    assert answers["large"].refusal.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "max_message_bytes = 4096" in answers["large"].refusal.message
    assert answers["small"].response.outputs


def test_clients_that_vanish_in_the_middle_of_their_streams_leave_no_trace(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(make_scorer(), n_workers=2)
    for n_answers in range(15):
        with grpc.insecure_channel(server.target) as vanishing:
            requests = (score_request(random_windows(50), OUTPUTS, id=str(n)) for n in range(10_000))
            answers = stream(server, requests, vanishing)
            for _ in range(n_answers):
                next(answers)
    eventually(lambda: server.server._drain.n_calls == 0, "every stream has ended")
    assert score(server.channel, score_request(random_windows(3))).outputs
    assert caplog.records == []


def test_a_full_queue_is_told_for_each_request(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_queue_size=2)
    answers = stream(server, (score_request(random_windows(1), id=str(n)) for n in range(5)))
    refused = [next(answers).refusal for _ in range(2)]
    assert {refusal.code for refusal in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]}
    backend.gate.set()
    assert len({answer.response.id for answer in answers} | {refusal.id for refusal in refused}) == 5


def test_a_flooding_client_is_read_no_further_than_its_allowance(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_queue_size=10_000)
    waiting = server.server._models.find("level").queue
    answers = stream(server, (score_request(random_windows(1), id=str(n)) for n in range(5_000)))
    eventually(lambda: len(waiting) >= MAX_IN_FLIGHT - 1, "the allowance is used")
    time.sleep(0.2)
    assert len(waiting) == MAX_IN_FLIGHT - 1
    backend.gate.set()
    assert len({answer.response.id for answer in answers}) == 5_000


def test_large_requests_are_bounded_by_their_bytes_too(serve: Serve) -> None:
    backend = GatedBackend()
    windows = random_windows(1000)
    server = serve(make_scorer(backend), max_batch_size=1000, max_message_bytes=3 * windows.nbytes)
    waiting = server.server._models.find("level").queue
    answers = stream(server, (score_request(windows, id=str(n)) for n in range(20)))
    eventually(lambda: len(waiting) == 2, "three requests have been read")
    time.sleep(0.2)
    assert len(waiting) == 2
    backend.gate.set()
    assert len(list(answers)) == 20


def test_a_reader_that_does_not_read_stops_its_own_stream_and_no_other(serve: Serve) -> None:
    server = serve(make_scorer())
    outputs = ("reconstruction", "step_error")
    n_sent = 0

    def requests() -> Iterator[v1.ScoreRequest]:
        nonlocal n_sent
        for n_sent in range(1, 2_001):
            yield score_request(random_windows(500, seed=1), outputs, id=str(n_sent))

    with grpc.insecure_channel(server.target) as lazy_channel:
        lazy = stream(server, requests(), lazy_channel)
        last = -1
        while last != n_sent:
            last = n_sent
            time.sleep(0.3)
        assert n_sent < 1_000, "the server has read on, though nobody takes its answers"
        for n in range(20):
            assert score(server.channel, score_request(random_windows(2))).outputs
            assert len(list(stream(server, [score_request(random_windows(1), id=str(n))]))) == 1
        lazy.cancel()


def test_a_stream_that_is_cancelled_takes_its_queued_requests_along(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    waiting = server.server._models.find("level").queue
    answers = stream(server, (score_request(random_windows(1), id=str(n)) for n in range(50)))
    eventually(lambda: len(waiting) == 49, "all are queued")
    answers.cancel()
    eventually(lambda: len(waiting) == 0, "none is queued")
    backend.gate.set()
    assert score(server.channel, score_request(random_windows(2))).outputs
    assert backend.batches == [1, 2]


def test_the_deadline_of_a_stream_ends_it_and_what_it_has_queued(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    waiting = server.server._models.find("level").queue
    answers = stream(server, (score_request(random_windows(1), id=str(n)) for n in range(5)), timeout=0.3)
    with pytest.raises(grpc.RpcError) as caught:
        list(answers)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: len(waiting) == 0, "none is queued")
    backend.gate.set()


def test_draining_answers_what_was_read_and_then_ends_an_open_stream(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    source = Source()
    answers = stream(server, source)
    for n in range(3):
        source.send(score_request(random_windows(1), id=str(n)))
    assert backend.entered.acquire(timeout=60)
    eventually(lambda: len(server.server._models.find("level").queue) == 2, "the others are queued")
    draining = threading.Thread(target=server.drain)
    draining.start()
    eventually(lambda: server.server._drain.is_draining, "draining")
    backend.gate.set()
    assert {next(answers).response.id for _ in range(3)} == {"0", "1", "2"}
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "draining" in caught.value.details()
    source.send(None)
    draining.join(60)
    assert not draining.is_alive()
