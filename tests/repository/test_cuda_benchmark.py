"""The minutes on a machine with a GPU are few: what benchmarks.cuda writes there is tried here, on engines that only look like it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import cuda
from benchmarks.cuda_table import cuda_tables
from benchmarks.report.results import Result
from offbeat.backends import Backend
from offbeat.backends.onnxruntime_backend import OnnxRuntimeBackend
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import BackendError
from offbeat.result import FloatArray
from tests.runtime import folders


class Engine(OnnxRuntimeBackend):
    """ONNX Runtime on the CPU under another name; it fails at batches of `breaks_at` rows."""

    breaks_at = 0

    def run(self, window: FloatArray, outputs: Sequence[str]) -> dict[str, Any]:
        if len(window) == self.breaks_at:
            raise BackendError("an illegal memory\naccess was encountered")
        return super().run(window, outputs)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        folders.write_version(tmp_path / "models", name)
    return tmp_path / "models"


def run(monkeypatch: pytest.MonkeyPatch, repository: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """What lies in the file afterwards, and what the run ended with."""
    output = repository.parent / "result.json"
    command = ["cuda", "--output", str(output), "--repository", str(repository), "--models", "one", "two"]
    monkeypatch.setattr(
        sys, "argv", [*command, "--seconds", "0.01", "--batches", "1", "8", "--streams", "2", *arguments]
    )
    ending = ""
    try:
        cuda.main()
    except SystemExit as end:
        ending = str(end.code)
    return json.loads(output.read_text()), ending


def pretend(monkeypatch: pytest.MonkeyPatch, *, refused: str = "", breaks_at: int = 0) -> None:
    def create_backend(version: ModelVersion, config: BackendConfig) -> Backend:
        if config.backend == refused:
            raise BackendError("CUDA failure 35:\nno such driver")
        engine = Engine(version, BackendConfig())
        engine.breaks_at = breaks_at if config.backend == "cuda" and config.cuda_graphs else 0
        return engine

    monkeypatch.setattr(cuda, "create_backend", create_backend)


def test_a_run_on_a_gpu_writes_every_figure_of_every_contender(
    monkeypatch: pytest.MonkeyPatch, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch)
    found, ending = run(monkeypatch, repository)
    assert ending == ""
    names = ["cuda", "cuda without graphs", "eager"]
    assert {"python", "packages", "commit", "gpu", "torch_cuda", "cudnn"} <= found["environment"].keys()
    assert [result["model"] for result in found["results"]] == ["one", "two"]
    for result in found["results"]:
        assert list(result["backends"]) == list(result["load_s"]) == list(result["parity"]) == names
        assert not result["failed"]
        assert all(parity["deviation"] <= 1.0 for parity in result["parity"].values())
        assert [row["batch"] for row in result["latency"]] == [1, 8]
        assert all(row["calls"][name]["p50_us"] > 0 for row in result["latency"] for name in names)
        assert [(row["batch"], row["n_threads"]) for row in result["throughput"]] == [(1, 1), (1, 2), (8, 1), (8, 2)]
        assert all(row[name] > 0 for row in result["throughput"] for name in names)
    assert capsys.readouterr().out.count("windows/s") == 8


def test_an_engine_that_cannot_be_opened_is_told_and_the_others_are_measured(
    monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    pretend(monkeypatch, refused="cuda")
    found, ending = run(monkeypatch, repository)
    assert "one, cuda: CUDA failure 35: no such driver\n" in ending
    assert list(found["results"][1]["latency"][0]["calls"]) == ["eager"]
    pretend(monkeypatch, refused="eager")
    found, ending = run(monkeypatch, repository)
    assert "two, reference: CUDA failure 35: no such driver" in ending
    assert list(found["results"][1]["backends"]) == ["cuda", "cuda without graphs"]


def test_the_report_shows_the_figures_and_what_failed(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    pretend(monkeypatch, breaks_at=8)
    found, _ = run(monkeypatch, repository)
    path = repository.parent / "2026-12-01-cuda.json"
    text = cuda_tables(Result(path=path, date="2026-12-01", kind="cuda", content=found))
    assert text.count("| one | cuda | cuda without graphs | eager |") == 1
    assert text.count("µs | ") == text.count("threads, windows/s | ") // 2 == 4
    assert "- two, latency of batch 8: an illegal memory access was encountered" in text


def test_an_engine_that_fails_half_way_leaves_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    pretend(monkeypatch, breaks_at=8)
    found, ending = run(monkeypatch, repository)
    assert "one, latency of batch 8: an illegal memory access was encountered" in ending
    result = found["results"][0]
    assert list(result["parity"]) == ["cuda without graphs", "eager"]
    assert list(result["latency"][0]["calls"]) == ["cuda", "cuda without graphs", "eager"]
    assert "cuda" in result["throughput"][0]
    assert list(result["throughput"][-1]) == ["batch", "n_threads", "cuda without graphs", "eager"]


def test_when_the_time_is_over_nothing_more_is_begun_and_the_file_says_so(
    monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    pretend(monkeypatch)
    clock = iter(range(10_000))
    monkeypatch.setattr(cuda, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    found, ending = run(monkeypatch, repository, "--max-seconds", "20")
    reached, unreached = found["results"]
    assert len(reached["parity"]) == 3
    assert reached["throughput"]
    assert "not begun: the time was over" in ending
    assert unreached["failed"] == {"cuda": "not begun: the time was over"}


def test_a_model_that_runs_without_graphs_says_why_in_the_file(
    monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    found, ending = run(monkeypatch, repository, "--device", "cpu")
    assert "one, eager: " in ending
    assert found["log"] == [
        f"{name} version 1 runs on onnxruntime (CPUExecutionProvider): asked for" for name in ("one", "two")
    ]
