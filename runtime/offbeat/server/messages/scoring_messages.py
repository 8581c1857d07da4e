"""Between the messages of offbeat.v1 and arrays."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from offbeat.errors import InvalidWindowError, quoted
from offbeat.server.messages.stream_format import StreamFormat
from offbeat.server.messages.unary_format import UnaryFormat
from offbeat.server.scoring.form import INPUT
from offbeat.server.scoring.query import Query, Scored
from offbeat.v1.scoring_pb2 import (
    DATA_TYPE_BOOL,
    DATA_TYPE_FLOAT32,
    DataType,
    PointScores,
    Refusal,
    ScoreRequest,
    ScoreResponse,
    ScoreStreamResponse,
    Tensor,
)
from offbeat.wire import field_prefix

# An output's name, and the type and shape of its array.
OutputField: TypeAlias = tuple[str, np.dtype[np.generic], tuple[int, ...]]
_DATA_TYPES: dict[np.dtype[Any], DataType] = {
    np.dtype(np.float32): DATA_TYPE_FLOAT32,
    np.dtype(np.bool_): DATA_TYPE_BOOL,
}


def query_of(request: ScoreRequest) -> Query:
    """What the request asks for. Raises InvalidWindowError for a tensor that is not what its fields say."""
    window = request.window
    if window.name != INPUT:
        raise InvalidWindowError(f"the tensor is named {quoted(window.name)}; expected {INPUT!r}")
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


def encoded_response(scored: Scored, request_id: str) -> bytes:
    """The answer to the request of that id, a ScoreResponse."""
    return encoded_outputs(
        scored, ScoreResponse, ScoreResponse(id=request_id).SerializeToString() if request_id else b""
    )


def encoded_outputs(scored: Scored, kind: type[ScoreResponse | PointScores], rest: bytes) -> bytes:
    """A message of that kind: its model, version and outputs, after the bytes of its other fields."""
    template = scored.form.templates.get(kind)
    if template is None:
        fields = tuple((name, array.dtype, array.shape) for name, array in scored.outputs.items())
        template = scored.form.templates[kind] = output_template(kind, scored.model, scored.version, fields)
    parts = [rest]
    for before, array in zip(template, scored.outputs.values(), strict=True):
        parts += (before, array.tobytes())
    return b"".join(parts)


def output_template(
    kind: type[ScoreResponse | PointScores], model: str, version: int, fields: tuple[OutputField, ...]
) -> list[bytes]:
    """What stands before the data of each output in a message of that kind, model and version before the first."""
    outputs = kind.DESCRIPTOR.fields_by_name["outputs"].number
    data = Tensor.DESCRIPTOR.fields_by_name["data"].number
    template: list[bytes] = []
    before = kind(model=model, version=version).SerializeToString()
    for name, dtype, shape in fields:
        n_bytes = dtype.itemsize * math.prod(shape)
        head = Tensor(name=name, data_type=_DATA_TYPES[dtype], shape=shape).SerializeToString()
        head += field_prefix(data, n_bytes)
        template.append(before + field_prefix(outputs, len(head) + n_bytes) + head)
        before = b""
    return template


def encoded_stream_refusal(request_id: str, code: int, message: str) -> bytes:
    """The refusal of the request of that id, a ScoreStreamResponse; `code` is a google.rpc.Code."""
    return ScoreStreamResponse(refusal=Refusal(id=request_id, code=code, message=message)).SerializeToString()


def _data_type_name(number: int) -> str:
    """The name of a data type; proto3 lets any number through."""
    known = number in DataType.values()
    return DataType.Name(number).removeprefix("DATA_TYPE_") if known else str(number)


SCORE = UnaryFormat(
    method="Score",
    kind=ScoreRequest,
    answer_kind=ScoreResponse,
    query_of=query_of,
    encoded=encoded_response,
    codec="score",
)
SCORE_STREAM = StreamFormat(
    method="ScoreStream",
    one=SCORE,
    answer_field=ScoreStreamResponse.DESCRIPTOR.fields_by_name["response"].number,
    encoded_refusal=encoded_stream_refusal,
    keeps_order=False,
)
