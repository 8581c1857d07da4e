from __future__ import annotations

from typing import Any

import grpc
import numpy as np
import pytest

from offbeat.inference import open_inference_pb2 as oip
from offbeat.reply_timing import ReplyTiming
from tests.runtime.folders import OUTPUTS, expected_outputs, random_windows

from .calls import INFER, ask, infer, infer_request
from .fakes import make_scorer
from .live import LiveServer, Serve

SERVICE = "/inference.GRPCInferenceService"
WINDOWS = random_windows(3)


@pytest.fixture
def server(serve: Serve) -> LiveServer:
    return serve(make_scorer(), make_scorer(version=4), make_scorer(name="other"), max_queue_delay_us=7)


def parameter(value: Any = True) -> oip.InferParameter:
    if isinstance(value, bool):
        return oip.InferParameter(bool_param=value)
    return oip.InferParameter(string_param=value) if isinstance(value, str) else oip.InferParameter(int64_param=value)


def infer_arrays(response: oip.ModelInferResponse) -> dict[str, Any]:
    dtypes = {"FP32": np.float32, "BOOL": np.bool_}
    return {
        output.name: np.frombuffer(raw, dtypes[output.datatype]).reshape(output.shape)
        for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }


def test_raw_windows_are_scored_and_outputs_come_raw_in_the_order_asked_for(server: LiveServer) -> None:
    outputs = tuple(reversed(OUTPUTS))
    response = infer(server.channel, infer_request(WINDOWS, outputs, id="mine"))
    assert (response.model_name, response.model_version, response.id) == ("level", "4", "mine")
    scores = infer_arrays(response)
    assert tuple(scores) == outputs
    for name, expected in expected_outputs(WINDOWS).items():
        np.testing.assert_array_equal(scores[name], expected)


def test_typed_contents_give_the_same_scores(server: LiveServer) -> None:
    tensor = infer_request(WINDOWS).inputs[0]
    tensor.contents.fp32_contents.extend(WINDOWS.ravel().tolist())
    response = infer(server.channel, infer_request(WINDOWS, inputs=[tensor], raw_input_contents=[]))
    scores = infer_arrays(response)
    assert list(scores) == ["reconstruction_error", "anomaly_score", "is_anomaly"]
    np.testing.assert_array_equal(scores["reconstruction_error"], expected_outputs(WINDOWS)["reconstruction_error"])


def test_a_version_is_chosen_by_its_number(server: LiveServer) -> None:
    assert infer(server.channel, infer_request(WINDOWS, model_version="1")).model_version == "1"


def test_a_reply_tells_its_timing_in_the_trailing_metadata(server: LiveServer) -> None:
    reply, call = server.channel.unary_unary(INFER).with_call(infer_request(WINDOWS).SerializeToString())
    timing = ReplyTiming.of_metadata(call.trailing_metadata())
    assert timing is not None
    version = int(oip.ModelInferResponse.FromString(reply).model_version)
    assert (timing.version, timing.size, timing.backend) == (version, len(WINDOWS), "numpy (test)")


