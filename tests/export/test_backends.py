from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from offbeat.backends import create_backend, names
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import BackendError, BundleError, ConfigurationError
from offbeat.scorer import Scorer
from offbeat_export import export_checkpoint
from offbeat_export.backends import EagerBackend, TorchScriptBackend
from tests.export.checkpoints import LENGTH, lstm_checkpoint, table_checkpoint

CPU = BackendConfig(device="cpu")


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    folder = export_checkpoint(
        lstm_checkpoint(3, 2), tmp_path_factory.mktemp("series"), name="series", exporter="classic"
    ).folder
    return ModelVersion.open(folder)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    return ModelVersion.open(
        export_checkpoint(table_checkpoint(), tmp_path_factory.mktemp("t"), name="table", exporter="classic").folder
    )


@pytest.mark.parametrize("backend", ["eager", "torchscript"])
@pytest.mark.parametrize("which", ["series", "table"])
def test_torch_backends_agree_with_onnx_runtime_and_pass_the_golden_replay(
    backend: str, which: str, request: pytest.FixtureRequest
) -> None:
    version: ModelVersion = request.getfixturevalue(which)
    shape = (40, 2 * LENGTH, 3) if which == "series" else (40, 5)
    window = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    results = {}
    for name in ("onnxruntime", backend):
        with Scorer.open(version, BackendConfig(backend=name, device="cpu")) as scorer:
            results[name] = scorer.score(window, version.manifest.output_names).arrays()
    for name in version.manifest.output_names:
        np.testing.assert_allclose(results[backend][name], results["onnxruntime"][name], rtol=1e-5, atol=1e-5)


def test_both_are_registered_by_name(series: ModelVersion) -> None:
    assert {"eager", "torchscript"} <= set(names())
    backend = create_backend(series, BackendConfig(backend="torchscript", device="cpu"))
    assert (backend.name, backend.description) == ("torchscript", "torchscript (cpu)")
    backend.close()


@pytest.mark.parametrize("kind", [EagerBackend, TorchScriptBackend])
def test_only_the_outputs_asked_for_are_returned(kind, series: ModelVersion) -> None:
    window = np.zeros((2, LENGTH, 3), np.float32)
    assert list(kind(series, CPU).run(window, ["step_error", "is_anomaly"])) == ["step_error", "is_anomaly"]


@pytest.mark.parametrize("kind", [EagerBackend, TorchScriptBackend])
def test_read_only_windows_are_scored_without_a_warning(kind, table: ModelVersion) -> None:
    window = np.zeros((2, 5), np.float32)
    window.flags.writeable = False
    assert kind(table, CPU).run(window, ["anomaly_score"])["anomaly_score"].shape == (2,)


@pytest.mark.parametrize("kind", [EagerBackend, TorchScriptBackend])
def test_a_failure_inside_torch_is_a_backend_error_of_one_line(kind, series: ModelVersion) -> None:
    with pytest.raises(BackendError, match=rf"{kind.name} \(cpu\): ") as caught:
        kind(series, CPU).run(np.zeros((2, LENGTH, 4), np.float32), ["anomaly_score"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [EagerBackend, TorchScriptBackend])
def test_cuda_is_refused_where_there_is_none(kind, series: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigurationError, match="no usable GPU"):
        kind(series, BackendConfig(device="cuda"))


def test_a_damaged_module_is_refused_by_its_file(series: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelVersion, "read", lambda self, name: b"not a module")
    with pytest.raises(BundleError, match=r"model\.pt: not a readable TorchScript archive"):
        TorchScriptBackend(series, CPU)
    with pytest.raises(BackendError, match=r"model\.safetensors: "):
        EagerBackend(series, CPU)


def test_eager_refuses_an_architecture_that_does_not_exist(series: ModelVersion) -> None:
    architecture = msgspec.structs.replace(series.manifest.architecture, kind="perceptron")
    other = ModelVersion(Path(series.path), msgspec.structs.replace(series.manifest, architecture=architecture))
    with pytest.raises(ConfigurationError, match=r"manifest\.json: .*perceptron"):
        EagerBackend(other, CPU)
