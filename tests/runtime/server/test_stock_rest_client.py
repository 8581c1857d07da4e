"""Triton's HTTP client, which we did not write, against the REST form; in a process of its own, as its gRPC one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.runtime.folders import expected_outputs, random_windows, write_version

from .live import Serve
from .test_stock_client import told_by

PROGRAM = """
import json, sys
import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(sys.argv[1])
windows = np.array(json.loads(sys.argv[2]), np.float32)
told = {"ready": [client.is_server_live(), client.is_server_ready(), client.is_model_ready("level")]}
client.load_model("level")
told["loaded"] = client.is_model_ready("level")
told["index"] = client.get_model_repository_index()
metadata = client.get_model_metadata("level")
told["inputs"] = metadata["inputs"]
told["config"] = client.get_model_config("level")["max_batch_size"]
for is_binary in (True, False):
    tensor = triton.InferInput("window", windows.shape, "FP32")
    tensor.set_data_from_numpy(windows, binary_data=is_binary)
    wanted = [triton.InferRequestedOutput(name, binary_data=is_binary) for name in ("is_anomaly", "anomaly_score")]
    result = client.infer("level", [tensor], outputs=wanted, request_id="7")
    told[str(is_binary)] = {name: result.as_numpy(name).tolist() for name in ("is_anomaly", "anomaly_score")}
    told["default"] = [output["name"] for output in client.infer("level", [tensor]).get_response()["outputs"]]
told["count"] = client.get_inference_statistics("level")["model_stats"][0]["inference_count"]
try:
    client.infer("nobody", [tensor])
except InferenceServerException as error:
    told["error"] = [error.status(), error.message()]
client.unload_model("level")
told["unloaded"] = client.is_model_ready("level")
client.close()
print(json.dumps(told))
"""


def test_tritons_http_client_loads_describes_scores_and_unloads_a_model(serve: Serve, tmp_path: Path) -> None:
    write_version(tmp_path)
    server = serve(path=tmp_path, model_control_mode="explicit", metrics_port=0, rest=True)
    windows = random_windows(3)
    told = told_by(PROGRAM, f"127.0.0.1:{server.server.metrics_port}", json.dumps(windows.tolist()))
    assert told["ready"] == [True, True, False]
    assert (told["loaded"], told["unloaded"]) == (True, False)
    assert told["index"] == [{"name": "level", "version": "1", "state": "READY", "reason": ""}]
    assert told["inputs"] == [{"name": "window", "datatype": "FP32", "shape": [-1, -1, 2]}]
    assert (told["config"], told["count"]) == (512, 12)
    expected = expected_outputs(windows)
    for is_binary in ("True", "False"):
        assert told[is_binary]["is_anomaly"] == expected["is_anomaly"].tolist()
        np.testing.assert_allclose(told[is_binary]["anomaly_score"], expected["anomaly_score"], rtol=1e-5)
    assert told["default"] == ["reconstruction_error", "anomaly_score", "is_anomaly"]
    assert told["error"][0] == "404"
    assert "'nobody'" in told["error"][1]
