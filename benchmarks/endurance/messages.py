"""Requests whose answers are known to the byte, so that holding one against the other costs next to nothing."""

from __future__ import annotations

from typing import Any

import grpc
import msgspec

from benchmarks.models import random_windows
from offbeat.v1.scoring_pb2 import DATA_TYPE_FLOAT32, ScoreRequest, ScoreResponse, Tensor

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


def questions(target: str, model: str, n_windows: int, n_questions: int) -> list[Question]:
    """Different ones, each asked once while nothing else is: a row's score does not depend on its batch-mates."""
    asked = []
    with grpc.insecure_channel(target) as channel:
        score: Any = channel.unary_unary("/offbeat.v1.AnomalyScoring/Score")
        for seed in range(n_questions):
            windows = random_windows(model, n_windows, seed)
            tensor = Tensor(name="window", data_type=DATA_TYPE_FLOAT32, shape=windows.shape, data=windows.tobytes())
            request = ScoreRequest(model=model, id=_PLACE.decode(), window=tensor).SerializeToString()
            answer = score(request, timeout=30)
            if ScoreResponse.FromString(answer).id != _PLACE.decode():
                raise SystemExit(f"the answer has another id: {answer!r}")
            asked.append(Question(request=_parts(request), answer=_parts(answer)))
    return asked


def _parts(message: bytes) -> tuple[bytes, bytes]:
    before, _, after = message.partition(_PLACE)
    return before, after
