from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest

from offbeat.backends import (
    auto_backend,
    create_backend,
    cuda_backend,
    gpu_opening,
    graph_rehearsal,
    onnxruntime_session,
)
from offbeat.backends.cuda_lane import Lane
from offbeat.backends.gpu_opening import open_gpu
from offbeat.backends.gpu_provider import GpuProvider
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import BackendError
from offbeat.result import DEFAULT_OUTPUTS
from offbeat.scorer import Scorer
from tests.runtime import folders
from tests.runtime.backends.fake_gpu import NOT_CAPTURED, FakeSession, FakeStream, fake_session

CONFIG = BackendConfig(backend="cuda", max_bucket_size=4, n_streams=2)


class Machine:
    """A GPU whose sessions are computed on the CPU, and what was opened there."""

    def __init__(self) -> None:
        self.is_stale = False
        self.fails = ""
        self.starts = "CUDAExecutionProvider"
        self.sessions: list[tuple[Any, tuple[str, ...] | None, FakeSession]] = []
        self.streams: list[FakeStream] = []

    def create_session(
        self, ort: Any, version: ModelVersion, config: BackendConfig, providers: Any, outputs: Sequence[str] | None
    ) -> FakeSession:
        names = None if outputs is None else tuple(outputs)
        session = fake_session(version, outputs=names, is_stale=self.is_stale, fails=self.fails)
        session.get_providers = lambda: [self.starts, "CPUExecutionProvider"]  # type: ignore[attr-defined]
        self.sessions.append((providers, names, session))
        return session

    def open_stream(self, driver: object) -> FakeStream:
        self.streams.append(FakeStream())
        return self.streams[-1]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    here = Machine()
    monkeypatch.setattr(GpuProvider, "import_onnxruntime", lambda kind: onnxruntime)
    monkeypatch.setattr(cuda_backend, "CudaDriver", lambda: None)
    monkeypatch.setattr(cuda_backend, "CudaStream", here.open_stream)
    monkeypatch.setattr(cuda_backend, "create_session", here.create_session)
    monkeypatch.setattr(cuda_backend, "Lane", partial(Lane, device_type="cpu"))
    monkeypatch.setattr(gpu_opening, "why_no_graphs", lambda version, config: "")
    return here


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    return ModelVersion.open(folders.write_version(tmp_path_factory.mktemp("models")))


def test_each_stream_has_sessions_of_its_own_and_graphs_only_of_the_default_outputs(
    version: ModelVersion, machine: Machine
) -> None:
    backend = open_gpu(GpuProvider.CUDA, version, CONFIG)
    assert backend.description == "onnxruntime (CUDAExecutionProvider, CUDA graphs)"
    assert len(machine.streams) == 2
    graphs = [providers[0][1]["enable_cuda_graph"] for providers, _, _ in machine.sessions]
    assert graphs == ["0", "1", "0", "1"]
    assert [outputs for _, outputs, _ in machine.sessions] == [None, DEFAULT_OUTPUTS] * 2
    assert all(session.captures == {"1": 1, "2": 1, "4": 1} for _, outputs, session in machine.sessions if outputs)
    scorer = Scorer(version.manifest, backend)
    windows = folders.random_windows(9)
    for names in (DEFAULT_OUTPUTS, folders.OUTPUTS):
        result = scorer.score(windows, names).arrays()
        for name in names:
            np.testing.assert_allclose(result[name], folders.expected_outputs(windows)[name], rtol=1e-5, atol=1e-6)
    scorer.close()
    assert all(stream.is_closed for stream in machine.streams)


def test_without_graphs_each_stream_has_one_session(version: ModelVersion, machine: Machine) -> None:
    backend = open_gpu(GpuProvider.CUDA, version, msgspec.structs.replace(CONFIG, cuda_graphs=False))
    assert backend.description == "onnxruntime (CUDAExecutionProvider)"
    assert [outputs for _, outputs, _ in machine.sessions] == [None, None]
    backend.close()


def test_tensorrt_is_told_in_the_description(version: ModelVersion, machine: Machine) -> None:
    machine.starts = "TensorrtExecutionProvider"
    backend = open_gpu(GpuProvider.TENSORRT, version, CONFIG)
    assert (backend.name, backend.description) == ("tensorrt", "onnxruntime (TensorrtExecutionProvider)")
    backend.close()


def test_a_provider_that_does_not_start_is_refused_and_its_stream_freed(
    version: ModelVersion, machine: Machine
) -> None:
    machine.starts = "CPUExecutionProvider"
    with pytest.raises(BackendError, match="CUDAExecutionProvider did not start"):
        open_gpu(GpuProvider.CUDA, version, CONFIG)
    assert machine.streams
    assert all(stream.is_closed for stream in machine.streams)


