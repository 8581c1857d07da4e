from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from offbeat.backends import create_backend, names
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import BackendError, BundleError, ConfigurationError
from tests.runtime import folders


def open_with(tmp_path: Path, content: bytes) -> ModelVersion:
    return ModelVersion.open(folders.write_version(tmp_path, onnx=content))


def changed(change: str) -> bytes:
    model = onnx.load_from_string(folders.onnx_bytes())
    if change == "renamed output":
        model.graph.output[0].name = model.graph.node[3].output[0] = "error"
        model.graph.node[4].input[0] = model.graph.node[7].input[0] = "error"
    elif change == "another input size":
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 3
    else:
        model.graph.node[0].op_type = "Mystery"
    return model.SerializeToString()


def test_the_built_in_and_the_registered_backends_are_named() -> None:
    assert set(names()) >= {"onnxruntime", "cuda", "tensorrt", "eager", "torchscript"}


def test_auto_without_a_gpu_takes_the_cpu_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    backend = create_backend(ModelVersion.open(folders.write_version(tmp_path)))
    assert backend.name == "onnxruntime"
    assert f"level version 1 runs on {backend.description}" in caplog.text


def test_an_unknown_backend_names_those_there_are(tmp_path: Path) -> None:
    version = ModelVersion.open(folders.write_version(tmp_path))
    with pytest.raises(ConfigurationError, match=r"'tpu'; expected auto, .*onnxruntime"):
        create_backend(version, BackendConfig(backend="tpu"))


@pytest.mark.parametrize("content", [b"", b"not a model", folders.onnx_bytes()[:-200], changed("unknown operator")])
def test_a_graph_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises((BackendError, BundleError), match=r"model\.onnx"):
        create_backend(open_with(tmp_path, content))


@pytest.mark.parametrize("change", ["renamed output", "another input size"])
def test_a_graph_with_other_tensors_than_the_manifest_is_refused(tmp_path: Path, change: str) -> None:
    with pytest.raises((BundleError, BackendError), match=r"model\.onnx"):
        create_backend(open_with(tmp_path, changed(change)))


def test_a_graph_that_points_at_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """External data would let a folder read any file of the machine, unseen by the digests."""
    model = onnx.load_from_string(folders.onnx_bytes())
    secret = tmp_path / "secret.bin"
    secret.write_bytes(folders.MEAN.tobytes())
    tensor = next(item for item in model.graph.initializer if item.name == "mean")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": "secret.bin", "offset": "0", "length": "8"}.items():
        tensor.external_data.add(key=key, value=value)
    monkeypatch.chdir(tmp_path)
    with pytest.raises((BackendError, BundleError), match=r"model\.onnx"):
        create_backend(open_with(tmp_path, model.SerializeToString()))


def test_an_engine_failure_is_a_backend_error(tmp_path: Path) -> None:
    backend = create_backend(ModelVersion.open(folders.write_version(tmp_path)))
    with pytest.raises(BackendError, match="onnxruntime"):
        backend.run(np.zeros((1, 6, 3), np.float32), ("reconstruction_error",))


def test_a_machine_is_not_given_an_id_and_its_use_is_not_recorded(tmp_path: Path) -> None:
    folder, home = folders.write_version(tmp_path / "models"), tmp_path / "home"
    home.mkdir()
    code = "import sys, offbeat; offbeat.load(sys.argv[1], backend='onnxruntime')"
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code, folder], check=True, env=environment | {"HOME": str(home)})
    assert list(home.rglob("*")) == []
