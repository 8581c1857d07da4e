"""deploy/triton/model.py without Triton: what it makes of a batch of requests. `make extras` runs it in a real tritonserver."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from offbeat.errors import BackendError, BundleError
from offbeat.result import FloatArray
from tests.runtime.folders import expected_outputs, random_windows, write_version

from .manifests import DEPLOY

_OUTPUTS = ("reconstruction_error", "is_anomaly")


class _Tensor:
    @staticmethod
    def from_dlpack(name: str, capsule: object) -> tuple[str, Any]:
        owner = SimpleNamespace(__dlpack__=lambda **_: capsule, __dlpack_device__=lambda: (1, 0))
        return name, np.from_dlpack(owner)


class _Error:
    INVALID_ARG, INTERNAL = 3, 13

    def __init__(self, message: str, status: int) -> None:
        self.message, self.status = message, status


class _Request:
    def __init__(self, windows: FloatArray, outputs: tuple[str, ...] = _OUTPUTS) -> None:
        self.windows, self.outputs = windows, outputs

    def requested_output_names(self) -> tuple[str, ...]:
        return self.outputs


def _response(tensors: list[tuple[str, Any]] | None = None, error: _Error | None = None) -> SimpleNamespace:
    return SimpleNamespace(tensors=dict(tensors or ()), error=error)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[type]:
    """The class that Triton makes its instances of, with Triton's own module played."""
    utils: Any = ModuleType("triton_python_backend_utils")
    utils.Tensor, utils.TritonError, utils.InferenceResponse = _Tensor, _Error, _response
    utils.Logger = SimpleNamespace(log_info=lambda text: None)
    utils.get_input_tensor_by_name = lambda request, name: {"window": request.windows}[name]
    monkeypatch.setitem(sys.modules, utils.__name__, utils)
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("triton_model", DEPLOY / "triton" / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: type = module.TritonPythonModel
    return made


def _arguments(folder: Path, **parameters: str) -> dict[str, str]:
    said = {name: {"string_value": value} for name, value in parameters.items()}
    return {
        "model_config": json.dumps({"parameters": said}),
        "model_repository": str(folder.parent),
        "model_version": folder.name,
        "model_name": folder.parent.name,
    }


@pytest.fixture
def instance(model: type, tmp_path: Path) -> Iterator[Any]:
    loaded = model()
    loaded.initialize(_arguments(write_version(tmp_path), intra_op_thread_count="1", offbeat_backend="onnxruntime"))
    yield loaded
    loaded.finalize()


def test_each_request_of_a_batch_gets_its_own_rows_of_the_outputs_it_asked_for(instance: Any) -> None:
    windows = [random_windows(n, seed=n) for n in (1, 3, 2)]
    asked = [_OUTPUTS, ("step_error",), ("is_anomaly", "reconstruction")]
    replies = instance.execute([_Request(*each) for each in zip(windows, asked, strict=True)])
    for window, names, reply in zip(windows, asked, replies, strict=True):
        assert reply.error is None
        assert tuple(reply.tensors) == names
        expected = expected_outputs(window)
        for name in names:
            np.testing.assert_allclose(reply.tensors[name], expected[name], rtol=1e-6)


def test_a_request_with_bad_windows_is_refused_alone(instance: Any) -> None:
    bad = random_windows(2)
    bad[1, 3, 0] = np.nan
    good = random_windows(1)
    first, second = instance.execute([_Request(bad), _Request(good)])
    assert second.error is None
    np.testing.assert_allclose(
        second.tensors["reconstruction_error"], expected_outputs(good)["reconstruction_error"], rtol=1e-6
    )
    assert first.error.status == _Error.INVALID_ARG
    assert "the first at [1, 3, 0]" in first.error.message


def test_a_batch_of_nothing_but_bad_windows_is_answered(instance: Any) -> None:
    replies = instance.execute([_Request(np.full((1, 6, 2), np.inf, np.float32))] * 2)
    assert [reply.error.status for reply in replies] == [_Error.INVALID_ARG] * 2


def test_a_failing_backend_is_told_to_all_of_the_batch(instance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(windows: FloatArray, outputs: object) -> None:
        raise BackendError("onnxruntime: out of memory")

    monkeypatch.setattr(instance._scorer, "run", fail)
    replies = instance.execute([_Request(random_windows(1)), _Request(random_windows(2))])
    assert [(reply.error.status, reply.error.message) for reply in replies] == [
        (_Error.INTERNAL, "onnxruntime: out of memory")
    ] * 2


def test_a_damaged_folder_does_not_load(model: type, tmp_path: Path) -> None:
    folder = write_version(tmp_path)
    (folder / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(BundleError, match=r"model\.onnx"):
        model().initialize(_arguments(folder, offbeat_backend="onnxruntime"))


def test_packages_of_pythonpath_are_found_though_python_is_isolated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:")
    request.getfixturevalue("model")
    assert sys.path[0] == str(tmp_path)
