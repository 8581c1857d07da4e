"""The messages that are sent, and how large their answers are."""

from __future__ import annotations

from typing import Literal

from benchmarks.models import random_windows
from offbeat.inference.open_inference_pb2 import ModelInferRequest
from offbeat.v1.scoring_pb2 import DATA_TYPE_FLOAT32, ScoreRequest, Tensor

Protocol = Literal["score", "infer", "score-stream"]
METHODS: dict[Protocol, str] = {
    "score": "/offbeat.v1.AnomalyScoring/Score",
    "infer": "/inference.GRPCInferenceService/ModelInfer",
    "score-stream": "/offbeat.v1.AnomalyScoring/ScoreStream",
}


def payload(model: str, protocol: Protocol, n_windows: int) -> bytes:
    """One request for the default outputs of standard normal windows."""
    windows = random_windows(model, n_windows, seed=2)
    if protocol == "infer":
        tensor = ModelInferRequest.InferInputTensor(name="window", datatype="FP32", shape=windows.shape)
        return ModelInferRequest(
            model_name=model, inputs=[tensor], raw_input_contents=[windows.tobytes()]
        ).SerializeToString()
    window = Tensor(name="window", data_type=DATA_TYPE_FLOAT32, shape=windows.shape, data=windows.tobytes())
    return ScoreRequest(model=model, window=window).SerializeToString()
