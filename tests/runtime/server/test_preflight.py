"""What `offbeat serve --check` finds, held against what a start does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from offbeat.config import ServerConfig
from offbeat.errors import OffbeatError
from offbeat.series_config import SeriesConfig
from offbeat.server import Server
from offbeat.server.preflight import preflight
from tests.runtime.folders import write_version

from .live import Loop, config


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write_version(tmp_path, "good")
    (write_version(tmp_path, "bad") / "model.onnx").write_bytes(b"other bytes")
    return tmp_path


def problems(settings: ServerConfig) -> list[str]:
    return [finding.problem for finding in preflight(settings) if finding.problem is not None]


def starts(loop: Loop, settings: ServerConfig) -> bool:
    server = Server(settings)
    try:
        loop.run(server.start())
    except OffbeatError:
        return False
    loop.run(server.stop())
    return True


@pytest.mark.parametrize("load_model", [(), ("good",), ("bad",), ("*",), ("none",), ("good", "none"), ("*", "none")])
def test_it_looks_at_the_models_that_a_start_would_load_and_no_others(
    loop: Loop, repository: Path, load_model: tuple[str, ...]
) -> None:
    settings = config(repository, model_control_mode="explicit", load_model=load_model)
    found = problems(settings)
    assert starts(loop, settings) is (found == [])
    assert any("model.onnx" in problem for problem in found) is ("bad" in load_model or "*" in load_model)


@pytest.mark.parametrize("mode", ["none", "poll"])
def test_every_model_counts_where_all_are_served(loop: Loop, repository: Path, mode: str) -> None:
    settings = config(repository, model_control_mode=mode)
    assert len(problems(settings)) == 1
    assert not starts(loop, settings)


def test_a_repository_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    assert problems(config(tmp_path / "nowhere"))[0].endswith("<model>/<version>/manifest.json")


def test_a_state_folder_in_which_nothing_can_be_written_refuses_the_start_though_a_lock_is_there(
    loop: Loop, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / ".lock").touch()
    # For root, who runs tests in containers, every folder can be written.
    monkeypatch.setattr(os, "access", lambda path, mode: path != folder)
    settings = config(
        repository, model_control_mode="explicit", load_model=("good",), series=SeriesConfig(state_dir=folder)
    )
    assert problems(settings) == [f"state_dir {folder}: Permission denied; expected a folder that can be written"]
    assert not starts(loop, settings)
