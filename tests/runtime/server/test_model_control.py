"""Models that clients load and unload."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from offbeat.bundle import ModelRepository, listing
from offbeat.errors import BundleError, ConfigurationError, UnknownModelError
from offbeat.inference import open_inference_pb2 as oip
from offbeat.scorer import Scorer
from offbeat.server import Server
from offbeat.server.models import loading, model_control
from offbeat.server.scoring.served import ServedModel
from offbeat.server.telemetry import refusals as refusals_module
from tests.runtime.folders import random_windows, write_version

from . import rest_client
from .admin import SERVICE, index, load, load_versions, ready, unload
from .calls import ask, score, score_later, score_request
from .fakes import GatedBackend, NumpyBackend, make_scorer
from .live import LiveServer, Serve, config, eventually


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for version in (1, 2, 3):
        write_version(tmp_path, "level", version)
    write_version(tmp_path, "other")
    return tmp_path


@pytest.fixture
def server(serve: Serve, repository: Path) -> LiveServer:
    return serve(path=repository, model_control_mode="explicit")


def refused(call: Any, *arguments: Any, **parameters: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **parameters)
    return caught.value.code(), caught.value.details()


def test_nothing_is_served_until_it_is_loaded(server: LiveServer) -> None:
    assert index(server) == {
        ("level", ""): ("UNAVAILABLE", "not loaded"),
        ("other", ""): ("UNAVAILABLE", "not loaded"),
    }
    code, details = refused(score, server.channel, score_request(random_windows(1)))
    assert code is grpc.StatusCode.NOT_FOUND
    assert details == "Request for unknown model: 'level' is not found; being served: (none)"
    load(server)
    assert ready(server) == [("level", "3")]
    assert score(server.channel, score_request(random_windows(1))).version == 3


def test_models_named_for_the_start_are_loaded_then(serve: Serve, repository: Path) -> None:
    server = serve(path=repository, model_control_mode="explicit", load_model=("other",))
    assert ready(server) == [("other", "1")]


def test_a_star_stands_for_all_models(serve: Serve, repository: Path) -> None:
    server = serve(path=repository, model_control_mode="explicit", load_model=("*",))
    assert ready(server) == [("level", "3"), ("other", "1")]


def test_a_model_named_for_the_start_that_is_not_there_refuses_it(loop: Any, repository: Path) -> None:
    settings = config(repository, model_control_mode="explicit", load_model=("nobody",))
    with pytest.raises(UnknownModelError, match=r"load_model 'nobody': .* holds level, other"):
        loop.run(Server(settings).start())


def test_models_to_load_need_the_mode_that_loads_them() -> None:
    with pytest.raises(ConfigurationError, match="load_model"):
        config(load_model=("level",))


def test_a_policy_for_the_server_and_one_of_the_model_choose_versions(serve: Serve, repository: Path) -> None:
    (repository / "other" / "config.pbtxt").write_text('name: "other" version_policy { all {} }')
    write_version(repository, "other", 5)
    server = serve(path=repository, version_policy="latest:2")
    assert ready(server) == [("level", "2"), ("level", "3"), ("other", "1"), ("other", "5")]
    assert score(server.channel, score_request(random_windows(1), version=2)).version == 2
    assert score(server.channel, score_request(random_windows(1))).version == 3
    request = oip.ModelConfigRequest(name="level")
    call = server.channel.unary_unary("/inference.GRPCInferenceService/ModelConfig")
    told = oip.ModelConfigResponse.FromString(call(request.SerializeToString())).config
    assert told.version_policy.latest.num_versions == 2


def test_a_policy_that_chooses_no_version_refuses_the_start(loop: Any, repository: Path) -> None:
    with pytest.raises(BundleError, match="specific:9 chooses none of the versions 1, 2, 3"):
        loop.run(Server(config(repository, version_policy="specific:9")).start())


def test_a_load_may_bring_a_policy_and_the_others_go(server: LiveServer) -> None:
    load_versions(server, '{"specific": {"versions": [1, 2]}}')
    assert ready(server) == [("level", "1"), ("level", "2")]
    load_versions(server, '{"specific": {"versions": [1]}}')
    assert ready(server) == [("level", "1")]
    eventually(lambda: index(server)["level", "2"] == ("UNAVAILABLE", "unloaded"), "version 2 is unloaded")
    assert score(server.channel, score_request(random_windows(1))).version == 1
    load(server)
    assert ready(server) == [("level", "3")]


def test_a_load_of_versions_that_are_not_there_is_not_found_and_changes_nothing(server: LiveServer) -> None:
    load(server)
    code, details = refused(load_versions, server, '{"specific": {"versions": [9]}}')
    assert code is grpc.StatusCode.NOT_FOUND
    assert details == "failed to load 'level', version_policy specific:9 chooses none of the versions 1, 2, 3"
    assert ready(server) == [("level", "3")]


def test_an_unloaded_model_takes_no_requests_and_can_be_loaded_again(server: LiveServer) -> None:
    for _ in range(3):
        load(server)
        assert score(server.channel, score_request(random_windows(1))).version == 3
        unload(server)
        assert index(server)["level", "3"] == ("UNAVAILABLE", "unloaded")
        code, details = refused(score, server.channel, score_request(random_windows(1)))
        assert code is grpc.StatusCode.NOT_FOUND
        assert details.startswith("Request for unknown model: 'level' has no available versions")


def test_a_model_that_is_loaded_as_it_lies_there_is_not_loaded_again(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(server)
    monkeypatch.setattr(Scorer, "open", lambda *_: pytest.fail("opened again"))
    load(server)
    assert ready(server) == [("level", "3")]


@pytest.mark.parametrize("name", ["nobody", "", "../level", "a/b", "x" * 5000])
def test_a_model_that_is_not_there_cannot_be_loaded_or_unloaded(server: LiveServer, name: str) -> None:
    code, details = refused(load, server, name)
    assert code is grpc.StatusCode.NOT_FOUND
    assert details.startswith("failed to load '")
    code, details = refused(unload, server, name)
    assert code is grpc.StatusCode.NOT_FOUND
    assert "is not loaded" in details or len(name) > 600


@pytest.mark.parametrize("mode", ["none", "poll"])
def test_other_modes_refuse_to_load_and_unload_in_tritons_words(serve: Serve, repository: Path, mode: str) -> None:
    server = serve(path=repository, model_control_mode=mode)
    for call in (load, unload):
        code, details = refused(call, server)
        assert code is grpc.StatusCode.UNAVAILABLE
        assert details.startswith("explicit model load / unload is not allowed if polling is enabled")
    assert ready(server) == [("level", "3"), ("other", "1")]


def test_a_server_of_given_scorers_has_nothing_to_load_from(serve: Serve) -> None:
    server = serve(make_scorer(), model_control_mode="explicit")
    assert refused(load, server)[0] is grpc.StatusCode.UNAVAILABLE
    assert ready(server) == [("level", "1")]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"file:1/model.onnx": oip.ModelRepositoryParameter(bytes_param=b"x")}, "parameters file:1/model.onnx"),
        ({"config": oip.ModelRepositoryParameter(string_param='{"max_batch_size": 8}')}, "sets max_batch_size"),
    ],
)
def test_what_would_not_be_honoured_is_refused(
    server: LiveServer, parameters: dict[str, oip.ModelRepositoryParameter], message: str
) -> None:
    code, details = refused(load, server, **parameters)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message in details
    assert ready(server) == []


def test_unload_takes_the_parameter_of_tritons_client_and_no_other(server: LiveServer) -> None:
    load(server)
    assert refused(unload, server, later=oip.ModelRepositoryParameter())[0] is grpc.StatusCode.INVALID_ARGUMENT
    unload(server, unload_dependents=oip.ModelRepositoryParameter(bool_param=False))
    assert ready(server) == []


def test_a_bad_version_is_refused_and_the_old_one_keeps_serving(
    server: LiveServer, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load(server)
    (write_version(repository, "level", 4) / "model.onnx").write_bytes(b"other bytes")
    for _ in range(2):
        code, details = refused(load, server)
        assert code is grpc.StatusCode.INTERNAL
        assert details.startswith("failed to load 'level', ")
        assert "model.onnx" in details
    state, reason = index(server)["level", "4"]
    assert state == "UNAVAILABLE"
    assert "model.onnx" in reason
    assert score(server.channel, score_request(random_windows(1))).version == 3
    assert sum("refused" in record.message for record in caplog.records if record.levelno == logging.ERROR) == 1
    code, details = refused(score, server.channel, score_request(random_windows(1), version=4))
    assert code is grpc.StatusCode.NOT_FOUND
    assert details.startswith("Request for unknown model: 'level' version 4 is not available")


def test_an_engine_that_fails_unexpectedly_refuses_its_version_alone(
    server: LiveServer, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(server)
    write_version(repository, "level", 4)

    def fail(_: ServedModel) -> None:
        raise ZeroDivisionError("in the depths of an engine")

    monkeypatch.setattr(loading, "warm_up", fail)
    code, details = refused(load, server)
    assert code is grpc.StatusCode.INTERNAL
    assert "tells more of incident" in details
    assert "ZeroDivision" not in details
    assert score(server.channel, score_request(random_windows(1))).version == 3


def test_a_version_taken_out_answers_what_it_had_taken_and_is_closed_then(
    serve: Serve, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = GatedBackend()
    backend.gate.set()
    monkeypatch.setattr(Scorer, "open", lambda version, _: make_scorer(backend, version=version.manifest.version))
    server = serve(path=repository, model_control_mode="explicit", load_model=("level",), max_inline_us=0)
    backend.gate.clear()
    while backend.entered.acquire(blocking=False):
        pass
    running = score_later(server.channel, score_request(random_windows(2)))
    assert backend.entered.acquire(timeout=60)
    waiting = [score_later(server.channel, score_request(random_windows(3))) for _ in range(4)]
    eventually(lambda: len(server.server._models.find("level").queue) == 4, "four requests wait")
    unloading = threading.Thread(target=unload, args=(server,))
    unloading.start()
    eventually(lambda: index(server)["level", "3"][0] == "UNLOADING", "unloading")
    assert refused(score, server.channel, score_request(random_windows(1)))[0] is grpc.StatusCode.NOT_FOUND
    assert not backend.is_closed
    backend.gate.set()
    assert all(call.result() for call in [running, *waiting])
    unloading.join(60)
    assert backend.is_closed
    assert index(server)["level", "3"] == ("UNAVAILABLE", "unloaded")


def test_a_client_that_leaves_while_it_waits_for_a_load_does_not_end_it(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_load = threading.Event()

    def slow_open(version: Any, _: Any) -> Scorer:
        assert may_load.wait(60)
        return make_scorer(NumpyBackend(), version=version.manifest.version)

    monkeypatch.setattr(Scorer, "open", slow_open)
    request = oip.RepositoryModelLoadRequest(model_name="level").SerializeToString()
    asking = server.channel.unary_unary("/inference.GRPCInferenceService/RepositoryModelLoad").future(request)
    eventually(lambda: index(server).get(("level", "3"), ("",))[0] == "LOADING", "loading")
    asking.cancel()
    # The server hears of it meanwhile.
    time.sleep(0.2)
    assert refused(score, server.channel, score_request(random_windows(1)))[0] is grpc.StatusCode.UNAVAILABLE
    may_load.set()
    eventually(lambda: ready(server) == [("level", "3")], "loaded")


def test_a_bad_model_does_not_keep_the_others_from_starting_where_that_is_asked_for(
    serve: Serve, repository: Path
) -> None:
    (repository / "other" / "1" / "model.onnx").write_bytes(b"")
    server = serve(path=repository, exit_on_error=False)
    assert ready(server) == [("level", "3")]
    assert index(server)["other", "1"][0] == "UNAVAILABLE"


def test_an_engine_that_cannot_be_closed_is_out_of_service_all_the_same(
    serve: Serve, repository: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(NumpyBackend):
        def close(self) -> None:
            if not self.is_closed:
                super().close()
                raise RuntimeError("will not close")

    monkeypatch.setattr(Scorer, "open", lambda version, _: make_scorer(Stuck(), version=version.manifest.version))
    server = serve(path=repository, model_control_mode="explicit", load_model=("level",))
    unload(server)
    assert index(server)["level", "3"] == ("UNAVAILABLE", "unloaded")
    assert any("unloading model 'level' version 3" in record.message for record in caplog.records)
    monkeypatch.undo()
    load(server)
    assert ready(server) == [("level", "3")]


def test_a_start_that_goes_on_serves_the_newest_version_that_is_good(serve: Serve, repository: Path) -> None:
    for version in (2, 3):
        (repository / "level" / str(version) / "golden.npz").write_bytes(b"")
    server = serve(path=repository, exit_on_error=False)
    assert ready(server) == [("level", "1"), ("other", "1")]
    assert "golden.npz" in index(server)["level", "3"][1]
    assert score(server.channel, score_request(random_windows(1))).version == 1


def test_kserves_messages_load_and_unload_too(server: LiveServer) -> None:
    """There the first field is the model's name, and the answer repeats it."""
    name = oip.RepositoryModelLoadRequest(repository_name="level")
    loaded = ask(server.channel, f"{SERVICE}/RepositoryModelLoad", name, oip.RepositoryModelLoadResponse)
    assert (loaded.model_name, loaded.isLoaded) == ("level", True)
    assert ready(server) == [("level", "3")]
    name = oip.RepositoryModelUnloadRequest(repository_name="level")
    unloaded = ask(server.channel, f"{SERVICE}/RepositoryModelUnload", name, oip.RepositoryModelUnloadResponse)
    assert (unloaded.model_name, unloaded.isUnloaded) == ("level", True)
    assert ready(server) == []


