"""Rows of series on one call, and the scores of the windows that they fill."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import cast

import numpy as np
from msgspec import Struct

from offbeat.errors import InvalidWindowError, OffbeatError
from offbeat.result import BoolArray
from offbeat.server.messages.parsing import parse
from offbeat.server.messages.point_messages import encoded_points_refusal, encoded_scores, joined, rows_of
from offbeat.server.rpc.boundary import Boundary, Context
from offbeat.server.rpc.message_stream import MessageStream, StreamAnswer, StreamRequest
from offbeat.server.rpc.status import details, status_code
from offbeat.server.scoring.query import Query, Scored
from offbeat.server.scoring.served import ServedModel
from offbeat.server.scoring.ticket import Ticket
from offbeat.server.series.series_memory import SeriesMemory
from offbeat.streams import SeriesStore, Taken
from offbeat.v1.scoring_pb2 import PointsRequest

METHOD = "ScorePoints"
# What of answers that wait is sent at once.
_MAX_JOINED_BYTES = 256 * 2**10
_MAX_DELAY_US = 1_000_000


class _Kept(Struct, frozen=True, eq=False):
    """The rows of a request that are remembered, and by whom."""

    taken: Taken
    store: SeriesStore
    version: int


class PointStream(MessageStream):
    """Remembers rows as they come, and answers in the order of the requests, so that a series' windows count for alarms in theirs.

    Answers that are ready at the same time go in one message: messages, not bytes, are what a stream pays for.
    """

    def __init__(self, memory: SeriesMemory, boundary: Boundary, context: Context) -> None:
        super().__init__(boundary, context, method=METHOD, keeps_order=True)
        self._memory = memory
        # How long an answer waits for others, as the client allows.
        self._delay_s = 0.0
        # By the number of the request on the stream.
        self._kept: dict[int, _Kept] = {}

    def _take(self, request: StreamRequest, data: bytes) -> Scored | Ticket | None:
        message = parse(PointsRequest, data)
        request.id = message.id
        request.model = message.model
        self._delay_s = min(message.answer_delay_us, _MAX_DELAY_US) * 1e-6
        model = self._boundary.engine.models.find(message.model, message.version or None)
        store = self._memory.store(model.scorer.manifest)
        outputs = tuple(message.outputs)
        # Refuses outputs that there are not, before anything is changed.
        model.forms.find(window_shape(model, 1), outputs)
        rows = rows_of(message, len(store.feature_names))
        self._check_amount(model, store, len(rows.values))
        taken = store.take(rows, self._memory.clock(), message.stride or 1)
        self._kept[request.number] = _Kept(taken, store, model.version)
        if not len(taken.rows):
            return None
        windows = taken.windows.reshape(window_shape(model, len(taken.rows)))
        request.n_bytes += windows.nbytes
        self._allowance.grow(windows.nbytes)
        query = Query(
            model=model.name,
            version=model.version,
            id=message.id,
            shape=windows.shape,
            data=windows,
            outputs=outputs,
            priority=message.priority,
        )
        return self._submit(query)

    def _check_amount(self, model: ServedModel, store: SeriesStore, n_rows: int) -> None:
        """A message of rows may ask for no more windows than one of windows could. Raises InvalidWindowError."""
        window_bytes = 4 * store.length * len(store.feature_names)
        batching = model.batching
        limit = min(self._boundary.max_message_bytes // window_bytes, batching.max_batch_size * batching.max_queue_size)
        if n_rows > limit:
            raise InvalidWindowError(
                f"{n_rows} rows in one request; expected at most {limit}: each may fill a window of {window_bytes} bytes, and the "
                "server's max_message_bytes, max_batch_size and max_queue_size hold for them as for windows that are sent"
            )

    async def _write(self, answer: StreamAnswer) -> None:
        """Sends the answer with those that wait behind it, or come while it waits for them."""
        if self._delay_s and self._is_reading:
            await asyncio.sleep(self._delay_s)
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
        if kept is not None and (outcome is None or isinstance(outcome, Scored)):
            alarms = _alarms(kept, outcome)
            message = encoded_scores(request.id, request.model, kept.version, kept.taken, outcome, alarms)
            try:
                self._boundary.sendable(message)
                self._traffic.answer(request.model, monotonic() - request.started)
                return message
            except OffbeatError as error:
                outcome = self._boundary.refusal(error)
        # Rows that were not taken have an error.
        outcome = cast(OffbeatError, outcome)
        self._boundary.count_refusal(self._traffic, request.model, outcome)
        code: int = status_code(outcome).value[0]
        return encoded_points_refusal(request.id, code, details(outcome), rows_kept=kept is not None)


def window_shape(model: ServedModel, n_windows: int) -> tuple[int, ...]:
    """Of so many windows; without a time axis a window is a row."""
    manifest = model.scorer.manifest
    n_features = len(manifest.feature_names)
    return (n_windows, n_features) if manifest.window is None else (n_windows, manifest.window.length, n_features)


def _alarms(kept: _Kept, scored: Scored | None) -> BoolArray | None:
    """None where the windows were not asked whether they are anomalous."""
    is_anomaly = None if scored is None else scored.outputs.get("is_anomaly")
    return None if is_anomaly is None else kept.store.alarms(kept.taken, np.asarray(is_anomaly, np.bool_))
