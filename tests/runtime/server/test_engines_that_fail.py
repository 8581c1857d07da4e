"""Engines that fail with whatever they are given, as on a GPU that is gone, and those that fail with one window."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest

from offbeat.result import FloatArray
from offbeat.server.scoring import dispatcher
from tests.runtime.folders import random_windows, write_version

from .admin import index, unload
from .calls import score, score_later, score_request
from .fakes import FailingBackend, GatedBackend, NumpyBackend, Outputs, make_scorer
from .live import Serve, eventually
from .metrics_port import get, samples
from .test_watch import is_healthy, is_ready, refusal

# In a worker's thread, and where the request is received.
_PLACES = pytest.mark.parametrize("max_inline_us", [0, 1_000_000])


class BreakingBackend(NumpyBackend):
    """Fails with everything while it is broken."""

    def __init__(self) -> None:
        super().__init__()
        self.is_broken = False

    def run(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
        if self.is_broken:
            raise RuntimeError("CUDA error 700")
        return super().run(window, outputs)


@_PLACES
def test_an_engine_that_fails_with_everything_is_out_of_service_until_it_works_again(
    serve: Serve, max_inline_us: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatcher, "_EXAMINE_S", 0.05)
    backend = BreakingBackend()
    server = serve(make_scorer(backend), make_scorer(name="other"), max_inline_us=max_inline_us, metrics_port=0)
    assert score(server.channel, score_request(random_windows(1))).outputs
    backend.is_broken = True
    code, details = refusal(server)
    assert code is grpc.StatusCode.INTERNAL
    assert "incident" in details

    code, details = refusal(server)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "its engine fails: model 'level' version 1" in details
    assert "incident" in details
    assert is_ready(server) == (False, False)
    assert [is_healthy(server, name) for name in ("", "level", "other")] == [False, False, True]
    assert index(server)["level", "1"][0] == "UNAVAILABLE"
    assert get(server, "/readyz")[0] == 503
    assert get(server, "/healthz")[0] == 503
    assert samples(server, "offbeat_hung_versions") == [1]
    assert score(server.channel, score_request(random_windows(1), model="other")).outputs

    with caplog.at_level(logging.WARNING, "offbeat.server"):
        backend.is_broken = False
        eventually(lambda: is_ready(server) == (True, True), "the model is back")
    assert "takes requests again: its engine works" in caplog.text
    assert score(server.channel, score_request(random_windows(1))).outputs
    assert get(server, "/healthz") == (200, "ok\n")
    eventually(lambda: server.server._dispatcher.is_idle, "no worker is kept")
    eventually(lambda: not server.server._dispatcher._examinations, "nobody asks any more")


@_PLACES
def test_a_window_that_an_engine_fails_with_takes_no_model_out_of_service(serve: Serve, max_inline_us: int) -> None:
    server = serve(make_scorer(FailingBackend(666, RuntimeError("one window"))), max_inline_us=max_inline_us)
    windows = random_windows(1)
    windows[0, 0, 0] = 666
    for _ in range(5):
        with pytest.raises(grpc.RpcError) as caught:
            score(server.channel, score_request(windows))
        assert caught.value.code() is grpc.StatusCode.INTERNAL  # type: ignore[attr-defined]
        assert is_ready(server) == (True, True)
        assert score(server.channel, score_request(random_windows(1))).outputs


class GatedBreakingBackend(GatedBackend):
    """Waits for the gate, and fails."""

    def run(self, window: FloatArray, outputs: Sequence[str]) -> Outputs:
        super().run(window, outputs)
        raise RuntimeError("CUDA error 700")


def test_those_who_wait_for_an_engine_that_fails_are_told_so_at_once(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_EXAMINE_S", 600.0)
    backend = GatedBreakingBackend()
    server = serve(make_scorer(backend), max_inline_us=0, max_batch_size=1)
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    waiting = [score_later(server.channel, score_request(random_windows(1))) for _ in range(3)]
    eventually(lambda: len(server.server._models.find("level").queue) == 3, "they wait")
    backend.gate.set()
    assert running.code() is grpc.StatusCode.INTERNAL
    assert [call.code() for call in waiting] == [grpc.StatusCode.UNAVAILABLE] * 3
    assert backend.batches == [1, 1], "the request's, and the one that was to tell whether it works at all"


def test_a_model_whose_engine_fails_can_be_unloaded_and_is_asked_no_more(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_EXAMINE_S", 0.05)
    write_version(tmp_path)
    server = serve(path=tmp_path, model_control_mode="explicit", load_model=("*",))
    backend = BreakingBackend()
    server.server._models.find("level").scorer = make_scorer(backend)
    backend.is_broken = True
    assert refusal(server)[0] is grpc.StatusCode.INTERNAL
    assert is_ready(server) == (False, False)
    unload(server)
    assert is_ready(server) == (True, False)
    eventually(lambda: not server.server._dispatcher._examinations, "nobody asks any more")
    backend.is_broken = False
    assert is_ready(server) == (True, False)
