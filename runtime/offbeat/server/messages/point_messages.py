"""Between the messages of ScorePoints and arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from offbeat.errors import InvalidWindowError
from offbeat.result import BoolArray
from offbeat.server.messages.scoring_messages import encoded_outputs
from offbeat.server.scoring.query import Scored
from offbeat.streams import Rows, Taken
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


def encoded_scores(
    request_id: str, model: str, version: int, taken: Taken, scored: Scored | None, alarms: BoolArray | None
) -> bytes:
    """The answer, a PointsResponse; several of them, one behind the other, are one as well."""
    rest = PointScores(
        id=request_id,
        rows=_numbers(taken.rows),
        alarms=b"" if alarms is None else alarms.tobytes(),
        dropped_rows=_numbers(taken.dropped),
        n_started=taken.n_started,
    )
    if scored is None:
        rest.model, rest.version = model, version
        scores = rest.SerializeToString()
    else:
        scores = encoded_outputs(scored, PointScores, rest.SerializeToString())
    return field_prefix(_SCORES, len(scores)) + scores


def encoded_points_refusal(request_id: str, code: int, message: str, *, rows_kept: bool) -> bytes:
    """The refusal, a PointsResponse; `code` is a google.rpc.Code."""
    refusal = PointsRefusal(id=request_id, code=code, message=message, rows_kept=rows_kept)
    return PointsResponse(refusals=[refusal]).SerializeToString()


def joined(answers: Sequence[bytes]) -> bytes:
    """Answers as one message: the encoding of repeated fields allows it."""
    return answers[0] if len(answers) == 1 else b"".join(answers)


def _numbers(rows: NDArray[np.int64]) -> bytes:
    return rows.astype("<u4").tobytes()
