"""The REST form of the Open Inference Protocol, as curl would ask for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from offbeat import errors
from offbeat.errors import ConfigurationError, OffbeatError
from offbeat.security_config import SecurityConfig
from offbeat.server import http_server, rest_body
from offbeat.server.rest_messages import MAX_JSON_BYTES
from offbeat.server.rest_status import http_status
from tests.runtime.folders import expected_outputs, random_windows, write_version

from .fakes import FailingBackend, GatedBackend, NumpyBackend, make_scorer
from .live import LiveServer, Loop, Serve, config, eventually, serving
from .metrics_port import samples
from .rest_client import INFER, ask, exchange, infer_json, raw, received

WINDOWS = random_windows(3)


def rest(serve: Serve, backend: NumpyBackend | None = None, **settings: Any) -> LiveServer:
    return serve(make_scorer(backend), **{"metrics_port": 0, "rest": True, **settings})


@pytest.fixture(scope="module")
def server(loop: Loop) -> Iterator[LiveServer]:
    """One for all requests that change nothing; each must find it as the one before did."""
    with serving(loop) as serve:
        yield rest(serve)


def scores(told: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: np.array(each["data"]).reshape(each["shape"]) for each in told["outputs"]}


@pytest.mark.parametrize("is_nested", [False, True])
def test_windows_are_scored_flat_or_nested_and_to_the_bit(server: LiveServer, is_nested: bool) -> None:
    body = infer_json(WINDOWS, ["anomaly_score", "is_anomaly", "step_error"], id="7")
    if is_nested:
        body["inputs"][0]["data"] = WINDOWS.tolist()
    status, headers, content = exchange(server, INFER, body)
    told = json.loads(content)
    assert (status, told["model_name"], told["model_version"], told["id"]) == (200, "level", "1", "7")
    assert "backend=numpy (test)" in headers["offbeat-timing"]
    assert [(each["name"], each["datatype"]) for each in told["outputs"]] == [
        ("anomaly_score", "FP32"),
        ("is_anomaly", "BOOL"),
        ("step_error", "FP32"),
    ]
    expected = expected_outputs(WINDOWS)
    for name, array in scores(told).items():
        np.testing.assert_array_equal(array.astype(expected[name].dtype), expected[name])


def test_without_outputs_the_default_ones_come_and_without_an_id_none(server: LiveServer) -> None:
    _, told = ask(server, "/v2/models/level/versions/1/infer", infer_json(WINDOWS))
    assert [each["name"] for each in told["outputs"]] == ["reconstruction_error", "anomaly_score", "is_anomaly"]
    assert "id" not in told


def test_binary_tensors_travel_behind_the_json_both_ways(server: LiveServer) -> None:
    data = WINDOWS.tobytes()
    body = infer_json(WINDOWS, ["anomaly_score", "is_anomaly"])
    del body["inputs"][0]["data"]
    body["inputs"][0]["parameters"] = {"binary_data_size": len(data)}
    body["outputs"][0]["parameters"] = {"binary_data": True}
    head = json.dumps(body).encode()
    status, headers, content = exchange(
        server, INFER, head + data, **{"Inference-Header-Content-Length": str(len(head))}
    )
    assert (status, headers["content-type"]) == (200, "application/octet-stream")
    length = int(headers["inference-header-content-length"])
    score, anomaly = json.loads(content[:length])["outputs"]
    assert score["parameters"] == {"binary_data_size": 4 * len(WINDOWS)}
    expected = expected_outputs(WINDOWS)
    np.testing.assert_array_equal(np.frombuffer(content[length:], "<f4"), expected["anomaly_score"])
    assert anomaly["data"] == expected["is_anomaly"].tolist()


def test_scores_beyond_float32_are_null(serve: Serve) -> None:
    class EndlessBackend(NumpyBackend):
        def run(self, window: Any, outputs: Any) -> Any:
            return {name: np.full(len(window), np.inf, np.float32) for name in outputs}

    status, told = ask(rest(serve, EndlessBackend()), INFER, infer_json(WINDOWS, ["reconstruction_error"]))
    assert (status, told["outputs"][0]["data"]) == (200, [None] * 3)


def test_the_server_and_its_models_are_described(serve: Serve, tmp_path: Path) -> None:
    write_version(tmp_path)
    server = serve(path=tmp_path, metrics_port=0, rest=True)
    assert ask(server, "/v2")[1]["name"] == "offbeat"
    assert ask(server, "/v2/health/live") == (200, {"live": True})
    assert ask(server, "/v2/health/ready") == (200, {"ready": True})
    status, told = ask(server, "/v2/models/level")
    assert (status, told["versions"], told["inputs"]) == (
        200,
        ["1"],
        [{"name": "window", "datatype": "FP32", "shape": [-1, -1, 2]}],
    )
    assert ask(server, "/v2/models/level/versions/1")[1] == told
    assert ask(server, "/v2/models/level/ready") == (200, {"name": "level", "ready": True})
    assert ask(server, "/v2/models/level/versions/2/ready") == (503, {"name": "level", "ready": False})
    assert ask(server, "/v2/models/level/config")[1]["max_batch_size"] == 512
    assert ask(server, "/v2/models/stats")[1] == ask(server, "/v2/models/level/stats")[1]
    assert ask(server, "/v2/repository/index", b"")[1] == [
        {"name": "level", "version": "1", "state": "READY", "reason": ""}
    ]


def test_models_are_loaded_and_unloaded(serve: Serve, tmp_path: Path) -> None:
    for version in (1, 2):
        write_version(tmp_path, "level", version)
    server = serve(path=tmp_path, model_control_mode="explicit", metrics_port=0, rest=True)
    policy = json.dumps({"version_policy": {"specific": {"versions": [1]}}})
    assert ask(server, "/v2/repository/models/level/load", {"parameters": {"config": policy}})[0] == 200
    assert ask(server, "/v2/models/level")[1]["versions"] == ["1"]
    assert ask(server, "/v2/repository/models/level/load", {"parameters": {"file:1": "x"}})[0] == 400
    assert ask(server, "/v2/repository/models/level/unload", b"")[0] == 200
    assert ask(server, INFER, infer_json(WINDOWS))[0] == 404
    assert ask(server, "/v2/repository/models/nobody/load", b"")[0] == 404


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
    server: LiveServer, body: object, told: str
) -> None:
    status, answer = ask(server, INFER, body)
    assert status == 400
    assert told in answer["error"]
    assert ask(server, INFER, infer_json(WINDOWS))[0] == 200


@pytest.mark.parametrize("size", [-1, 10**9, 143, "144", True, 1.5])
def test_binary_sizes_that_lie_are_refused(server: LiveServer, size: object) -> None:
    body = spoilt(parameters={"binary_data_size": size})
    del body["inputs"][0]["data"]
    head = json.dumps(body).encode()
    for length in (str(len(head)), "-1", "x", "9" * 30, str(len(head) + 1000)):
        headers = {"Inference-Header-Content-Length": length}
        assert ask(server, INFER, head + WINDOWS.tobytes(), **headers)[0] == 400


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
    assert backend.entered.acquire(timeout=10)
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
        thread.join(10)
    assert [status for status, _ in answers] == [200, 200], "what was accepted is answered"


def test_a_client_that_vanishes_takes_its_request_along(serve: Serve) -> None:
    backend = GatedBackend()
    server = rest(serve, backend, max_inline_us=0)
    body = json.dumps(infer_json(WINDOWS)).encode()
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    running, waiting = raw(server, head + body), raw(server, head + body)
    assert backend.entered.acquire(timeout=10)
    eventually(lambda: samples(server, "offbeat_queue_depth") == [1], "one waits")
    waiting.close()
    eventually(lambda: samples(server, "offbeat_queue_depth") == [0], "it has left")
    running.close()
    backend.gate.set()
    assert samples(server, "offbeat_requests_total", method="RestInfer", status="CANCELLED")


def test_bodies_that_are_too_large_half_or_slow_are_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_body, "_BODY_S", 0.2)
    server = rest(serve, max_message_bytes=4096)
    assert ask(server, INFER, b" " * 5000)[0] == 413
    chunked = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    with raw(server, chunked + (b"400\r\n" + b" " * 1024 + b"\r\n") * 8) as lying:
        assert b" 413 " in received(lying).partition(b"\r\n")[0]
    half = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nConnection: close\r\n\r\n".encode() + b"{"
    with raw(server, half) as slow:
        assert b" 408 " in received(slow).partition(b"\r\n")[0]
    assert ask(server, INFER, b"x", **{"Content-Encoding": "gzip"})[0] == 415
    for _ in range(20):
        raw(server, half).close()
    assert ask(server, INFER, infer_json(WINDOWS))[0] == 200
    big = ask(rest(serve), INFER, b" " * (MAX_JSON_BYTES + 1))
    assert big[0] == 400
    assert "binary data" in big[1]["error"]


def test_an_answer_above_the_largest_message_is_refused(serve: Serve) -> None:
    server = rest(serve, max_message_bytes=1024)
    windows = np.ones((8, 6, 2), np.float32)
    status, told = ask(server, INFER, infer_json(windows, ["reconstruction", "step_error", "feature_error"]))
    assert status == 400
    assert "max_message_bytes" in told["error"]


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
def test_noise_is_refused_and_the_next_request_is_answered(server: LiveServer, noise: bytes) -> None:
    with raw(server) as connection:
        connection.settimeout(0.5)
        answer = b""
        with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            connection.sendall(noise)
            answer = connection.recv(65536)
        assert b" 500 " not in answer.partition(b"\r\n")[0]
    assert ask(server, INFER, infer_json(WINDOWS))[0] == 200


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
    monkeypatch.setattr(http_server, "_HEADERS_S", 0.3)
    monkeypatch.setattr(http_server, "_STALL_S", 0.3)
    server = rest(serve)
    with raw(server, b"GET /v2 HTTP/1.1\r\n") as trickling:
        eventually(lambda: not trickled(trickling), "it is cut off")
    windows = random_windows(2000)
    body = json.dumps(infer_json(windows, ["reconstruction"])).encode()
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    # More than the system keeps for a reader.
    with raw(server) as deaf, pytest.raises((BrokenPipeError, ConnectionResetError)):
        deaf.sendall((head + body) * 100)
    assert ask(server, INFER, infer_json(WINDOWS))[0] == 200


def test_many_silent_connections_hold_up_nobody_for_long(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_HEADERS_S", 0.3)
    monkeypatch.setattr(http_server, "_MAX_CONNECTIONS", 20)
    server = rest(serve)
    silent = [raw(server) for _ in range(60)]
    time.sleep(0.5)
    assert [received(each) for each in silent] == [b""] * 60
    assert ask(server, INFER, infer_json(WINDOWS))[0] == 200
    for each in silent:
        each.close()


USER, ADMIN = "user-0123456789abcdef", "root-0123456789abcdef"


def test_tokens_are_asked_for_and_admins_are_told_from_users(serve: Serve, tmp_path: Path) -> None:
    write_version(tmp_path / "models")
    (tmp_path / "tokens").write_text(f"{USER}\nadmin:{ADMIN}\n")
    server = serve(
        path=tmp_path / "models",
        model_control_mode="explicit",
        load_model=("*",),
        security=SecurityConfig(token_file=tmp_path / "tokens"),
        metrics_port=0,
        rest=True,
    )
    body = infer_json(WINDOWS)
    for path in ("/v2", "/v2/health/live", "/v2/models/level", INFER, "/v2/repository/index"):
        data = body if path == INFER else b"" if path.endswith("index") else None
        assert ask(server, path, data)[0] == 401, path
        assert ask(server, path, data, Authorization="Bearer nonsense-nonsense")[0] == 401
        assert ask(server, path, data, Authorization=f"Bearer {USER}")[0] == 200
    unload = "/v2/repository/models/level/unload"
    assert ask(server, unload, b"", Authorization=f"Bearer {USER}")[0] == 403
    assert ask(server, unload, b"", Authorization=f"Bearer {ADMIN}")[0] == 200
    assert exchange(server, "/healthz")[0] == exchange(server, "/metrics")[0] == 200


def test_rest_is_there_only_when_it_is_asked_for(serve: Serve) -> None:
    assert exchange(serve(make_scorer(), metrics_port=0), "/v2")[0] == 404
    with pytest.raises(ConfigurationError, match="rest is True; expected metrics_port"):
        config(rest=True)


def test_an_engine_that_hangs_on_the_loop_makes_rest_unavailable(serve: Serve) -> None:
    gate = threading.Event()
    server = rest(serve)
    hang = server._loop._loop
    hang.call_soon_threadsafe(gate.wait, 10)
    assert ask(server, "/v2/health/live")[0] == 503
    gate.set()
    assert ask(server, "/v2/health/live")[0] == 200
    assert grpc.channel_ready_future(server.channel).result(10) is None


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head(server: LiveServer) -> None:
    body = json.dumps(infer_json(WINDOWS))
    connection = http.client.HTTPConnection("127.0.0.1", server.server.metrics_port, timeout=10)
    seconds = []
    with contextlib.closing(connection):
        for _ in range(21):
            started = time.monotonic()
            connection.request("POST", INFER, body)
            assert connection.getresponse().read()
            seconds.append(time.monotonic() - started)
    assert statistics.median(seconds) < 0.03, "the system's delay is 0.04 s"
