"""Requests whose answers are known to the byte, so that holding one against the other costs next to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import msgspec

from offbeat.result import FloatArray
from offbeat.v1.scoring_pb2 import (
    DATA_TYPE_FLOAT32,
    PointsRequest,
    PointsResponse,
    ScoreRequest,
    ScoreResponse,
    ScoreStreamResponse,
    Tensor,
)

SCORE, SCORE_STREAM, SCORE_POINTS = (
    f"/offbeat.v1.AnomalyScoring/{name}" for name in ("Score", "ScoreStream", "ScorePoints")
)
_PLACE = b"#" * 12


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its answer, each in two parts with an id of twelve characters between them."""

    request: tuple[bytes, bytes]
    answer: tuple[bytes, bytes]

    def asked(self, name: bytes) -> bytes:
        """The request under that id."""
        return name.join(self.request)

    def is_answered_by(self, message: bytes, name: bytes) -> bool:
        """Whether this is the answer to the question and carries that id."""
        return message == name.join(self.answer)


class Answer(msgspec.Struct, frozen=True):
    """What a stream says about the request of that id: the answer's bytes, or, where it is refused, a google.rpc.Code."""

    id: str
    message: bytes | None
    code: int = 0


def answers(method: str, data: bytes) -> Iterator[Answer]:
    """Those in one message of a stream of that method."""
    if method == SCORE_POINTS:
        points = PointsResponse.FromString(data)
        yield from (Answer(each.id, each.SerializeToString()) for each in points.scores)
        yield from (Answer(each.id, None, each.code) for each in points.refusals)
        return
    reply = ScoreStreamResponse.FromString(data)
    if reply.HasField("refusal"):
        yield Answer(reply.refusal.id, None, reply.refusal.code)
    else:
        yield Answer(reply.response.id, reply.response.SerializeToString())


def questions(target: str, model: str, windows: Sequence[FloatArray]) -> list[Question]:
    """One for each of these windows [batch, ...], asked once while nothing else is: a row's score does not depend on its batch-mates."""
    asked = []
    with grpc.insecure_channel(target) as channel:
        score: Any = channel.unary_unary(SCORE)
        for each in windows:
            tensor = Tensor(name="window", data_type=DATA_TYPE_FLOAT32, shape=each.shape, data=each.tobytes())
            request = ScoreRequest(model=model, id=_PLACE.decode(), window=tensor).SerializeToString()
            answer = score(request, timeout=30)
            if ScoreResponse.FromString(answer).id != _PLACE.decode():
                raise SystemExit(f"the answer has another id: {answer!r}")
            asked.append(Question(request=_parts(request), answer=_parts(answer)))
    return asked


def point_questions(
    target: str, model: str, series: list[str], length: int, rows: Sequence[FloatArray]
) -> list[Question]:
    """One for each of these rows [series, feature]. Asked in turns, for ever, each has one answer: windows repeat with their rows.

    The series must be new to the server, and are left as if the last question had been asked. Windows have `length` rows.
    """
    requests = [
        PointsRequest(model=model, id=_PLACE.decode(), series=series, values=each.tobytes()).SerializeToString()
        for each in rows
    ]
    # The windows of the last round are full, and have nothing of what was before the first.
    n_rounds = 1 + -(-length // len(rows))
    with grpc.insecure_channel(target) as channel:
        stream: Any = channel.stream_stream(SCORE_POINTS)
        told = [each for data in stream(iter(requests * n_rounds), timeout=60) for each in answers(SCORE_POINTS, data)]
    right = [each.message for each in told[-len(rows) :]]
    if len(told) != len(rows) * n_rounds or None in right:
        raise SystemExit(f"not every row was taken: {told[-1]}")
    return [
        Question(request=_parts(request), answer=_parts(answer))
        for request, answer in zip(requests, right, strict=True)
        if answer is not None
    ]


def _parts(message: bytes) -> tuple[bytes, bytes]:
    before, _, after = message.partition(_PLACE)
    return before, after
