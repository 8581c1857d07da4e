"""What is asked for over REST and cannot be answered, and the status and words that tell it."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pytest

from offbeat import errors
from offbeat.errors import OffbeatError
from offbeat.server.http.rest_status import http_status
from tests.runtime.folders import random_windows

from .fakes import FailingBackend, GatedBackend
from .live import LiveServer, Serve, eventually
from .metrics_port import samples
from .rest_client import INFER, ask, infer_json, rest

WINDOWS = random_windows(3)


def spoilt(**fields: Any) -> dict[str, Any]:
    body = infer_json(WINDOWS)
    body["inputs"][0] |= fields
    return body


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "no such request in JSON"),
        (b"{", "no such request in JSON"),
        (b"\xff\xfe", "no such request in JSON"),
        (b"[" * 10**6, "no such request in JSON"),
        (
            b'{"inputs":[{"name":"window","datatype":"FP32","shape":[1],"data":' + b"[" * 10**5 + b"]" * 10**5 + b"}]}",
            "",
        ),
        ([], "Expected `object`"),
        ({"inputs": []}, "0 input tensors; expected one"),
        ({"inputs": infer_json(WINDOWS)["inputs"] * 2}, "2 input tensors"),
        (spoilt(name="x"), "named 'x'"),
        (spoilt(datatype="INT64"), "datatype 'INT64'"),
        (spoilt(shape=[3]), "rank 1"),
        (spoilt(shape=[]), "rank 0"),
        (spoilt(shape=[-3, 6, 2]), "sizes of at least 1"),
        (spoilt(shape=[2**70, 6, 2]), "no message can hold"),
        (spoilt(shape=[1.5, 6, 2]), "Expected `int`"),
        (spoilt(data=[1.0]), "expected 144"),
        (spoilt(data=[]), "holds 0 bytes"),
        (spoilt(data=["1"] * 36), "expected numbers"),
        (spoilt(data=[True] * 36), "expected numbers"),
        (spoilt(data=[1.0] * 5 + ["2"] * 31), "got `str` - at `$[5]`"),
        (spoilt(data=[[[1.0, 2.0], [3.0, "4"]]]), "got `str` - at `$[0][1][1]`"),
        (spoilt(data=[None] * 36), "expected numbers"),
        (
            {
                "inputs": [
                    {
                        "name": "window",
                        "datatype": "FP32",
                        "shape": [3, 6, 2],
                        "parameters": {"shared_memory_region": "r"},
                    }
                ]
            },
            "input 'window' has parameter 'shared_memory_region'",
        ),
        (
            infer_json(WINDOWS) | {"outputs": [{"name": "is_anomaly", "parameters": {"binary_data": "false"}}]},
            "output 'is_anomaly' has binary_data 'false'; expected true or false",
        ),
        (infer_json(WINDOWS) | {"parameters": {"binary_data_output": 1}}, "the request has binary_data_output 1"),
        (spoilt(data=[[1.0]]), "expected numbers, flat or nested"),
        (spoilt(data=[[[1.0, 2.0], [3.0]]]), "rows of several lengths"),
        (spoilt(data=[[[1.0, 2.0]]]), "of shape [1, 1, 2]; expected [3, 6, 2]"),
        (spoilt(data=[float("nan")] * 36), "malformed"),
        (spoilt(data=[1e300] * 36), "beyond float32"),
        (spoilt(parameters={"binary_data_size": 3}), "has data and binary_data_size"),
        (spoilt(parameters={"x": {}}), "no such request in JSON"),
        (infer_json(WINDOWS, ["nothing"]), "nothing"),
        (infer_json(WINDOWS, parameters={"sequence_id": 1}), "sequence_id"),
        (infer_json(WINDOWS, parameters={"timeout": -1}), "timeout"),
        (infer_json(WINDOWS, parameters={"priority": 2**70}), "no message can hold"),
    ],
)
def test_a_request_that_does_not_fit_is_told_why_and_nothing_breaks(
    rest_server: LiveServer, body: object, told: str
) -> None:
    status, answer = ask(rest_server, INFER, body)
    assert status == 400
    assert told in answer["error"]
    assert ask(rest_server, INFER, infer_json(WINDOWS))[0] == 200


@pytest.mark.parametrize("size", [-1, 10**9, 143, "144", True, 1.5])
def test_binary_sizes_that_lie_are_refused(rest_server: LiveServer, size: object) -> None:
    body = spoilt(parameters={"binary_data_size": size})
    del body["inputs"][0]["data"]
    head = json.dumps(body).encode()
    for length in (str(len(head)), "-1", "x", "9" * 30, str(len(head) + 1000)):
        headers = {"Inference-Header-Content-Length": length}
        assert ask(rest_server, INFER, head + WINDOWS.tobytes(), **headers)[0] == 400


def test_the_error_table_holds(serve: Serve) -> None:
    server = rest(serve, FailingBackend(666.0, RuntimeError("secret")), max_queue_size=1)
    assert ask(server, "/v2/models/nobody/infer", infer_json(WINDOWS))[0] == 404
    assert ask(server, "/v2/models/level/versions/9/infer", infer_json(WINDOWS))[0] == 404
    assert ask(server, "/v2/nothing") == (404, {"error": "no such path; expected one like /v2/models/{model}/infer"})
    assert ask(server, INFER)[0] == 405
    status, told = ask(server, INFER, infer_json(np.full((1, 6, 2), 666.0, np.float32)))
    assert status == 500
    assert "incident" in told["error"]
    assert "secret" not in told["error"]


def test_every_error_has_a_status_of_http() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, OffbeatError)]
    told = {kind.__name__: http_status(kind("x")) for kind in kinds}
    assert all(400 <= status < 600 for status in told.values())
    assert (told["UnknownModelError"], told["OverloadedError"], told["BundleError"]) == (404, 429, 500)


def test_a_full_queue_a_passed_time_and_a_drain_are_told(serve: Serve) -> None:
    backend = GatedBackend()
    server = rest(serve, backend, max_queue_size=1, max_inline_us=0)
    answers: list[tuple[int, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(server, INFER, infer_json(WINDOWS)))) for _ in range(2)
    ]
    threads[0].start()
    assert backend.entered.acquire(timeout=60)
    assert ask(server, INFER, infer_json(WINDOWS, parameters={"timeout": 20_000}))[0] == 504
    threads[1].start()
    eventually(lambda: samples(server, "offbeat_queue_depth") == [1], "one waits")
    assert ask(server, INFER, infer_json(WINDOWS))[0] == 429
    drain = threading.Thread(target=server.drain)
    drain.start()
    eventually(lambda: server.server._drain.is_draining, "draining")
    assert ask(server, INFER, infer_json(WINDOWS))[0] == 503
    assert ask(server, "/v2/health/ready") == (503, {"ready": False})
    assert samples(server, "offbeat_requests_total", method="RestInfer", status="RESOURCE_EXHAUSTED") == [1]
    backend.gate.set()
    for thread in (*threads, drain):
        thread.join(60)
    assert [status for status, _ in answers] == [200, 200], "what was accepted is answered"


def test_an_answer_above_the_largest_message_is_refused(serve: Serve) -> None:
    server = rest(serve, max_message_bytes=1024)
    windows = np.ones((8, 6, 2), np.float32)
    status, told = ask(server, INFER, infer_json(windows, ["reconstruction", "step_error", "feature_error"]))
    assert status == 400
    assert "max_message_bytes" in told["error"]
