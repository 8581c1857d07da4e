"""Requests of both protocols, right ones that a test then spoils."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np

from offbeat.inference import open_inference_pb2 as oip
from offbeat.result import FloatArray
from offbeat.v1 import scoring_pb2 as v1

SCORE = "/offbeat.v1.AnomalyScoring/Score"
INFER = "/inference.GRPCInferenceService/ModelInfer"


def score_request(windows: FloatArray, outputs: Sequence[str] = (), **fields: Any) -> v1.ScoreRequest:
    tensor = v1.Tensor(name="window", data_type=v1.DATA_TYPE_FLOAT32, shape=windows.shape, data=windows.tobytes())
    return v1.ScoreRequest(**{"model": "level", "window": tensor, "outputs": outputs, **fields})


def infer_request(windows: FloatArray, outputs: Sequence[str] = (), **fields: Any) -> oip.ModelInferRequest:
    tensor = oip.ModelInferRequest.InferInputTensor(name="window", datatype="FP32", shape=windows.shape)
    requested = [oip.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs]
    defaults = {"model_name": "level", "inputs": [tensor], "outputs": requested}
    return oip.ModelInferRequest(**{**defaults, "raw_input_contents": [windows.tobytes()], **fields})


def score(channel: grpc.Channel, request: v1.ScoreRequest, timeout: float = 60) -> v1.ScoreResponse:
    return v1.ScoreResponse.FromString(channel.unary_unary(SCORE)(request.SerializeToString(), timeout=timeout))


def score_later(channel: grpc.Channel, request: v1.ScoreRequest, timeout: float = 60) -> Any:
    """The call under way; `arrays` reads its result."""
    return channel.unary_unary(SCORE).future(request.SerializeToString(), timeout=timeout)


def infer(channel: grpc.Channel, request: oip.ModelInferRequest, timeout: float = 60) -> oip.ModelInferResponse:
    return oip.ModelInferResponse.FromString(channel.unary_unary(INFER)(request.SerializeToString(), timeout=timeout))


def ask(channel: grpc.Channel, method: str, request: Any, reply: Any) -> Any:
    """Calls `/service/Method` with a message, and reads a message of type `reply`."""
    return reply.FromString(channel.unary_unary(method)(request.SerializeToString(), timeout=60))


def arrays(response: v1.ScoreResponse | bytes) -> dict[str, np.ndarray[Any, Any]]:
    if isinstance(response, bytes):
        response = v1.ScoreResponse.FromString(response)
    dtypes = {v1.DATA_TYPE_FLOAT32: np.float32, v1.DATA_TYPE_BOOL: np.bool_}
    return {
        each.name: np.frombuffer(each.data, dtypes[each.data_type]).reshape(each.shape) for each in response.outputs
    }
