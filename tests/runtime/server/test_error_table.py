"""Every row of the design's error table, over a real connection, in both protocols."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from offbeat.inference import open_inference_pb2 as oip
from offbeat.v1 import scoring_pb2 as v1
from tests.runtime.folders import OUTPUTS, random_windows

from .calls import INFER, SCORE, infer, infer_request, score, score_later, score_request
from .fakes import FailingBackend, GatedBackend, NumpyBackend, make_scorer
from .live import LiveServer, Serve, eventually
from .two_paths import native_scorer

Code = grpc.StatusCode
WINDOWS = random_windows(3)


def with_value(value: float) -> Any:
    spoiled = WINDOWS.copy()
    spoiled[1, 2, 1] = value
    return spoiled


def v1_tensor(**fields: Any) -> v1.ScoreRequest:
    tensor = score_request(WINDOWS).window
    for name, value in fields.items():
        if name == "shape":
            del tensor.shape[:]
            tensor.shape.extend(value)
        else:
            setattr(tensor, name, value)
    return score_request(WINDOWS, window=tensor)


def oip_tensor(**fields: Any) -> oip.ModelInferRequest:
    raw = fields.pop("raw", [WINDOWS.tobytes()])
    defaults = {"name": "window", "datatype": "FP32", "shape": WINDOWS.shape}
    tensor = oip.ModelInferRequest.InferInputTensor(**{**defaults, **fields})
    return infer_request(WINDOWS, inputs=[tensor], raw_input_contents=raw)


# What is wrong, in each protocol; the status; and what the message must name.
WRONG: dict[str, tuple[Any, Any, grpc.StatusCode, str]] = {
    "unknown model": (
        score_request(WINDOWS, model="nobody"),
        infer_request(WINDOWS, model_name="nobody"),
        Code.NOT_FOUND,
        r"'nobody'.*'level' \(1\)",
    ),
    "empty model name": (
        score_request(WINDOWS, model=""),
        infer_request(WINDOWS, model_name=""),
        Code.NOT_FOUND,
        "''.*'level'",
    ),
    "unknown version": (
        score_request(WINDOWS, version=7),
        infer_request(WINDOWS, model_version="7"),
        Code.NOT_FOUND,
        "version 7",
    ),
    "version that is no version": (
        score_request(WINDOWS, version=-1),
        infer_request(WINDOWS, model_version="latest"),
        Code.NOT_FOUND,
        "version ('latest'|-1)",
    ),
    "wrong tensor name": (v1_tensor(name="x"), oip_tensor(name="x"), Code.INVALID_ARGUMENT, "'x'.*'window'"),
    "wrong type": (
        v1_tensor(data_type=v1.DATA_TYPE_BOOL),
        oip_tensor(datatype="FP64"),
        Code.INVALID_ARGUMENT,
        "(BOOL|'FP64').*FP32|FLOAT32",
    ),
    "wrong rank": (v1_tensor(shape=[36]), oip_tensor(shape=[36]), Code.INVALID_ARGUMENT, "rank 1.*batch, time"),
    "rank of another kind of model": (
        v1_tensor(shape=[18, 2]),
        oip_tensor(shape=[18, 2]),
        Code.INVALID_ARGUMENT,
        r"\[18, 2\].*\[batch, time, 2\]",
    ),
    "wrong number of features": (
        v1_tensor(shape=[3, 4, 3]),
        oip_tensor(shape=[3, 4, 3]),
        Code.INVALID_ARGUMENT,
        r"\[3, 4, 3\].*\[batch, time, 2\]",
    ),
    "negative size": (
        v1_tensor(shape=[-3, -6, 2]),
        oip_tensor(shape=[-3, -6, 2]),
        Code.INVALID_ARGUMENT,
        r"\[-3, -6, 2\].*at least 1",
    ),
    "sizes whose product overflows 64 bits to the right number": (
        v1_tensor(shape=[3 + 2**61, 6, 2]),
        oip_tensor(shape=[3 + 2**61, 6, 2]),
        Code.INVALID_ARGUMENT,
        "144 bytes; expected",
    ),
    "too few bytes": (
        v1_tensor(data=WINDOWS.tobytes()[:-1]),
        oip_tensor(raw=[WINDOWS.tobytes()[:-1]]),
        Code.INVALID_ARGUMENT,
        "143 bytes; expected 144",
    ),
    "too many bytes": (
        v1_tensor(data=WINDOWS.tobytes() + b"\0\0\0\0"),
        oip_tensor(raw=[WINDOWS.tobytes() + b"\0\0\0\0"]),
        Code.INVALID_ARGUMENT,
        "148 bytes; expected 144",
    ),
    "no tensor": (
        score_request(WINDOWS, window=None),
        infer_request(WINDOWS, inputs=[], raw_input_contents=[]),
        Code.INVALID_ARGUMENT,
        "expected.*'window'",
    ),
    "NaN": (
        score_request(with_value(np.nan)),
        infer_request(with_value(np.nan)),
        Code.INVALID_ARGUMENT,
        r"\[1, 2, 1\].*finite",
    ),
    "infinity": (
        score_request(with_value(-np.inf)),
        infer_request(with_value(-np.inf)),
        Code.INVALID_ARGUMENT,
        r"\[1, 2, 1\].*finite",
    ),
    "batch 0": (
        v1_tensor(shape=[0, 6, 2], data=b""),
        oip_tensor(shape=[0, 6, 2], raw=[b""]),
        Code.INVALID_ARGUMENT,
        r"\[0, 6, 2\].*batch included",
    ),
    "more batches than the queue has room for": (
        score_request(random_windows(33)),
        infer_request(random_windows(33)),
        Code.INVALID_ARGUMENT,
        "5 batches.*max_queue_size = 4 of up to max_batch_size = 8 windows",
    ),
    "unknown output": (
        score_request(WINDOWS, ["forecast"]),
        infer_request(WINDOWS, ["forecast"]),
        Code.INVALID_ARGUMENT,
        "'forecast'.*anomaly_score",
    ),
    "repeated output": (
        score_request(WINDOWS, ["is_anomaly", "is_anomaly"]),
        infer_request(WINDOWS, ["is_anomaly", "is_anomaly"]),
        Code.INVALID_ARGUMENT,
        "at most once",
    ),
}


@pytest.fixture(params=["python", "codec"])
def server(serve: Serve, request: pytest.FixtureRequest, tmp_path: Path) -> LiveServer:
    """A server on either path; the codec knows the form of the good request that each wrong one was made from."""
    limits = {"max_batch_size": 8, "max_queue_size": 4}
    if request.param == "python":
        return serve(make_scorer(), **limits)
    server = serve(native_scorer(tmp_path), **limits, max_inline_us=1_000_000)
    for _ in range(3):
        score(server.channel, score_request(WINDOWS, ["is_anomaly"]))
        score(server.channel, score_request(WINDOWS))
        infer(server.channel, infer_request(WINDOWS))
    return server


def refusal(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_request_is_refused_by_name_in_both_protocols(server: LiveServer, wrong: str) -> None:
    native, inference, code, message = WRONG[wrong]
    for told in (
        refusal(lambda: score(server.channel, native)),
        refusal(lambda: infer(server.channel, inference)),
    ):
        assert told[0] is code, told
        assert re.search(message, told[1]), told


@pytest.mark.parametrize("method", [SCORE, INFER])
@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x02\xff\xfe"], ids=["no message", "bad UTF-8"])
def test_bytes_that_are_no_message_are_an_invalid_argument(server: LiveServer, method: str, data: bytes) -> None:
    code, message = refusal(lambda: server.channel.unary_unary(method)(data, timeout=60))
    assert code is Code.INVALID_ARGUMENT
    assert re.search("bytes that are no (offbeat.v1.ScoreRequest|inference.ModelInferRequest)", message)


def test_a_message_with_a_huge_name_is_refused_in_few_words(server: LiveServer) -> None:
    code, message = refusal(lambda: score(server.channel, score_request(WINDOWS, model="ü" * 1_000_000)))
    assert code is Code.NOT_FOUND
    assert len(message) < 1000


def test_a_message_above_the_limit_is_refused_by_grpc(serve: Serve) -> None:
    server = serve(make_scorer(), max_message_bytes=1024)
    code, message = refusal(lambda: score(server.channel, score_request(random_windows(100))))
    assert code is Code.RESOURCE_EXHAUSTED
    assert "larger than max" in message


def test_an_answer_above_the_limit_is_refused_and_the_sizes_told(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(make_scorer(), max_message_bytes=4096)
    windows = random_windows(80)
    for told in (
        refusal(lambda: score(server.channel, score_request(windows, OUTPUTS))),
        refusal(lambda: infer(server.channel, infer_request(windows, OUTPUTS))),
    ):
        assert told[0] is Code.INVALID_ARGUMENT
        assert re.search(r"the answer would have \d{4} bytes; expected at most max_message_bytes = 4096", told[1])
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_full_queue_is_resource_exhausted_and_tells_the_counts(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_queue_size=2)
    running = score_later(server.channel, score_request(WINDOWS))
    assert backend.entered.acquire(timeout=60)
    waiting = [score_later(server.channel, score_request(WINDOWS)) for _ in range(2)]
    queue = server.server._models.find("level").queue
    eventually(lambda: len(queue) == 2, "two requests in the queue")
    code, message = refusal(lambda: score(server.channel, score_request(WINDOWS)))
    assert code is Code.RESOURCE_EXHAUSTED
    assert "2 requests are waiting; expected fewer than max_queue_size = 2" in message
    backend.gate.set()
    for call in (running, *waiting):
        assert call.result(60)


def test_a_deadline_that_passes_in_the_queue_is_told_and_the_work_never_run(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    code, _ = refusal(lambda: score(server.channel, score_request(random_windows(2)), timeout=0.1))
    assert code is Code.DEADLINE_EXCEEDED
    queue = server.server._models.find("level").queue
    eventually(lambda: len(queue) == 0, "the expired request has left the queue")
    backend.gate.set()
    assert running.result(60)
    assert score(server.channel, score_request(random_windows(3)))
    assert backend.batches == [1, 3]


def test_a_cancelled_request_leaves_the_queue_before_a_batch_is_formed(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    cancelled, kept = (score_later(server.channel, score_request(random_windows(n))) for n in (2, 3))
    queue = server.server._models.find("level").queue
    eventually(lambda: len(queue) == 2, "both are queued")
    cancelled.cancel()
    eventually(lambda: len(queue) == 1, "the cancelled one has left")
    backend.gate.set()
    assert running.result(60)
    assert kept.result(60)
    assert backend.batches == [1, 3]


def test_a_client_that_vanishes_takes_its_queued_requests_along(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    vanishing = grpc.insecure_channel(server.target)
    calls = [score_later(vanishing, score_request(random_windows(1)))]
    assert backend.entered.acquire(timeout=60)
    calls += [score_later(vanishing, score_request(random_windows(2))) for _ in range(5)]
    queue = server.server._models.find("level").queue
    eventually(lambda: len(queue) == 5, "all are queued")
    vanishing.close()
    eventually(lambda: len(queue) == 0, "none is queued")
    backend.gate.set()
    assert score(server.channel, score_request(random_windows(3)))
    assert backend.batches == [1, 3]
    assert caplog.records == []


def test_a_draining_server_is_unavailable(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend))
    running = score_later(server.channel, score_request(WINDOWS))
    assert backend.entered.acquire(timeout=60)
    draining = threading.Thread(target=server.drain)
    draining.start()
    eventually(lambda: server.server._drain.is_draining, "draining")
    for told in (
        refusal(lambda: score(server.channel, score_request(WINDOWS))),
        refusal(lambda: infer(server.channel, infer_request(WINDOWS))),
    ):
        assert told[0] is Code.UNAVAILABLE
        assert "draining" in told[1]
    backend.gate.set()
    draining.join(60)
    assert running.result(60)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("secret path /etc"), ZeroDivisionError(), SystemExit(1)],
    ids=lambda error: type(error).__name__,
)
def test_a_failing_backend_is_internal_with_an_id_that_the_log_repeats(
    serve: Serve, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    server = serve(make_scorer(FailingBackend(666.0, error)))
    with caplog.at_level(logging.ERROR, "offbeat.server"):
        code, message = refusal(lambda: score(server.channel, score_request(with_value(666.0))))
    assert code is Code.INTERNAL
    assert "secret" not in message
    found = re.search(r"model 'level' version 1 on numpy \(test\) failed.*incident ([0-9a-f]{8})", message)
    assert found, message
    [record] = caplog.records
    assert f"incident {found[1]}" in record.message
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert score(server.channel, score_request(WINDOWS)).outputs


def test_a_backend_that_returns_rows_of_others_fails_instead(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    class ShortBackend(NumpyBackend):
        def run(self, window: Any, outputs: Any) -> Any:
            return {name: array[:-1] for name, array in super().run(window, outputs).items()}

    server = serve(make_scorer(ShortBackend()))
    code, message = refusal(lambda: score(server.channel, score_request(WINDOWS)))
    assert code is Code.INTERNAL
    assert "2 rows for 3 windows" not in message
    assert "2 rows for 3 windows" in caplog.text
