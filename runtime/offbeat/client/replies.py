"""Answers of a stream, and those of windows put back into the order of the requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from google.protobuf.message import Message

from offbeat.client.messages import result_of
from offbeat.client.status import error_of_number
from offbeat.errors import BackendError
from offbeat.result import ScoreResult
from offbeat.v1.scoring_pb2 import Refusal, ScoreResponse, ScoreStreamResponse

Answer = TypeVar("Answer", bound=Message)
Result = TypeVar("Result")


class Replies(Generic[Answer, Result]):
    """The results of one stream. Requests are numbered "0", "1", … in the order of sending."""

    def __init__(self, backend: str, target: str) -> None:
        self._backend = backend
        self._target = target
        self._n_told = 0

    def accept(self, message: Answer) -> Iterator[Result]:
        """The results whose turn it is now. Raises the error of a refused request when its turn has come."""
        raise NotImplementedError

    def check_complete(self, n_sent: int) -> None:
        """Raises BackendError unless as many requests were answered as were sent."""
        if self._n_told != n_sent:
            raise BackendError(f"{self._target}: the stream ended after {self._n_told} answers to {n_sent} requests")


class ReplySequence(Replies[ScoreStreamResponse, ScoreResult]):
    """Holds back what came early."""

    def __init__(self, backend: str, target: str) -> None:
        super().__init__(backend, target)
        self._early: dict[str, ScoreResponse | Refusal] = {}

    def accept(self, message: ScoreStreamResponse) -> Iterator[ScoreResult]:
        """The results whose turn it is now. Raises the error of a refused request when its turn has come."""
        reply = message.refusal if message.HasField("refusal") else message.response
        self._early[reply.id] = reply
        while (ready := self._early.pop(str(self._n_told), None)) is not None:
            self._n_told += 1
            if isinstance(ready, Refusal):
                raise error_of_number(ready.code, ready.message, self._target)
            yield result_of(ready, self._backend)
