"""Rows of series on one call, and the scores of the windows that they fill."""

from __future__ import annotations

import asyncio
import math
from time import monotonic
from typing import cast

from msgspec import Struct

from offbeat.errors import InvalidWindowError, OffbeatError
from offbeat.server.messages.parsing import parse
from offbeat.server.messages.point_messages import encoded_points_refusal, encoded_scores, joined, rows_of
from offbeat.server.rpc.boundary import Boundary, Context
from offbeat.server.rpc.message_stream import MessageStream, StreamAnswer, StreamRequest
from offbeat.server.rpc.point_batch import Asked, KeptRows, PointBatches, Share, window_shape
from offbeat.server.scoring.served import ServedModel
from offbeat.v1.scoring_pb2 import PointScores, PointsRequest

METHOD = "ScorePoints"
# What of answers that wait is sent at once.
_MAX_JOINED_BYTES = 256 * 2**10
_MAX_DELAY_US = 1_000_000


class _Form(Struct, frozen=True, kw_only=True, eq=False):
    """What is the same for all requests that look alike, as those of one stream do: what they ask of which model, and for how many rows at most."""

    asked: Asked
    model: ServedModel
    n_features: int
    n_window_bytes: int
    max_rows: int

    @classmethod
    def of(cls, asked: Asked, model: ServedModel, max_message_bytes: int) -> _Form:
        """A message of rows may ask for no more windows than one of windows could."""
        n_window_bytes = 4 * math.prod(window_shape(model, 1))
        batching = model.batching
        return cls(
            asked=asked,
            model=model,
            n_features=len(model.scorer.manifest.feature_names),
            n_window_bytes=n_window_bytes,
            max_rows=min(max_message_bytes // n_window_bytes, batching.max_batch_size * batching.max_queue_size),
        )

    def check_amount(self, n_rows: int) -> None:
        """Raises InvalidWindowError for too many."""
        if n_rows > self.max_rows:
            raise InvalidWindowError(
                f"{n_rows} rows in one request; expected at most {self.max_rows}: each may fill a window of {self.n_window_bytes} bytes, "
                "and the server's max_message_bytes, max_batch_size and max_queue_size hold for them as for windows that are sent"
            )


class PointStream(MessageStream):
    """Has rows remembered as they come, and answers in the order of the requests, so that a series' windows count for alarms in theirs.

    Rows wait for those of other requests, on this stream or on others, as long as the client lets answers wait: one step for all of
    them costs little more than one for each. Answers that are ready at the same time go in one message: messages, not bytes, are
    what a stream pays for.
    """

    def __init__(self, batches: PointBatches, boundary: Boundary, context: Context) -> None:
        super().__init__(boundary, context, method=METHOD, keeps_order=True)
        self._batches = batches
        # Of the request that was read last.
        self._form: _Form | None = None
        self._share: Share | None = None
        # By the number of the request on the stream, and which of the requests whose rows are kept it is.
        self._kept: dict[int, tuple[KeptRows, int]] = {}

    def take_answer(
        self, request: StreamRequest, kept: KeptRows | None, place: int, error: BaseException | None
    ) -> None:
        """Puts what became of a request where answers are written from."""
        if isinstance(error, asyncio.CancelledError):
            self._boundary.count_refusal(self._traffic, request.model, error)
            return
        if kept is not None:
            self._kept[request.number] = kept, place
        self._put(StreamAnswer(request, None if error is None else self._boundary.refusal(error)))

    def end_share(self, share: Share) -> None:
        """Ends the call, where it waited for these requests alone."""
        self._tickets.discard(share)
        self._end_if_answered()

    def remaining_s(self) -> float | None:
        """The time until the call's deadline."""
        return self._context.time_remaining()

    def _take(self, request: StreamRequest, data: bytes) -> None:
        message = parse(PointsRequest, data)
        request.id = message.id
        request.model = message.model
        form = self._form_of(message)
        rows = rows_of(message, form.n_features)
        n_rows = len(rows.values)
        form.check_amount(n_rows)
        # Each may fill a window.
        n_bytes = n_rows * form.n_window_bytes
        request.n_bytes += n_bytes
        self._allowance.grow(n_bytes)
        delay_s = min(message.answer_delay_us, _MAX_DELAY_US) * 1e-6
        share = self._batches.add(
            self, self._share, form.asked, request, rows, form.model.batching.max_batch_size, delay_s
        )
        if share is not self._share:
            self._share = share
            self._tickets.add(share)

    def _form_of(self, message: PointsRequest) -> _Form:
        """Raises UnknownModelError, UnavailableError, and InvalidWindowError for outputs that there are not."""
        asked = Asked(
            model=message.model,
            version=message.version or None,
            outputs=tuple(message.outputs),
            stride=message.stride or 1,
            priority=message.priority,
            has_timestamps=bool(message.timestamps),
            caller=None if self.remaining_s() is None else self,
        )
        model = self._boundary.engine.models.find(asked.model, asked.version)
        form = self._form
        if form is None or form.model is not model or form.asked != asked:
            # Outputs that there are not are refused before anything is changed.
            model.forms.find(window_shape(model, 1), asked.outputs)
            form = self._form = _Form.of(asked, model, self._boundary.max_message_bytes)
        return form

    def _end_reading(self, reader: asyncio.Task[None]) -> None:
        """Nothing more comes that what was read could wait for."""
        if self._share is not None and self._share.batch.is_open:
            self._batches.run(self._share.batch)
        super()._end_reading(reader)

    async def _write(self, answer: StreamAnswer) -> None:
        """Sends the answer with those that are ready behind it."""
        most = min(_MAX_JOINED_BYTES, self._boundary.max_message_bytes)
        messages, freed = [self._encode(answer)], [answer.request.n_bytes]
        n_bytes = len(messages[0])
        while n_bytes < most and not self._answers.empty():
            following = self._answers.get_nowait()
            if following is None:
                # It was the last one.
                self._answers.put_nowait(None)
                break
            message = self._encode(following)
            if n_bytes + len(message) > most:
                # Together they might be more than a message may have, which would end the stream.
                await self._context.write(joined(messages))
                messages, n_bytes = [], 0
            messages.append(message)
            n_bytes += len(message)
            freed.append(following.request.n_bytes)
        await self._context.write(joined(messages))
        for n_freed in freed:
            self._allowance.give(n_freed)

    def _encode(self, answer: StreamAnswer) -> bytes:
        request, outcome = answer.request, answer.outcome
        kept = self._kept.pop(request.number, None)
        if kept is not None and outcome is None:
            message = _encoded(request, *kept)
            try:
                self._boundary.sendable(message)
                self._traffic.answer(request.model, monotonic() - request.started)
                return message
            except OffbeatError as error:
                outcome = self._boundary.refusal(error)
        # Rows that were not taken have an error.
        code, words = self._refused(request, cast(OffbeatError, outcome))
        return encoded_points_refusal(request.id, code, words, rows_kept=kept is not None)


def _encoded(request: StreamRequest, kept: KeptRows, place: int) -> bytes:
    """The answer to the request of that place among those kept, with its windows' alarms, which count from now on."""
    taken = kept.taken
    begin, end = taken.windows_at[place : place + 2]
    first, last = taken.dropped_at[place : place + 2]
    rest = PointScores(
        id=request.id,
        rows=kept.rows[4 * begin : 4 * end],
        dropped_rows=kept.dropped[4 * first : 4 * last],
        n_started=taken.n_started[place],
    )
    if begin == end or kept.outputs is None:
        rest.model, rest.version = request.model, kept.version
        return encoded_scores(rest, ())
    is_anomaly = kept.outputs.is_anomaly
    if is_anomaly is not None:
        flags = is_anomaly[begin:end]
        alarms = flags if kept.store.is_alarm_each else kept.store.alarms(taken.of(place), flags)
        rest.alarms = alarms.tobytes()
    return encoded_scores(rest, kept.outputs.of(begin, end))
