"""A client that we did not write: Triton's. In a process of its own, because both register the `inference` messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runtime.folders import expected_outputs, random_windows, write_version

from .fakes import make_scorer
from .live import Serve

PROGRAM = """
import json, sys
import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(sys.argv[1])
windows = np.array(json.loads(sys.argv[2]), np.float32)
told = {"ready": [client.is_server_live(), client.is_server_ready(), client.is_model_ready("level")]}
told["index"] = [[m.name, m.version, m.state] for m in client.get_model_repository_index().models]
metadata = client.get_model_metadata("level")
told["inputs"] = [[i.name, i.datatype, list(i.shape)] for i in metadata.inputs]
config = client.get_model_config("level").config
told["config"] = [config.max_batch_size, config.input[0].name, list(config.input[0].dims), config.platform]

tensor = triton.InferInput(metadata.inputs[0].name, windows.shape, metadata.inputs[0].datatype)
tensor.set_data_from_numpy(windows)
wanted = [triton.InferRequestedOutput(name) for name in ("is_anomaly", "anomaly_score", "step_error")]
result = client.infer("level", [tensor], outputs=wanted, request_id="7", client_timeout=60)
told["id"] = result.get_response().id
told["scores"] = {name: result.as_numpy(name).tolist() for name in ("is_anomaly", "anomaly_score", "step_error")}
told["default"] = [output.name for output in client.infer("level", [tensor]).get_response().outputs]
try:
    client.infer("nobody", [tensor])
except InferenceServerException as error:
    told["error"] = [error.status(), error.message()]
client.close()
print(json.dumps(told))
"""


def told_by(program: str, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_tritons_client_lists_describes_and_scores_a_model(serve: Serve) -> None:
    server = serve(make_scorer(version=2))
    windows = random_windows(3)
    told = told_by(PROGRAM, server.target, json.dumps(windows.tolist()))
    assert told["ready"] == [True, True, True]
    assert told["index"] == [["level", "2", "READY"]]
    assert told["inputs"] == [["window", "FP32", [-1, -1, 2]]]
    assert told["config"] == [512, "window", [-1, 2], "onnxruntime_onnx"]
    assert told["id"] == "7"
    for name, values in told["scores"].items():
        expected = expected_outputs(windows)[name]
        np.testing.assert_array_equal(np.array(values, expected.dtype), expected)
    assert told["default"] == ["reconstruction_error", "anomaly_score", "is_anomaly"]
    assert told["error"][0] == "StatusCode.NOT_FOUND"
    assert "'nobody'" in told["error"][1]


ADMIN = """
import json, sys
import tritonclient.grpc as triton
import numpy as np
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(sys.argv[1])
told = {}

def index():
    return [[m.name, m.version, m.state, m.reason] for m in client.get_model_repository_index().models]

def error_of(call, *arguments, **parameters):
    try:
        call(*arguments, **parameters)
    except InferenceServerException as error:
        return [error.status(), error.message()]

told["before"] = index()
client.load_model("level")
told["loaded"] = [client.is_model_ready("level"), index()]
client.load_model("level", config=json.dumps({"version_policy": {"specific": {"versions": [1]}}}))
told["policy"] = client.get_model_config("level", as_json=True)["config"]["version_policy"]
told["versions"] = list(client.get_model_metadata("level").versions)
windows = np.ones((3, 6, 2), np.float32)
tensor = triton.InferInput("window", windows.shape, "FP32")
tensor.set_data_from_numpy(windows)
for _ in range(4):
    client.infer("level", [tensor])
told["statistics"] = client.get_inference_statistics("level", as_json=True)["model_stats"]
told["all"] = len(client.get_inference_statistics().model_stats)
client.unload_model("level")
told["unloaded"] = [client.is_model_ready("level"), index()]
told["errors"] = {
    "load": error_of(client.load_model, "nobody"),
    "unload": error_of(client.unload_model, "nobody"),
    "infer": error_of(client.infer, "level", [tensor]),
    "statistics": error_of(client.get_inference_statistics, "nobody"),
}
client.close()
print(json.dumps(told))
"""

STREAM = """
import asyncio, json, queue, sys
import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio

