"""A client that we did not write: Triton's. In a process of its own, because both register the `inference` messages."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from tests.runtime.folders import expected_outputs, random_windows

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
result = client.infer("level", [tensor], outputs=wanted, request_id="7", client_timeout=20)
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


def test_tritons_client_lists_describes_and_scores_a_model(serve: Serve) -> None:
    server = serve(make_scorer(version=2))
    windows = random_windows(3)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, server.target, json.dumps(windows.tolist())],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
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