def test_there_is_one_repository(server: LiveServer) -> None:
    both = oip.RepositoryModelLoadRequest(repository_name="mine", model_name="level")
    code, details = refused(
        ask, server.channel, f"{SERVICE}/RepositoryModelLoad", both, oip.RepositoryModelLoadResponse
    )
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "repository_name is 'mine'" in details


def test_a_name_of_a_file_that_is_no_text_is_told_to_whoever_loads_the_model_or_lists_all(
    serve: Serve, repository: Path
) -> None:
    server = serve(path=repository, model_control_mode="explicit", metrics_port=0, rest=True)
    (repository / "other" / "1" / os.fsdecode(b"\xff\n.tmp")).touch()
    code, details = refused(load, server, "other")
    assert code is grpc.StatusCode.INTERNAL
    assert "\\udcff" in details
    assert "not listed" in details
    state, reason = index(server)["other", "1"]
    assert state == "UNAVAILABLE"
    assert "\\udcff" in reason
    assert rest_client.ask(server, "/v2/repository/models/other/load", {})[0] == 500
    assert "\\udcff" in rest_client.ask(server, "/v2/repository/index", {})[1][1]["reason"]


def test_names_that_callers_make_up_fill_neither_the_log_nor_the_memory(
    server: LiveServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long a busy machine takes for all of them.
    monkeypatch.setattr(refusals_module, "_INTERVAL_S", 600.0)
    for number in range(20):
        code, _ = refused(load, server, f"no such model {number}")
        assert code is grpc.StatusCode.NOT_FOUND
    lines = [record.message for record in caplog.records if record.message.startswith("refused: ")]
    assert len(lines) == 1, "one in a second"
    assert server.server._control._served is not None
    assert server.server._control._served._told == {}


def test_a_folder_that_cannot_be_looked_into_leaves_the_others_in_the_index(
    server: LiveServer, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(server)
    closed, original = repository / "other", listing.entries

    def entries_for_another_user(folder: Path) -> tuple[Path, ...]:
        # Root, who runs tests in containers, lists everything.
        if folder == closed:
            raise BundleError(f"{folder}: Permission denied; expected a folder that can be listed")
        return original(folder)

    monkeypatch.setattr("offbeat.bundle.repository.entries", entries_for_another_user)
    told = index(server)
    assert told["level", "3"][0] == "READY"
    assert told["other", ""] == ("UNAVAILABLE", f"{closed}: Permission denied; expected a folder that can be listed")
    shutil.rmtree(repository)
    assert ready(server) == [("level", "3")]


def test_however_many_ask_for_the_index_and_go_away_the_disk_is_looked_at_by_one_after_the_other(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_end, n_looks = threading.Event(), threading.Event(), 0
    original = model_control.reasons_not_loaded

    def slow(repository: ModelRepository) -> dict[str, str]:
        nonlocal n_looks
        n_looks += 1
        began.set()
        assert may_end.wait(120)
        return original(repository)

    monkeypatch.setattr(model_control, "reasons_not_loaded", slow)
    method = server.channel.unary_unary(f"{SERVICE}/RepositoryIndex")
    first = method.future(b"", timeout=120)
    assert began.wait(60)
    gone = [method.future(b"", timeout=0.2) for _ in range(50)]
    for call in gone:
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    last = method.future(b"", timeout=120)
    may_end.set()
    assert len(oip.RepositoryIndexResponse.FromString(first.result()).models) == 2
    assert len(oip.RepositoryIndexResponse.FromString(last.result()).models) == 2
    assert n_looks <= 3, "the first, one for all who went away, and perhaps one for the last"


def test_a_model_is_unloaded_while_the_load_of_another_hangs(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(server)
    may_load = threading.Event()
    original = Scorer.open

    def slow_open(*arguments: Any) -> Scorer:
        assert may_load.wait(60)
        return original(*arguments)

    monkeypatch.setattr(Scorer, "open", slow_open)
    loading_other = threading.Thread(target=load, args=(server, "other"))
    loading_other.start()
    eventually(lambda: index(server).get(("other", "1"), ("",))[0] == "LOADING", "the other one is loading")
    unload(server)
    assert ready(server) == []
    may_load.set()
    loading_other.join(60)
    assert ready(server) == [("other", "1")]
    assert not server.server._control._turns, "nothing is kept of names"
