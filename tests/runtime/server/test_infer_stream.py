"""ModelStreamInfer beside what it shares with ScoreStream."""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import grpc
import numpy as np
import pytest

from offbeat.inference import open_inference_pb2 as oip
from tests.runtime.folders import expected_outputs, random_windows

from .calls import infer_request
from .fakes import GatedBackend, make_scorer
from .live import LiveServer, Serve, eventually

METHOD = "/inference.GRPCInferenceService/ModelStreamInfer"


class Stream:
    """One call; `send` puts a request on it, None ends it."""

    def __init__(self, server: LiveServer) -> None:
        self._requests: SimpleQueue[bytes | None] = SimpleQueue()
        self.call: Any = server.channel.stream_stream(METHOD)(iter(self._requests.get, None), timeout=60)

    def send(self, request: oip.ModelInferRequest | bytes | None) -> None:
        self._requests.put(request.SerializeToString() if isinstance(request, oip.ModelInferRequest) else request)

    def answers(self) -> Iterator[oip.ModelStreamInferResponse]:
        return (oip.ModelStreamInferResponse.FromString(answer) for answer in self.call)


def test_answers_keep_the_order_though_later_ones_are_ready_first(serve: Serve) -> None:
    slow = GatedBackend()
    server = serve(make_scorer(slow, name="slow"), make_scorer(), max_inline_us=0, n_workers=2)
    stream = Stream(server)
    stream.send(infer_request(random_windows(1), model_name="slow", id="0"))
    assert slow.entered.acquire(timeout=60)
    for number in range(1, 6):
        stream.send(infer_request(random_windows(number), id=str(number)))
    quick = server.server._models.find("level")
    eventually(lambda: quick.statistics.n_succeeded == 5, "the later ones are ready")
    slow.gate.set()
    stream.send(None)
    answers = [answer.infer_response for answer in stream.answers()]
    assert [(answer.model_name, answer.id) for answer in answers] == [
        ("slow", "0"),
        *(("level", str(number)) for number in range(1, 6)),
    ]
    for number, answer in enumerate(answers[1:], 1):
        np.testing.assert_array_equal(
            np.frombuffer(answer.raw_output_contents[0], np.float32),
            expected_outputs(random_windows(number))["reconstruction_error"],
        )


def test_every_answer_says_that_it_is_the_last_of_its_request_as_tritons_do(serve: Serve) -> None:
    """Clients of models that may answer several times wait for it; the second request is one that the codec knows."""
    stream = Stream(serve(make_scorer()))
    answers = stream.answers()
    for number in range(3):
        stream.send(infer_request(random_windows(1), id=str(number)))
        answer = next(answers).infer_response
        assert answer.id == str(number)
        assert answer.parameters["triton_final_response"].bool_param
        assert len(answer.raw_output_contents) == 3
    stream.send(None)
    assert list(answers) == []


def test_a_refusal_carries_its_id_and_does_not_end_the_stream(serve: Serve) -> None:
    stream = Stream(serve(make_scorer()))
    stream.send(infer_request(random_windows(1), model_name="nobody", id="a"))
    stream.send(b"\xff\xff\xff")
    stream.send(infer_request(random_windows(1), ["no such output"], id="c"))
    stream.send(infer_request(random_windows(1), id="d"))
    stream.send(None)
    unknown, garbled, wrong, good = stream.answers()
    assert unknown.error_message.startswith("Request for unknown model: 'nobody' is not found")
    assert (unknown.infer_response.id, wrong.infer_response.id, good.infer_response.id) == ("a", "c", "d")
    assert "no inference.ModelInferRequest" in garbled.error_message
    assert "'no such output'" in wrong.error_message
    assert (good.error_message, len(good.infer_response.raw_output_contents)) == ("", 3)


def test_a_drain_answers_what_was_read_and_ends_the_stream(serve: Serve) -> None:
    server = serve(make_scorer())
    stream = Stream(server)
    stream.send(infer_request(random_windows(1), id="a"))
    answers = stream.answers()
    assert next(answers).infer_response.id == "a"
    server.drain()
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    stream.send(None)
