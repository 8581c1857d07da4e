"""Batches that do not come back, and an event loop that does not turn."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from offbeat.errors import ConfigurationError
from offbeat.inference import open_inference_pb2 as oip
from offbeat.server.scoring import watch
from offbeat.server.scoring.watch import Watch
from offbeat.server.scoring.workers import WorkerPool
from tests.runtime.folders import random_windows, write_version

from .admin import SERVICE, code_of, index, unload
from .calls import ask, score, score_later, score_request
from .fakes import GatedBackend, NumpyBackend, make_scorer
from .live import LiveServer, Serve, config, eventually
from .metrics_port import get, samples

SERVING = health_pb2.HealthCheckResponse.SERVING


class OnceGatedBackend(GatedBackend):
    """Hangs where a window has the value 666, until the test opens the gate."""

    def run(self, window: Any, outputs: Any) -> Any:
        if (window == 666).any():
            return super().run(window, outputs)
        return NumpyBackend.run(self, window, outputs)


def hanging_request(**fields: Any) -> Any:
    windows = random_windows(1)
    windows[0, 0, 0] = 666
    return score_request(windows, **fields)


def is_healthy(server: LiveServer, name: str = "") -> bool:
    request = health_pb2.HealthCheckRequest(service=name)
    told = ask(server.channel, "/grpc.health.v1.Health/Check", request, health_pb2.HealthCheckResponse)
    return bool(told.status == SERVING)


def is_ready(server: LiveServer, name: str = "level") -> tuple[bool, bool]:
    """The server's and the model's word."""
    whole = ask(server.channel, f"{SERVICE}/ServerReady", oip.ServerReadyRequest(), oip.ServerReadyResponse)
    request = oip.ModelReadyRequest(name=name)
    return whole.ready, ask(server.channel, f"{SERVICE}/ModelReady", request, oip.ModelReadyResponse).ready


def refusal(server: LiveServer, **fields: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        score(server.channel, score_request(random_windows(1), **fields))
    return code_of(caught.value), str(caught.value.details())  # type: ignore[attr-defined]


def test_a_batch_that_hangs_ends_its_requests_and_takes_its_model_out_until_it_comes_back(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    backend = OnceGatedBackend()
    server = serve(make_scorer(backend), make_scorer(name="other"), max_compute_s=0.3, max_inline_us=0, metrics_port=0)
    running = score_later(server.channel, hanging_request())
    assert backend.entered.acquire(timeout=60)
    waiting = score_later(server.channel, score_request(random_windows(1)))
    other = score_later(server.channel, score_request(random_windows(1), model="other"))
    assert running.code() is grpc.StatusCode.INTERNAL
    assert "incident" in running.details()
    assert waiting.code() is grpc.StatusCode.UNAVAILABLE
    assert "a batch hangs: not done within max_compute_s = 0.3" in waiting.details()
    assert "in run" in caplog.text, "the log says where it hangs"

    assert other.code() is grpc.StatusCode.OK
    assert refusal(server)[0] is grpc.StatusCode.UNAVAILABLE
    assert is_ready(server) == (False, False)
    assert [is_healthy(server, name) for name in ("", "level", "other")] == [False, False, True]
    assert index(server)["level", "1"][0] == "UNAVAILABLE"
    assert get(server, "/readyz")[0] == 503
    status, text = get(server, "/healthz")
    assert (status, text[:25]) == (503, "model 'level' version 1: ")
    assert samples(server, "offbeat_hung_versions") == [1]

    backend.gate.set()
    eventually(lambda: is_ready(server) == (True, True), "the model is back")
    assert score(server.channel, score_request(random_windows(1))).outputs
    assert is_healthy(server)
    assert get(server, "/healthz") == (200, "ok\n")


def test_every_worker_may_hang_and_the_model_is_back_when_the_last_one_is(serve: Serve) -> None:
    backend = OnceGatedBackend()
    server = serve(make_scorer(backend), max_compute_s=0.2, max_inline_us=0, n_workers=2, max_batch_size=1)
    calls = [score_later(server.channel, hanging_request()) for _ in range(2)]
    assert [call.code() for call in calls] == [grpc.StatusCode.INTERNAL] * 2
    assert refusal(server)[0] is grpc.StatusCode.UNAVAILABLE
    backend.gate.set()
    eventually(lambda: is_ready(server) == (True, True), "the model is back")
    for _ in range(4):
        assert score(server.channel, score_request(random_windows(1))).outputs
    workers = [each for each in server.server._workers._threads if each.is_alive()]
    assert len(workers) == 2


def test_a_model_that_hangs_can_be_unloaded_and_does_not_come_back(serve: Serve, tmp_path: Path) -> None:
    write_version(tmp_path)
    server = serve(path=tmp_path, max_compute_s=0.2, max_inline_us=0, model_control_mode="explicit", load_model=("*",))
    model = server.server._models.find("level")
    backend = OnceGatedBackend()
    model.scorer = make_scorer(backend)
    assert score_later(server.channel, hanging_request()).code() is grpc.StatusCode.INTERNAL
    unload(server)
    assert is_ready(server) == (True, False)
    backend.gate.set()
    eventually(lambda: model.n_hung == 0, "the batch is back")
    assert is_ready(server) == (True, False)
    assert not backend.is_closed


def test_a_batch_within_the_limit_is_left_alone_and_so_is_any_without_one(serve: Serve) -> None:
    for limit_s in (2.0, 0.0):
        backend = GatedBackend()
        server = serve(make_scorer(backend), max_compute_s=limit_s, max_inline_us=0)
        running = score_later(server.channel, score_request(random_windows(1)))
        assert backend.entered.acquire(timeout=60)
        time.sleep(0.4)
        assert is_ready(server) == (True, True)
        backend.gate.set()
        assert running.result(60)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_dies_loses_no_request_and_is_replaced(serve: Serve) -> None:
    server = serve(make_scorer(), max_compute_s=0.3, max_inline_us=0)
    assert score(server.channel, score_request(random_windows(1))).outputs
    [worker] = server.server._workers._threads
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident or 0), ctypes.py_object(SystemExit))
    # It ends as soon as it wakes up, with the task that woke it.
    call = score_later(server.channel, score_request(random_windows(1)))
    assert call.code() in (grpc.StatusCode.OK, grpc.StatusCode.INTERNAL)
    eventually(lambda: not worker.is_alive(), "the worker has ended")
    eventually(lambda: server.server._workers._threads != {worker}, "it is replaced")
    eventually(lambda: is_ready(server) == (True, True), "ready")
    assert score(server.channel, score_request(random_windows(1))).outputs


def test_a_process_that_was_stopped_is_not_called_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stopped() -> None:
        gate, done = threading.Event(), asyncio.Event()
        pool = WorkerPool(1)
        pool.start()
        guard = Watch(pool, 0.5)
        guard.start()
        result = pool.call(lambda: gate.wait(10))
        await asyncio.sleep(0.1)
        time.sleep(1.0)
        await asyncio.sleep(0.1)
        gate.set()
        assert await asyncio.wait_for(result, 10)
        done.set()
        guard.stop()
        pool.stop()

    asyncio.run(stopped())


def test_an_event_loop_that_hangs_is_told_in_the_log_with_its_place(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "_MAX_TURN_S", 2.0)

    async def hang() -> None:
        guard = Watch(WorkerPool(1), 10)
        guard.start()
        await asyncio.sleep(0.3)
        assert caplog.text == ""
        monkeypatch.setattr(watch, "_MAX_TURN_S", 0.1)
        eventually(lambda: caplog.text != "", "it is told")
        guard.stop()

    with caplog.at_level(logging.CRITICAL, "offbeat.server"):
        asyncio.run(hang())
    assert "the event loop has hung for" in caplog.text
    assert "in eventually" in caplog.text


@pytest.mark.parametrize("limit_s", [-1.0, 0.01, 1e6, float("nan")])
def test_a_limit_out_of_range_is_refused(limit_s: float) -> None:
    with pytest.raises(ConfigurationError, match="max_compute_s is"):
        config(max_compute_s=limit_s)
