from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import Any

import onnxruntime as ort
import pytest

from offbeat.bundle import Manifest
from offbeat.config import BatchingConfig
from offbeat_export.config_pbtxt import config_pbtxt
from offbeat_export.onnx_export import export_onnx
from tests.export.checkpoints import CHECKPOINTS
from tests.export.scorers import scorer_of

pytest.importorskip("tritonclient")

# In a process of its own: tritonclient and offbeat both register inference.ModelConfig with protobuf.
_PARSE = """
import json, sys
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2
configs = {}
for name, text in json.load(sys.stdin).items():
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    configs[name] = json_format.MessageToDict(config, preserving_proto_field_name=True)
print(json.dumps(configs))
"""
NAMES = ("lstm, 5 features, 1 layer", "repeat-classifier", "repeat-forecast", "flexible, fewer repeats", "variational")
BATCHING = BatchingConfig(max_batch_size=32, max_queue_delay_us=100, max_queue_size=7)
Config = dict[str, Any]
# Triton's word for a type, and ONNX Runtime's.
TYPES = {"TYPE_FP32": "tensor(float)", "TYPE_BOOL": "tensor(bool)"}


@cache
def scorers() -> dict[str, tuple[Any, Manifest]]:
    return {name: scorer_of(CHECKPOINTS[name]()) for name in NAMES}


@pytest.fixture(scope="module")
def configs() -> dict[str, Config]:
    """What Triton's own protobuf reads in the configuration of each model."""
    texts = {name: config_pbtxt(manifest, BATCHING) for name, (_, manifest) in scorers().items()}
    command = [sys.executable, "-W", "ignore", "-c", _PARSE]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_tritons_own_protobuf_reads_the_tensors_that_the_manifest_lists(configs: dict[str, Config], name: str) -> None:
    config, (_, manifest) = configs[name], scorers()[name]
    assert (config["name"], config["platform"]) == (manifest.name, "onnxruntime_onnx")
    for key, specs in (("input", manifest.inputs), ("output", manifest.outputs)):
        assert [tensor["name"] for tensor in config[key]] == [spec.name for spec in specs]
        for tensor, spec in zip(config[key], specs, strict=True):
            assert tensor["data_type"] == {"float32": "TYPE_FP32", "bool": "TYPE_BOOL"}[spec.dtype]
            assert dims(tensor) == [-1 if isinstance(axis, str) else axis for axis in spec.shape[1:]]


def dims(tensor: Config) -> list[int]:
    """The shape behind the batch axis that Triton expects of the model: that of `reshape` where there is one."""
    if "reshape" in tensor:
        assert tensor["dims"] == ["1"]
        return [int(size) for size in tensor["reshape"].get("shape", [])]
    return [int(size) for size in tensor["dims"]]


@pytest.mark.parametrize("name", NAMES)
def test_tritons_own_protobuf_reads_how_requests_wait_and_what_they_run_on(
    configs: dict[str, Config], name: str
) -> None:
    config = configs[name]
    assert config["max_batch_size"] == BATCHING.max_batch_size
    # No default_queue_policy, with which Triton has requests wait for half a second.
    assert config["dynamic_batching"] == {"max_queue_delay_microseconds": str(BATCHING.max_queue_delay_us)}
    assert config["instance_group"] == [{"count": 1}]
    parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
    assert parameters["intra_op_thread_count"] == parameters["inter_op_thread_count"] == "1"
    assert parameters["enable_mem_pattern"] == "false"


@pytest.mark.parametrize("name", NAMES)
def test_tritons_own_protobuf_reads_a_warm_up_that_the_model_can_run(configs: dict[str, Config], name: str) -> None:
    manifest = scorers()[name][1]
    warmups = configs[name]["model_warmup"]
    assert [each["batch_size"] for each in warmups] == [1, BATCHING.max_batch_size]
    length = [] if manifest.window is None else [manifest.window.length]
    for each in warmups:
        assert list(each["inputs"]) == ["window"]
        window = each["inputs"]["window"]
        assert (window["data_type"], window["zero_data"]) == ("TYPE_FP32", True)
        assert [int(size) for size in window["dims"]] == [*length, len(manifest.feature_names)]


def test_a_model_of_single_rows_warms_up_once() -> None:
    manifest = scorers()["variational"][1]
    assert config_pbtxt(manifest, BatchingConfig(max_batch_size=1)).count("model_warmup") == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_is_what_tritons_onnx_runtime_backend_demands_of_the_configuration(
    configs: dict[str, Config], name: str
) -> None:
    """The rules by which that backend refuses a model: ValidateInputs, ValidateOutputs and CompareDimsSupported.

    As many inputs as the model has; every tensor by its name, with its type; a model that is batched has a first axis of
    any size; the others are the configuration's, exactly for outputs, and for inputs where the model fixes them.
    """
    module, manifest = scorers()[name]
    session = ort.InferenceSession(export_onnx(module, manifest), providers=["CPUExecutionProvider"])
    config = configs[name]
    assert len(config["input"]) == len(session.get_inputs())
    for key, nodes, is_exact in (("input", session.get_inputs(), False), ("output", session.get_outputs(), True)):
        by_name = {node.name: node for node in nodes}
        for tensor in config[key]:
            node = by_name[tensor["name"]]
            assert node.type == TYPES[tensor["data_type"]]
            first, *others = [-1 if isinstance(axis, str) else axis for axis in node.shape]
            assert first == -1
            assert len(others) == len(dims(tensor))
            for of_model, of_config in zip(others, dims(tensor), strict=True):
                assert of_model == of_config or (of_model == -1 and not is_exact)
