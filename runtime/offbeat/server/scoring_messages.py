"""Between the messages of offbeat.v1 and arrays."""

from __future__ import annotations

import numpy as np

from offbeat.errors import InvalidWindowError
from offbeat.server.form import INPUT
from offbeat.server.query import Query, Scored
from offbeat.v1.scoring_pb2 import (
    DATA_TYPE_BOOL,
    DATA_TYPE_FLOAT32,
    DataType,
    Refusal,
    ScoreRequest,
    ScoreResponse,
    ScoreStreamResponse,
    Tensor,
)

_DATA_TYPES = {np.dtype(np.float32): DATA_TYPE_FLOAT32, np.dtype(np.bool_): DATA_TYPE_BOOL}


def query_of(request: ScoreRequest) -> Query:
    """What the request asks for. Raises InvalidWindowError for a tensor that is not what its fields say."""
    window = request.window
    if window.name != INPUT:
        raise InvalidWindowError(f"the tensor is named {window.name!r}; expected {INPUT!r}")
    if window.data_type != DATA_TYPE_FLOAT32:
        raise InvalidWindowError(f"{INPUT!r} has data type {_data_type_name(window.data_type)}; expected FLOAT32")
    return Query(
        model=request.model,
        version=request.version or None,
        id=request.id,
        shape=tuple(window.shape),
        data=window.data,
        outputs=tuple(request.outputs),
        priority=request.priority,
    )


def response_of(scored: Scored, request_id: str) -> ScoreResponse:
    """The answer to the request of that id."""
    template = scored.form.templates.get(ScoreResponse)
    if template is None:
        template = scored.form.templates[ScoreResponse] = _template(scored).SerializeToString()
    response = ScoreResponse.FromString(template)
    response.id = request_id
    for tensor, array in zip(response.outputs, scored.outputs.values(), strict=True):
        tensor.data = array.tobytes()
    return response


def _template(scored: Scored) -> ScoreResponse:
    """What all answers to requests of that form have in common."""
    return ScoreResponse(
        model=scored.model,
        version=scored.version,
        outputs=[
            Tensor(name=name, data_type=_DATA_TYPES[array.dtype], shape=array.shape)
            for name, array in scored.outputs.items()
        ],
    )


def stream_response_of(scored: Scored, request_id: str) -> ScoreStreamResponse:
    """The answer to the request of that id, for a stream."""
    return ScoreStreamResponse(response=response_of(scored, request_id))


def stream_refusal(request_id: str, code: int, message: str) -> ScoreStreamResponse:
    """The refusal of the request of that id; `code` is a google.rpc.Code."""
    return ScoreStreamResponse(refusal=Refusal(id=request_id, code=code, message=message))


def _data_type_name(number: int) -> str:
    """The name of a data type; proto3 lets any number through."""
    known = number in DataType.values()
    return DataType.Name(number).removeprefix("DATA_TYPE_") if known else str(number)
