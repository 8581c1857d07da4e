"""Calls of ScorePoints, as a client of another language would make them."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import numpy as np

from offbeat.result import FloatArray
from offbeat.v1 import scoring_pb2 as v1
from offbeat.v1.scoring_pb2_grpc import AnomalyScoringStub

Answer = v1.PointScores | v1.PointsRefusal


def points_request(
    series: str | Sequence[str], values: FloatArray, timestamps: Sequence[int] | None = None, **fields: Any
) -> v1.PointsRequest:
    return v1.PointsRequest(
        **{
            "model": "level",
            "series": [series] if isinstance(series, str) else series,
            "values": np.asarray(values, "<f4").tobytes(),
            "timestamps": b"" if timestamps is None else np.asarray(timestamps, "<i8").tobytes(),
            **fields,
        }
    )


def rows(scores: v1.PointScores) -> list[int]:
    return [int(row) for row in np.frombuffer(scores.rows, "<u4")]


def dropped(scores: v1.PointScores) -> list[int]:
    return [int(row) for row in np.frombuffer(scores.dropped_rows, "<u4")]


def alarms(scores: v1.PointScores) -> list[bool]:
    return [bool(alarm) for alarm in np.frombuffer(scores.alarms, np.bool_)]


class Feed:
    """A stream that a test feeds request by request; `ask` gives the answer to one."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._requests: queue.SimpleQueue[v1.PointsRequest | None] = queue.SimpleQueue()
        self._call = AnomalyScoringStub(channel).ScorePoints(iter(self._requests.get, None), timeout=120)  # type: ignore[no-untyped-call]
        self._answers = self._each()

    def send(self, request: v1.PointsRequest) -> None:
        self._requests.put(request)

    def take(self) -> Answer:
        return next(self._answers)

    def ask(self, request: v1.PointsRequest) -> Answer:
        self.send(request)
        return self.take()

    def scores(self, request: v1.PointsRequest) -> v1.PointScores:
        answer = self.ask(request)
        assert isinstance(answer, v1.PointScores), answer
        return answer

    def refusal(self, request: v1.PointsRequest) -> v1.PointsRefusal:
        answer = self.ask(request)
        assert isinstance(answer, v1.PointsRefusal), answer
        return answer

    def close(self) -> None:
        self._requests.put(None)
        self._call.cancel()

    def _each(self) -> Iterator[Answer]:
        for message in self._call:
            yield from message.scores
            yield from message.refusals
