from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest

from offbeat.backends import cuda_backend, gpu_opening, graph_rehearsal
from offbeat.backends.cuda_lane import Lane
from offbeat.backends.gpu_opening import open_gpu
from offbeat.backends.gpu_provider import GpuProvider
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import BackendError
from offbeat.result import DEFAULT_OUTPUTS
from offbeat.scorer import Scorer
from tests.runtime import folders
from tests.runtime.backends.fake_gpu import FakeSession, FakeStream, fake_session

CONFIG = BackendConfig(backend="cuda", max_bucket_size=4, n_streams=2)


class Machine:
    """A GPU whose sessions are computed on the CPU, and what was opened there."""

    def __init__(self) -> None:
        self.is_stale = False
        self.starts = "CUDAExecutionProvider"
        self.sessions: list[tuple[Any, tuple[str, ...] | None, FakeSession]] = []
        self.streams: list[FakeStream] = []

    def create_session(
        self, ort: Any, version: ModelVersion, config: BackendConfig, providers: Any, outputs: Sequence[str] | None
    ) -> FakeSession:
        names = None if outputs is None else tuple(outputs)
        session = fake_session(version, outputs=names, is_stale=self.is_stale)
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
    assert [stream.is_closed for stream in machine.streams] == [True]


def test_graphs_that_give_other_scores_are_refused_and_their_stream_freed(
    version: ModelVersion, machine: Machine
) -> None:
    machine.is_stale = True
    with pytest.raises(BackendError, match=r"golden windows: .* is off by"):
        open_gpu(GpuProvider.CUDA, version, CONFIG)
    assert [stream.is_closed for stream in machine.streams] == [True]


def test_a_rehearsal_opens_the_folder_with_graphs_and_says_what_went_wrong(
    version: ModelVersion, machine: Machine
) -> None:
    config = msgspec.json.encode(CONFIG).decode()
    assert graph_rehearsal.main(str(version.path), config) is None
    assert machine.sessions[1][0][0][1]["enable_cuda_graph"] == "1"
    machine.is_stale = True
    assert "is off by" in (graph_rehearsal.main(str(version.path), config) or "")
    assert "manifest.json" in (graph_rehearsal.main(str(version.path / "nowhere"), config) or "")
