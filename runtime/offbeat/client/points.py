"""Rows of series, and their scores, as a client sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from offbeat.client.messages import model_name, output_names, result_of, version_number
from offbeat.client.replies import Replies
from offbeat.client.status import error_of_number
from offbeat.errors import InvalidWindowError, require, require_count
from offbeat.result import BoolArray, ScoreResult
from offbeat.scorer import as_float32, real_array
from offbeat.series_config import MAX_STRIDE
from offbeat.v1.scoring_pb2 import PointScores, PointsRefusal, PointsRequest, PointsResponse, ScoreResponse

# What 64 bits of nanoseconds hold of years that are whole.
_FIRST_YEAR, _LAST_YEAR = 1678, 2261


class Points(Struct, frozen=True, kw_only=True, eq=False):
    """Rows to score: the `series` of each, or one for all; `values` [row, feature] in raw units.

    `timestamps` [row], integers in any unit or datetime64, which travels in nanoseconds, grow within a series.
    """

    series: str | Sequence[str]
    values: ArrayLike
    timestamps: ArrayLike | None = None


class PointResult(Struct, frozen=True, kw_only=True, eq=False):
    """What became of `points`: the scores of the windows that they filled, and which those are.

    `rows` [window] are the numbers of the rows, from 0, with which the windows became full. `scores` has a row for each
    window, None where there are none. `alarm` [window] says whether at least k of the series' last n windows are anomalous, None where
    `is_anomaly` was not asked for. `dropped` are the numbers of the rows that were late, and left out. Of `n_started` series the server
    knew nothing before.
    """

    points: Points
    rows: NDArray[np.int64]
    scores: ScoreResult | None
    alarm: BoolArray | None
    dropped: NDArray[np.int64]
    n_started: int

    @property
    def series(self) -> list[str]:
        """The series of each window."""
        names = self.points.series
        if isinstance(names, str):
            return [names] * len(self.rows)
        return [names[row if len(names) > 1 else 0] for row in self.rows.tolist()]


class PointReplies(Replies[PointsResponse, PointResult]):
    """Pairs answers, which come in the order of the requests, with the points that were sent."""

    def __init__(self, backend: str, target: str) -> None:
        super().__init__(backend, target)
        self._sent: dict[str, Points] = {}

    def request(
        self,
        points: Points,
        *,
        model: str,
        version: int | None,
        outputs: Sequence[str],
        stride: int,
        answer_delay_us: int,
        request_id: str,
    ) -> PointsRequest:
        """The request that is to be sent now. Raises InvalidWindowError for what no model takes, UnknownModelError, ConfigurationError."""
        require_count("stride", stride, 1, MAX_STRIDE, f"1 to {MAX_STRIDE:,} rows")
        require(0 <= answer_delay_us <= 1_000_000, "answer_delay_us", answer_delay_us, "0 to 1,000,000 µs")
        values = real_array(points.values)
        if values.ndim != 2:
            raise InvalidWindowError(f"values have shape {list(values.shape)}; expected [row, feature]")
        self._sent[request_id] = points
        return PointsRequest(
            model=model_name(model),
            version=version_number(version),
            id=request_id,
            series=[points.series] if isinstance(points.series, str) else points.series,
            values=as_float32(values).astype("<f4", copy=False).tobytes(),
            timestamps=b"" if points.timestamps is None else _timestamps(points.timestamps),
            outputs=output_names(outputs),
            stride=stride,
            answer_delay_us=answer_delay_us,
        )

    def accept(self, message: PointsResponse) -> Iterator[PointResult]:
        """The results in a message. Raises the error of a refused request."""
        # Within one message scores stand before refusals, whatever their order was.
        answers: Iterable[PointScores | PointsRefusal] = [*message.scores, *message.refusals]
        for answer in sorted(answers, key=lambda each: int(each.id)):
            self._n_told += 1
            points = self._sent.pop(answer.id)
            if isinstance(answer, PointsRefusal):
                kept = "; the rows are remembered, only their scores are missing" if answer.rows_kept else ""
                raise error_of_number(answer.code, f"{answer.message}{kept}", self._target)
            yield _result(points, answer, self._backend)


def _result(points: Points, answer: PointScores, backend: str) -> PointResult:
    response = ScoreResponse(model=answer.model, version=answer.version, outputs=answer.outputs)
    return PointResult(
        points=points,
        rows=np.frombuffer(answer.rows, "<u4").astype(np.int64),
        scores=result_of(response, backend) if answer.rows else None,
        alarm=np.frombuffer(answer.alarms, np.bool_) if answer.alarms else None,
        dropped=np.frombuffer(answer.dropped_rows, "<u4").astype(np.int64),
        n_started=answer.n_started,
    )


def _timestamps(timestamps: ArrayLike) -> bytes:
    array = np.asarray(timestamps)
    if array.dtype.kind == "M":
        if np.isnat(array).any():
            raise InvalidWindowError(f"timestamp {int(np.isnat(array).argmax())} is NaT; expected a time for each row")
        years = array.astype("datetime64[Y]").astype(np.int64) + 1970
        if ((years < _FIRST_YEAR) | (years > _LAST_YEAR)).any():
            seen = array[(years < _FIRST_YEAR) | (years > _LAST_YEAR)][0]
            raise InvalidWindowError(
                f"a timestamp is {seen}; expected {_FIRST_YEAR} to {_LAST_YEAR}, or integers of your own"
            )
        array = array.astype("datetime64[ns]").astype(np.int64)
    if array.dtype.kind == "u" and (array > np.iinfo(np.int64).max).any():
        raise InvalidWindowError(f"a timestamp is {array.max()}; expected at most {np.iinfo(np.int64).max}")
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidWindowError(
            f"timestamps have shape {list(array.shape)} and dtype {array.dtype}; expected [row] of integers or datetime64"
        )
    return array.astype("<i8").tobytes()
