"""An exported repository in a real tritonserver, from the wheel of nvidia-pytriton: what Triton's own client gets from it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest

import offbeat
from benchmarks.serving.tritonserver import tritonserver
from tests.runtime.server.test_stock_client import told_by

from .environment import run

_PYTRITON = "nvidia-pytriton==0.7.0"
_OUTPUTS = ("reconstruction_error", "anomaly_score", "is_anomaly", "feature_error", "step_error", "reconstruction")
_PROGRAM = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

target, model, outputs, file = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), np.load(sys.argv[4])
client = triton.InferenceServerClient(target)

def tensors(windows, names):
    tensor = triton.InferInput("window", windows.shape, "FP32")
    tensor.set_data_from_numpy(windows)
    answer = client.infer(model, [tensor], outputs=[triton.InferRequestedOutput(name) for name in names], client_timeout=60)
    return {name: answer.as_numpy(name).reshape(len(windows), -1).tolist() for name in names}

told = {"scores": [tensors(file[name], outputs) for name in file.files]}
told["platform"] = client.get_model_config(model).config.platform
with ThreadPoolExecutor(16) as callers:
    calls = [callers.submit(tensors, file[name], outputs[:1]) for name in file.files * 8]
    told["together"] = [call.result()[outputs[0]] for call in calls]
try:
    tensors(np.full((1, 12, 2), np.nan, np.float32), outputs)
except InferenceServerException as error:
    told["refusal"] = [error.status(), error.message()]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Triton alone: what else pytriton asks for is not used here, and would be an older numpy than offbeat's."""
    if sys.platform != "linux" or find_library(f"python3.{sys.version_info.minor}") is None:
        pytest.skip(f"Triton's Python backend needs libpython3.{sys.version_info.minor}.so")
    folder = tmp_path_factory.mktemp("pytriton")
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, _PYTRITON)
    return folder


@pytest.fixture(scope="module")
def target(packages: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The repository as it was exported: neither its config.pbtxt nor anything else in it is touched."""
    with tritonserver(packages, model.parent, tmp_path_factory.mktemp("triton")) as target:
        yield target


def test_triton_gives_the_scores_that_offbeat_gives(target: str, model: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    shapes = ((1, 12, 2), (7, 12, 2), (3, 40, 2))
    windows = {f"{n}": random.standard_normal(shape, dtype=np.float32) for n, shape in enumerate(shapes)}
    np.savez(tmp_path / "windows.npz", **windows)
    told = told_by(_PROGRAM, target, model.name, json.dumps(_OUTPUTS), str(tmp_path / "windows.npz"))
    assert told["platform"] == "onnxruntime_onnx"
    with offbeat.load(model) as scorer:
        expected = [scorer.run(each, _OUTPUTS) for each in windows.values()]
    for seen, outputs in zip(told["scores"], expected, strict=True):
        for name in _OUTPUTS:
            np.testing.assert_allclose(np.ravel(seen[name]), outputs[name].ravel(), rtol=1e-6, atol=1e-6, err_msg=name)
    for errors, outputs in zip(told["together"], expected * 8, strict=True):
        np.testing.assert_allclose(np.ravel(errors), outputs[_OUTPUTS[0]], rtol=1e-6)
    status, message = told["refusal"]
    assert status == "StatusCode.INVALID_ARGUMENT"
    assert "windows hold 24 value(s) that are NaN" in message
