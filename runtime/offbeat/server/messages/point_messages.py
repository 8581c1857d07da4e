"""Between the messages of ScorePoints and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from offbeat.errors import InvalidWindowError
from offbeat.result import BoolArray
from offbeat.server.messages.scoring_messages import OutputField, output_template
from offbeat.server.scoring.query import Scored
from offbeat.streams import Rows
from offbeat.v1.scoring_pb2 import PointScores, PointsRefusal, PointsRequest, PointsResponse
from offbeat.wire import field_prefix

_SCORES = PointsResponse.DESCRIPTOR.fields_by_name["scores"].number


def rows_of(request: PointsRequest, n_features: int) -> Rows:
    """The rows in a request. Raises InvalidWindowError where bytes do not fill them."""
    row_bytes = 4 * n_features
    if len(request.values) % row_bytes:
        raise InvalidWindowError(
            f"values hold {len(request.values)} bytes; expected {row_bytes} a row, for {n_features} float32 features"
        )
    if len(request.timestamps) % 8:
        raise InvalidWindowError(f"timestamps hold {len(request.timestamps)} bytes; expected 8 a row, for int64")
    return Rows(
        series=request.series,
        values=np.frombuffer(request.values, "<f4").reshape(-1, n_features),
        timestamps=np.frombuffer(request.timestamps, "<i8") if request.timestamps else None,
    )


class EncodedOutputs:
    """The outputs of windows of several requests, as bytes: of each request a piece of them travels.

    `is_anomaly` [window] is what they say of that, None where it was not asked for.
    """

    __slots__ = ("_data", "_fields", "_scored", "is_anomaly")

    def __init__(self, scored: Scored) -> None:
        self._scored = scored
        is_anomaly = scored.outputs.get("is_anomaly")
        self.is_anomaly: BoolArray | None = None if is_anomaly is None else np.asarray(is_anomaly, np.bool_)
        self._fields = tuple((name, array.dtype, array.shape[1:]) for name, array in scored.outputs.items())
        self._data = [(array.tobytes(), array.nbytes // len(array)) for array in scored.outputs.values()]

    def of(self, begin: int, end: int) -> list[bytes]:
        """Model, version and outputs of the windows from `begin` to before `end`, as fields of PointScores."""
        template = _template(self._scored.model, self._scored.version, end - begin, self._fields)
        parts: list[bytes] = []
        for before, (data, n_bytes) in zip(template, self._data, strict=True):
            parts += (before, data[begin * n_bytes : end * n_bytes])
        return parts


# Messages of one stream have few different numbers of windows.
@lru_cache(256)
def _template(model: str, version: int, n_windows: int, fields: tuple[OutputField, ...]) -> list[bytes]:
    shaped = tuple((name, dtype, (n_windows, *shape)) for name, dtype, shape in fields)
    return output_template(PointScores, model, version, shaped)


def encoded_scores(rest: PointScores, outputs: Sequence[bytes]) -> bytes:
    """The answer, a PointsResponse, of its outputs and of all else; several of them, one behind the other, are one as well."""
    scores = b"".join((rest.SerializeToString(), *outputs))
    return field_prefix(_SCORES, len(scores)) + scores


def encoded_points_refusal(request_id: str, code: int, message: str, *, rows_kept: bool) -> bytes:
    """The refusal, a PointsResponse; `code` is a google.rpc.Code."""
    refusal = PointsRefusal(id=request_id, code=code, message=message, rows_kept=rows_kept)
    return PointsResponse(refusals=[refusal]).SerializeToString()


def joined(answers: Sequence[bytes]) -> bytes:
    """Answers as one message: the encoding of repeated fields allows it."""
    return answers[0] if len(answers) == 1 else b"".join(answers)
