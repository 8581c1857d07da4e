from __future__ import annotations

import asyncio
import logging
import socket
import threading
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from offbeat.config import BatchingConfig, ServerConfig
from offbeat.errors import (
    BackendError,
    BundleError,
    ConfigurationError,
    InvalidWindowError,
    OverloadedError,
    UnavailableError,
)
from offbeat.scorer import Scorer
from offbeat.server import Server
from offbeat.server.scoring.model_state import ModelState, VersionStatus
from offbeat.server.scoring.served import ServedModel, ServedModels
from offbeat.server.telemetry import refusals as refusals_module
from offbeat.server.telemetry.refusals import RefusalLog
from tests.runtime.folders import expected_outputs, random_windows, write_version

from .calls import arrays, score, score_request
from .fakes import NumpyBackend, make_scorer
from .live import Loop, Serve, config, eventually


def test_making_a_server_starts_nothing() -> None:
    before = set(threading.enumerate())
    server = Server(config(Path("there is no such folder")))
    assert server.port == 0
    # Those of the tests before may end meanwhile.
    assert set(threading.enumerate()) <= before


def test_the_newest_version_of_each_model_in_the_repository_is_served(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, version in (("level", 1), ("level", 3), ("other", 2)):
        write_version(tmp_path, name, version)
    with caplog.at_level(logging.INFO, "offbeat.server"):
        server = serve(path=tmp_path)
    assert [record.message for record in caplog.records] == [
        "serving model 'level' version 3 on onnxruntime (CPUExecutionProvider)",
        "serving model 'other' version 2 on onnxruntime (CPUExecutionProvider)",
    ]
    windows = random_windows(4)
    response = score(server.channel, score_request(windows))
    assert response.version == 3
    np.testing.assert_allclose(
        arrays(response)["reconstruction_error"], expected_outputs(windows)["reconstruction_error"], rtol=1e-5
    )
    with pytest.raises(grpc.RpcError) as caught:
        score(server.channel, score_request(windows, version=1))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def start(loop: Loop, settings: ServerConfig) -> None:
    loop.run(Server(settings).start())


def test_a_repository_that_is_not_there_refuses_the_start(loop: Loop, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        start(loop, config(tmp_path / "nowhere"))


def test_a_repository_without_models_refuses_the_start(loop: Loop, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no models"):
        start(loop, config(tmp_path))


def test_a_bad_model_refuses_the_start_and_leaves_nobody_listening(loop: Loop, tmp_path: Path) -> None:
    write_version(tmp_path, "good")
    (write_version(tmp_path, "tampered") / "model.onnx").write_bytes(b"other bytes")
    server = Server(config(tmp_path))
    with pytest.raises(BundleError, match="tampered"):
        loop.run(server.start())
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0


def test_a_port_that_is_taken_refuses_the_start(loop: Loop, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"):
            start(loop, ServerConfig(model_repository=tmp_path, port=port))


def test_a_second_server_does_not_share_the_port_of_the_first(serve: Serve, loop: Loop, tmp_path: Path) -> None:
    port = serve(make_scorer()).server.port
    with pytest.raises(ConfigurationError, match="a port that no one else uses"):
        start(loop, ServerConfig(model_repository=tmp_path, port=port))


def test_a_model_that_is_loading_is_unavailable_and_the_server_not_ready(
    serve: Serve, loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_version(tmp_path)
    may_load = threading.Event()

    def slow_open(*_: Any) -> Scorer:
        assert may_load.wait(30)
        return make_scorer()

    monkeypatch.setattr(Scorer, "open", slow_open)
    server = Server(config(tmp_path))
    starting = threading.Thread(target=loop.run, args=(server.start(),))
    starting.start()
    eventually(lambda: server.port != 0, "listening")
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        with pytest.raises(grpc.RpcError) as caught:
            score(channel, score_request(random_windows(1)))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "'level' is loading" in caught.value.details()
        may_load.set()
        starting.join(60)
        assert score(channel, score_request(random_windows(1))).outputs
    loop.run(server.stop())


def test_a_newer_version_that_is_loading_leaves_the_older_one_to_answer() -> None:
    models = ServedModels()
    models.add(ServedModel(make_scorer(version=1), BatchingConfig()))
    models.announce("level", 2)
    assert models.find("level").version == 1
    assert models.index() == [
        VersionStatus("level", 1, ModelState.READY),
        VersionStatus("level", 2, ModelState.LOADING),
    ]
    with pytest.raises(UnavailableError, match="model 'level' version 2 is loading"):
        models.find("level", 2)


def test_the_backends_are_closed_when_the_server_has_ended(serve: Serve) -> None:
    backend = NumpyBackend()
    server = serve(make_scorer(backend))
    assert score(server.channel, score_request(random_windows(1))).outputs
    assert not backend.is_closed
    server.drain()
    assert backend.is_closed


def test_stopping_twice_and_after_a_drain_is_harmless(serve: Serve, loop: Loop) -> None:
    server = serve(make_scorer())
    server.drain()
    loop.run(server.server.stop())
    loop.run(server.server.stop())


def test_a_server_is_a_context_manager(loop: Loop) -> None:
    async def use() -> int:
        async with Server(config(), [make_scorer()]) as server:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                call = channel.unary_unary("/offbeat.v1.AnomalyScoring/Score")
                await call(score_request(random_windows(1)).SerializeToString())
            return server.port

    port = loop.run(use())
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_it_listens_on_ipv6_too(loop: Loop) -> None:
    async def use() -> None:
        settings = ServerConfig(model_repository=Path("nowhere"), port=0, host="::1")
        async with (
            Server(settings, [make_scorer()]) as server,
            grpc.aio.insecure_channel(f"[::1]:{server.port}") as channel,
        ):
            await asyncio.wait_for(channel.channel_ready(), 10)

    loop.run(use())


def test_refusals_are_logged_once_in_a_second_with_their_number(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(refusals_module, "monotonic", lambda: now)
    log = RefusalLog()
    for _ in range(50):
        log.record(OverloadedError("full"))
    log.record(BackendError("has a line of its own"))
    now = 101.5
    log.record(InvalidWindowError("x" * 1000))
    assert [record.message for record in caplog.records] == [
        "refused: OverloadedError 1; the last: full",
        f"refused: OverloadedError 49, InvalidWindowError 1; the last: {'x' * 200}",
    ]
