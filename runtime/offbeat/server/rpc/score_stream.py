"""Many requests for scores on one call, and their answers."""

from __future__ import annotations

from time import monotonic
from typing import cast

from offbeat.errors import OffbeatError
from offbeat.server.messages.parsing import parse
from offbeat.server.messages.stream_format import StreamFormat
from offbeat.server.rpc.boundary import Boundary, Context, Handler
from offbeat.server.rpc.known_requests import KnownRequests, known_requests
from offbeat.server.rpc.message_stream import MessageStream, StreamAnswer, StreamRequest, serving
from offbeat.server.scoring.query import Query, Scored
from offbeat.server.scoring.ticket import Ticket


def stream_handler(boundary: Boundary, form: StreamFormat) -> Handler:
    """The handler of a method whose calls are streams of that format. All its streams share what the codec knows."""
    engine = boundary.engine
    most = boundary.max_message_bytes - form.n_bytes_around(boundary.max_message_bytes)
    known = known_requests(form.one, engine.models, engine.dispatcher, boundary.traffic.method(form.method), most)
    return serving(boundary, lambda boundary, context: ScoreStream(boundary, context, form, known))


class ScoreStream(MessageStream):
    """Windows in, scores out, as one protocol puts them on a stream; without a Python object for each part of a request that is `known`."""

    def __init__(
        self, boundary: Boundary, context: Context, form: StreamFormat, known: KnownRequests | None = None
    ) -> None:
        super().__init__(boundary, context, method=form.method, keeps_order=form.keeps_order)
        self._form = form
        self._known = known
        # By their number on the stream, requests of forms that the codec may learn when they are answered.
        self._unknown: dict[int, tuple[bytes, Query]] = {}

    def _take(self, request: StreamRequest, data: bytes) -> Scored | bytes | Ticket:
        known = None if self._known is None else self._known.read(data)
        query = None
        if self._known is not None and known is not None:
            request.id = known.id
            remaining_s = self._context.time_remaining()
            answer = self._known.answer(known, request.started, remaining_s, is_alone=self._is_alone)
            if answer is not None:
                return self._form.around(answer[0])
            query = self._known.query(known)
        if query is None:
            message = parse(self._form.one.kind, data)
            request.id = message.id
            query = self._form.one.query_of(message)
        request.model = query.model
        if query.form is None:
            self._unknown[request.number] = data, query
        return self._submit(query)

    def _encode(self, answer: StreamAnswer) -> bytes:
        request, outcome = answer.request, answer.outcome
        if isinstance(outcome, bytes):
            return outcome
        unknown = self._unknown.pop(request.number, None)
        if isinstance(outcome, Scored):
            try:
                encoded = self._form.one.encoded(outcome, request.id)
                message = self._boundary.sendable(self._form.around(encoded))
                self._traffic.answer(outcome.model, monotonic() - request.started)
                if self._known is not None and unknown is not None:
                    self._known.learn(*unknown, outcome)
                return message
            except OffbeatError as error:
                outcome = self._boundary.refusal(error)
        return self._form.encoded_refusal(request.id, *self._refused(request, cast(OffbeatError, outcome)))
