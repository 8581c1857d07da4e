"""Answers are put together from parts: protobuf must read in them what it would have written itself."""

from __future__ import annotations

import numpy as np
import pytest

from offbeat.inference.open_inference_pb2 import ModelInferResponse
from offbeat.reply_timing import ReplyTiming
from offbeat.server.messages import inference_messages, scoring_messages
from offbeat.server.scoring.form import RequestForm
from offbeat.server.scoring.query import Scored
from offbeat.v1.scoring_pb2 import (
    DATA_TYPE_BOOL,
    DATA_TYPE_FLOAT32,
    ScoreResponse,
    ScoreStreamResponse,
    Tensor,
)


def scored(n_rows: int, n_steps: int) -> Scored:
    generator = np.random.default_rng(0)
    outputs = {
        "reconstruction": generator.standard_normal((n_rows, n_steps, 3), np.float32),
        "is_anomaly": generator.random(n_rows) > 0.5,
    }
    form = RequestForm(shape=(n_rows, n_steps, 3), n_bytes=12 * n_rows * n_steps, outputs=tuple(outputs))
    timing = ReplyTiming(version=300, queue_us=0, batch_us=1, compute_us=1, size=1, backend="x")
    return Scored(model="press", form=form, outputs=outputs, timing=timing)


@pytest.mark.parametrize("request_id", ["", "7", "größer" * 40])
@pytest.mark.parametrize("n_rows", [1, 10, 42, 127, 128, 2000])
def test_an_answer_says_what_the_message_of_its_parts_says(n_rows: int, request_id: str) -> None:
    each = scored(n_rows, 5)
    types = {"reconstruction": DATA_TYPE_FLOAT32, "is_anomaly": DATA_TYPE_BOOL}
    expected = ScoreResponse(
        id=request_id,
        model="press",
        version=300,
        outputs=[
            Tensor(name=name, data_type=types[name], shape=array.shape, data=array.tobytes())
            for name, array in each.outputs.items()
        ],
    )
    # Twice: the second is made from the template that the first has left.
    for _ in range(2):
        assert ScoreResponse.FromString(scoring_messages.encoded_response(each, request_id)) == expected
        stream = ScoreStreamResponse.FromString(
            scoring_messages.SCORE_STREAM.around(scoring_messages.encoded_response(each, request_id))
        )
        assert stream == ScoreStreamResponse(response=expected)
    inferred = ModelInferResponse.FromString(inference_messages.encoded_response(each, request_id))
    assert (inferred.id, inferred.model_name, inferred.model_version) == (request_id, "press", "300")
    assert [(each.name, each.datatype, list(each.shape)) for each in inferred.outputs] == [
        ("reconstruction", "FP32", [n_rows, 5, 3]),
        ("is_anomaly", "BOOL", [n_rows]),
    ]
    assert list(inferred.raw_output_contents) == [array.tobytes() for array in each.outputs.values()]