def spoiled(case: str) -> oip.ModelInferRequest:
    request = infer_request(WINDOWS, ["is_anomaly"])
    tensor = request.inputs[0]
    match case:
        case "raw and typed":
            tensor.contents.fp32_contents.extend([1.0] * 36)
        case "typed of another type":
            request.ClearField("raw_input_contents")
            tensor.contents.fp64_contents.extend([1.0] * 36)
        case "too few typed values":
            request.ClearField("raw_input_contents")
            tensor.contents.fp32_contents.extend([1.0] * 35)
        case "no values":
            request.ClearField("raw_input_contents")
        case "two raw contents":
            request.raw_input_contents.append(b"")
        case "two inputs":
            request.inputs.append(tensor)
        case "classification":
            request.outputs[0].parameters["classification"].CopyFrom(parameter(3))
        case "shared memory for the input":
            tensor.parameters["shared_memory_region"].CopyFrom(parameter("region"))
        case "shared memory for an output":
            request.outputs[0].parameters["shared_memory_region"].CopyFrom(parameter("region"))
        case "a sequence":
            request.parameters["sequence_id"].CopyFrom(parameter(7))
    return request


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("raw and typed", "contents and raw_input_contents"),
        ("typed of another type", "fp64_contents; expected fp32_contents"),
        ("too few typed values", "35 values; expected 36"),
        ("no values", "0 values; expected 36"),
        ("two raw contents", "2 raw_input_contents; expected one"),
        ("two inputs", "2 input tensors; expected one"),
        ("classification", "output 'is_anomaly' has parameter 'classification'"),
        ("shared memory for the input", "input 'window' has parameter 'shared_memory_region'"),
        ("shared memory for an output", "output 'is_anomaly' has parameter 'shared_memory_region'"),
        ("a sequence", "the request has parameter 'sequence_id'"),
    ],
)
def test_what_would_change_the_meaning_is_refused(server: LiveServer, case: str, message: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        infer(server.channel, spoiled(case))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert message in caught.value.details()


def test_parameters_that_are_hints_are_ignored(server: LiveServer) -> None:
    request = infer_request(WINDOWS, ["is_anomaly"])
    request.parameters["priority"].CopyFrom(parameter(1))
    request.parameters["binary_data_output"].CopyFrom(parameter())
    request.inputs[0].parameters["binary_data_size"].CopyFrom(parameter(144))
    request.outputs[0].parameters["binary_data"].CopyFrom(parameter())
    assert infer_arrays(infer(server.channel, request))["is_anomaly"].shape == (3,)


def test_the_server_says_who_it_is_and_that_it_is_ready(server: LiveServer) -> None:
    live = ask(server.channel, f"{SERVICE}/ServerLive", oip.ServerLiveRequest(), oip.ServerLiveResponse)
    ready = ask(server.channel, f"{SERVICE}/ServerReady", oip.ServerReadyRequest(), oip.ServerReadyResponse)
    told = ask(server.channel, f"{SERVICE}/ServerMetadata", oip.ServerMetadataRequest(), oip.ServerMetadataResponse)
    assert (live.live, ready.ready, told.name) == (True, True, "offbeat")
    assert told.version[0].isdigit()


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [("level", "", True), ("level", "4", True), ("level", "2", False), ("level", "x", False), ("nobody", "", False)],
)
def test_a_model_is_ready_when_that_version_of_it_is_served(
    server: LiveServer, name: str, version: str, expected: bool
) -> None:
    request = oip.ModelReadyRequest(name=name, version=version)
    assert ask(server.channel, f"{SERVICE}/ModelReady", request, oip.ModelReadyResponse).ready is expected


def test_a_model_describes_its_tensors_with_any_size_as_minus_one(server: LiveServer) -> None:
    request = oip.ModelMetadataRequest(name="level")
    told = ask(server.channel, f"{SERVICE}/ModelMetadata", request, oip.ModelMetadataResponse)
    assert (told.name, list(told.versions), told.platform) == ("level", ["1", "4"], "onnxruntime_onnx")
    assert [(each.name, each.datatype, list(each.shape)) for each in told.inputs] == [("window", "FP32", [-1, -1, 2])]
    assert [(each.name, each.datatype, list(each.shape)) for each in told.outputs] == [
        ("reconstruction_error", "FP32", [-1]),
        ("anomaly_score", "FP32", [-1]),
        ("is_anomaly", "BOOL", [-1]),
        ("feature_error", "FP32", [-1, 2]),
        ("step_error", "FP32", [-1, -1]),
        ("reconstruction", "FP32", [-1, -1, 2]),
    ]


def test_a_model_tells_its_configuration_as_triton_does(server: LiveServer) -> None:
    request = oip.ModelConfigRequest(name="level", version="4")
    config = ask(server.channel, f"{SERVICE}/ModelConfig", request, oip.ModelConfigResponse).config
    assert (config.name, config.platform, config.max_batch_size) == ("level", "onnxruntime_onnx", 512)
    assert config.dynamic_batching.max_queue_delay_microseconds == 7
    assert [(each.name, each.data_type, list(each.dims)) for each in config.input] == [
        ("window", oip.TYPE_FP32, [-1, 2])
    ]
    assert {each.name: each.data_type for each in config.output}["is_anomaly"] == oip.TYPE_BOOL


def test_the_repository_index_lists_every_version(server: LiveServer) -> None:
    request = oip.RepositoryIndexRequest(ready=True)
    index = ask(server.channel, f"{SERVICE}/RepositoryIndex", request, oip.RepositoryIndexResponse)
    assert [(each.name, each.version, each.state) for each in index.models] == [
        ("level", "1", "READY"),
        ("level", "4", "READY"),
        ("other", "1", "READY"),
    ]


@pytest.mark.parametrize("method", ["ModelMetadata", "ModelConfig"])
def test_an_unknown_model_is_not_described(server: LiveServer, method: str) -> None:
    request, reply = getattr(oip, f"{method}Request")(name="nobody"), getattr(oip, f"{method}Response")
    with pytest.raises(grpc.RpcError) as caught:
        ask(server.channel, f"{SERVICE}/{method}", request, reply)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
