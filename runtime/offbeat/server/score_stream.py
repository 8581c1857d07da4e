"""Many requests for scores on one call, and their answers."""

from __future__ import annotations

from time import monotonic
from typing import Any, cast

from offbeat.errors import OffbeatError
from offbeat.server.boundary import Boundary, Context, Handler
from offbeat.server.message_stream import MessageStream, StreamAnswer, StreamRequest, serving
from offbeat.server.query import Scored
from offbeat.server.status import details, status_code
from offbeat.server.stream_format import StreamFormat
from offbeat.server.ticket import Ticket


def stream_handler(boundary: Boundary, form: StreamFormat) -> Handler:
    """The handler of a method whose calls are streams of that format."""
    return serving(boundary, lambda boundary, context: ScoreStream(boundary, context, form))


class ScoreStream(MessageStream):
    """Windows in, scores out, as one protocol puts them on a stream."""

    def __init__(self, boundary: Boundary, context: Context, form: StreamFormat) -> None:
        super().__init__(boundary, context, method=form.method, kind=form.kind, keeps_order=form.keeps_order)
        self._form = form

    def _take(self, request: StreamRequest, message: Any) -> Scored | Ticket:
        request.id = message.id
        query = self._form.query_of(message)
        request.model = query.model
        return self._submit(query)

    def _encode(self, answer: StreamAnswer) -> bytes:
        request, outcome = answer.request, answer.outcome
        if isinstance(outcome, Scored):
            try:
                message = self._boundary.sendable(self._form.encoded_answer(outcome, request.id))
                self._traffic.answer(outcome.model, monotonic() - request.started)
                return message
            except OffbeatError as error:
                outcome = self._boundary.refusal(error)
        outcome = cast(OffbeatError, outcome)
        self._boundary.count_refusal(self._traffic, request.model, outcome)
        code: int = status_code(outcome).value[0]
        return self._form.encoded_refusal(request.id, code, details(outcome))
