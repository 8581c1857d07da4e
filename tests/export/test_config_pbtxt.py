from __future__ import annotations

import json
import subprocess
import sys

import pytest

from offbeat.config import BatchingConfig
from offbeat_export.config_pbtxt import config_pbtxt
from tests.export.checkpoints import lstm_checkpoint, table_checkpoint
from tests.export.scorers import scorer_of

# In a process of its own: tritonclient and offbeat both register inference.ModelConfig with protobuf.
_PARSE = """
import json, sys
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2
config = text_format.Parse(sys.stdin.read(), model_config_pb2.ModelConfig())
print(json.dumps(json_format.MessageToDict(config, preserving_proto_field_name=True)))
"""


def _parsed(text: str) -> dict:
    pytest.importorskip("tritonclient")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PARSE], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_tritons_own_protobuf_reads_the_configuration_of_a_series_model() -> None:
    _, manifest = scorer_of(lstm_checkpoint(2))
    config = _parsed(config_pbtxt(manifest, BatchingConfig(max_batch_size=32, max_queue_delay_us=100)))
    assert (config["name"], config["platform"], config["max_batch_size"]) == ("sensors", "onnxruntime_onnx", 32)
    assert config["input"] == [{"name": "window", "data_type": "TYPE_FP32", "dims": ["-1", "2"]}]
    outputs = {output.pop("name"): output for output in config["output"]}
    assert list(outputs) == list(manifest.output_names)
    assert outputs["reconstruction_error"] == {"data_type": "TYPE_FP32", "dims": ["1"], "reshape": {}}
    assert outputs["is_anomaly"]["data_type"] == "TYPE_BOOL"
    assert outputs["feature_error"]["dims"] == ["2"]
    assert outputs["step_error"]["dims"] == ["-1"]
    assert outputs["reconstruction"]["dims"] == ["-1", "2"]
    assert config["dynamic_batching"]["max_queue_delay_microseconds"] == "100"
    assert config["dynamic_batching"]["default_queue_policy"] == {"max_queue_size": 1024}
    assert config["instance_group"] == [{"count": 1}]
    assert config["parameters"] == {"intra_op_thread_count": {"string_value": "1"}}


def test_a_table_has_no_time_axis() -> None:
    _, manifest = scorer_of(table_checkpoint(5))
    config = _parsed(config_pbtxt(manifest))
    assert config["input"][0]["dims"] == ["5"]
    assert {output["name"]: output["dims"] for output in config["output"]}["reconstruction"] == ["5"]