N = 40

def tensor_of(n_rows):
    windows = np.full((n_rows, 6, 2), n_rows, np.float32)
    tensor = triton.InferInput("window", windows.shape, "FP32")
    tensor.set_data_from_numpy(windows)
    return tensor

def tell(result, error):
    if error is not None:
        return ["error", error.message()]
    return [result.get_response().id, result.as_numpy("reconstruction_error").tolist()]

answers = queue.Queue()
client = triton.InferenceServerClient(sys.argv[1])
client.start_stream(callback=lambda result, error: answers.put(tell(result, error)))
for number in range(N):
    client.async_stream_infer("nobody" if number == 7 else "level", [tensor_of(1 + number % 5)], request_id=str(number))
told = {"callback": [answers.get(timeout=60) for _ in range(N)]}
client.stop_stream()
client.close()

async def requests():
    for number in range(N):
        yield {"model_name": "nobody" if number == 7 else "level", "inputs": [tensor_of(1 + number % 5)], "request_id": str(number)}

async def main():
    async with triton_aio.InferenceServerClient(sys.argv[1]) as client:
        return [tell(result, error) async for result, error in client.stream_infer(requests())]

told["aio"] = asyncio.run(main())
print(json.dumps(told))
"""


def test_tritons_client_loads_counts_and_unloads_a_model(serve: Serve, tmp_path: Path) -> None:
    for version in (1, 2):
        write_version(tmp_path, "level", version)
    server = serve(path=tmp_path, model_control_mode="explicit")
    told = told_by(ADMIN, server.target)
    assert told["before"] == [["level", "", "UNAVAILABLE", "not loaded"]]
    assert told["loaded"] == [True, [["level", "2", "READY", ""]]]
    assert told["policy"] == {"specific": {"versions": ["1"]}}
    assert told["versions"] == ["1"]
    (statistics,) = told["statistics"]
    assert {name: statistics[name] for name in ("name", "version", "inference_count", "execution_count")} == {
        "name": "level",
        "version": "1",
        "inference_count": "12",
        "execution_count": "4",
    }
    assert statistics["inference_stats"]["success"]["count"] == "4"
    assert int(statistics["inference_stats"]["compute_infer"]["ns"]) > 0
    assert [each["batch_size"] for each in statistics["batch_stats"]] == ["3"]
    assert told["all"] == 1
    is_ready, index = told["unloaded"]
    assert not is_ready
    assert ["level", "1", "UNAVAILABLE", "unloaded"] in index
    errors = told["errors"]
    assert {name: error[0] for name, error in errors.items()} == dict.fromkeys(errors, "StatusCode.NOT_FOUND")
    assert errors["load"][1].startswith("failed to load 'nobody', failed to poll from model repository")
    assert errors["infer"][1].startswith("Request for unknown model: 'level' has no available versions")
    assert errors["statistics"][1].startswith("Request for unknown model: 'nobody' is not found")


@pytest.mark.parametrize("max_inline_us", [0, 200])
def test_tritons_streams_are_answered_in_the_order_of_the_requests(serve: Serve, max_inline_us: int) -> None:
    server = serve(make_scorer(), max_inline_us=max_inline_us)
    told = told_by(STREAM, server.target)
    for answers in told.values():
        assert len(answers) == 40
        assert answers[7][0] == "error"
        assert answers[7][1].startswith("Request for unknown model: 'nobody' is not found")
        for number, (request_id, errors) in enumerate(answers):
            if number != 7:
                n_rows = 1 + number % 5
                windows = np.full((n_rows, 6, 2), n_rows, np.float32)
                assert request_id == str(number)
                np.testing.assert_allclose(errors, expected_outputs(windows)["reconstruction_error"], rtol=1e-6)