def test_graphs_that_give_other_scores_are_refused_and_their_stream_freed(
    version: ModelVersion, machine: Machine
) -> None:
    machine.is_stale = True
    with pytest.raises(BackendError, match=r"golden windows on the GPU: .* is off by"):
        cuda_backend.open_lanes(GpuProvider.CUDA, version, CONFIG, has_graphs=True)
    assert [stream.is_closed for stream in machine.streams] == [True]


def test_a_graph_that_cannot_be_captured_here_after_all_leaves_the_gpu_without_graphs(
    version: ModelVersion, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    machine.fails = "capture"
    backend = open_gpu(GpuProvider.CUDA, version, CONFIG)
    assert backend.description == "onnxruntime (CUDAExecutionProvider)"
    assert [stream.is_closed for stream in machine.streams] == [True, False, False]
    assert [record.getMessage() for record in caplog.records] == [
        f"level version 1 runs without CUDA graphs: {version.path}: a batch of 4 golden windows on the GPU: Error in execution: CUDA failure 901: "
        "operation failed due to a previous error during capture"
    ]
    backend.close()


def test_what_onnx_runtime_raises_is_a_backend_error_and_its_session_ends_before_its_stream(
    version: ModelVersion, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[weakref.ref[FakeSession]] = []
    left_at_close = []

    class Stream(FakeStream):
        def close(self) -> None:
            left_at_close.extend(session for session in sessions if session() is not None)
            super().close()

    def create_session(*arguments: Any) -> FakeSession:
        session = Machine.create_session(machine, *arguments)
        machine.sessions.clear()
        sessions.append(weakref.ref(session))
        return session

    monkeypatch.setattr(cuda_backend, "CudaStream", lambda driver: Stream())
    monkeypatch.setattr(cuda_backend, "create_session", create_session)
    machine.fails = "run"
    with pytest.raises(
        BackendError,
        match=r"level/1: a batch of 4 golden windows on the GPU: CUDNN failure 8: CUDNN_STATUS_EXECUTION_FAILED$",
    ):
        open_gpu(GpuProvider.CUDA, version, CONFIG)
    assert len(sessions) == 3
    assert left_at_close == []


def test_a_gpu_that_fails_leaves_auto_a_cpu(
    version: ModelVersion, machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    auto_backend._warn_once.cache_clear()
    monkeypatch.setattr(auto_backend, "offers_cuda", lambda: True)
    machine.fails = "run"
    backend = create_backend(version, msgspec.structs.replace(CONFIG, backend="onnxruntime"))
    assert backend.description == "onnxruntime (CPUExecutionProvider)"
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert ": a batch of 4 golden windows on the GPU: CUDNN failure 8" in warnings[0]
    backend.close()
    auto_backend._warn_once.cache_clear()


def test_a_gpu_that_no_session_starts_on_is_told_once_for_all_models_and_in_plain_words(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object, **settings: object) -> None:
        raise RuntimeError(NOT_CAPTURED.replace("GPU=0", "GPU=-1"))

    # Another one than that which computes on the CPU.
    fake = SimpleNamespace(
        **{name: getattr(onnxruntime, name) for name in ("SessionOptions", "ExecutionMode")}, InferenceSession=refuse
    )
    monkeypatch.setattr(GpuProvider, "import_onnxruntime", lambda kind: fake)
    monkeypatch.setattr(cuda_backend, "create_session", onnxruntime_session.create_session)
    monkeypatch.setattr(auto_backend, "offers_cuda", lambda: True)
    auto_backend._warn_once.cache_clear()
    for name in ("one", "two"):
        version = ModelVersion.open(folders.write_version(tmp_path, name))
        create_backend(version, BackendConfig(backend="onnxruntime")).close()
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "CUDA is not used, scores are computed on the CPU (device 'cpu' asks for that): ONNX Runtime refuses it: "
        "Error in execution: CUDA failure 901: operation failed due to a previous error during capture"
    ]
    auto_backend._warn_once.cache_clear()


def test_a_rehearsal_opens_the_folder_with_graphs_and_says_what_went_wrong(
    version: ModelVersion, machine: Machine
) -> None:
    config = msgspec.json.encode(CONFIG).decode()
    assert graph_rehearsal.main(str(version.path), config) is None
    assert machine.sessions[1][0][0][1]["enable_cuda_graph"] == "1"
    machine.is_stale = True
    assert "is off by" in (graph_rehearsal.main(str(version.path), config) or "")
    assert "manifest.json" in (graph_rehearsal.main(str(version.path / "nowhere"), config) or "")
