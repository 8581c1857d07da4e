"""Rows that come at about the same time, on whichever streams: taken in one step, and scored as one request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from msgspec import Struct

from offbeat.server.messages.point_messages import EncodedOutputs
from offbeat.server.rpc.boundary import Boundary
from offbeat.server.rpc.message_stream import StreamRequest
from offbeat.server.scoring.form import RequestForm
from offbeat.server.scoring.query import Query, Scored
from offbeat.server.scoring.served import Reply, ServedModel
from offbeat.server.scoring.ticket import Ticket
from offbeat.server.series.series_memory import SeriesMemory
from offbeat.streams import Rows, SeriesStore, TakenTogether


class Asked(Struct, frozen=True, kw_only=True):
    """What requests must have in common to be taken together. `caller` is set where it has a deadline, which nobody else shares."""

    model: str
    version: int | None
    outputs: tuple[str, ...]
    stride: int
    priority: int
    has_timestamps: bool
    caller: Caller | None


class KeptRows:
    """Rows of requests that are remembered now, by a model's `version`, and what there is to tell of them, in bytes of the wire.

    `outputs` come with the scores.
    """

    __slots__ = ("dropped", "outputs", "rows", "store", "taken", "version")

    def __init__(self, taken: TakenTogether, store: SeriesStore, version: int) -> None:
        self.taken = taken
        self.store = store
        self.version = version
        self.rows = taken.rows.astype("<u4").tobytes()
        self.dropped = taken.dropped.astype("<u4").tobytes()
        self.outputs: EncodedOutputs | None = None


class Caller(Protocol):
    """Who asks, and is answered once for each request."""

    def take_answer(
        self, request: StreamRequest, kept: KeptRows | None, place: int, error: BaseException | None
    ) -> None:
        """Learns what became of a request, which is the one of that place among those `kept`: None where rows are not."""

    def end_share(self, share: Share) -> None:
        """Learns that no request of the share is without an answer any more."""

    def remaining_s(self) -> float | None:
        """The time until its deadline."""


class Share:
    """The requests of one caller in a batch, who may go away with them."""

    __slots__ = ("batch", "caller", "is_cancelled", "n_open")

    def __init__(self, batch: Batch, caller: Caller) -> None:
        self.batch = batch
        self.caller = caller
        self.n_open = 0
        self.is_cancelled = False

    def cancel(self) -> None:
        """Nobody waits any more. Rows that were read are remembered all the same."""
        self.is_cancelled = True
        if self.batch.is_given_up:
            for ticket in self.batch.tickets:
                ticket.cancel()

    def answer(self, request: StreamRequest, kept: KeptRows | None, place: int, error: BaseException | None) -> None:
        """Tells the caller what became of a request."""
        self.caller.take_answer(request, kept, place, asyncio.CancelledError() if self.is_cancelled else error)
        self.n_open -= 1
        if not self.n_open:
            self.caller.end_share(self)


class Batch:
    """Requests in the order in which they came; they are still to be taken while it `is_open`."""

    __slots__ = ("asked", "is_open", "members", "n_rows", "shares", "tickets")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.members: list[tuple[Share, StreamRequest, Rows]] = []
        self.shares: list[Share] = []
        self.tickets: list[Ticket] = []
        self.n_rows = 0
        self.is_open = True

    def share_of(self, caller: Caller) -> Share:
        """A place for requests of somebody who has none yet."""
        share = Share(self, caller)
        self.shares.append(share)
        return share

    def add(self, share: Share, request: StreamRequest, rows: Rows) -> None:
        """Takes one more request along."""
        self.members.append((share, request, rows))
        self.n_rows += len(rows.values)
        share.n_open += 1

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits for any of them."""
        return all(share.is_cancelled for share in self.shares)


class PointBatches:
    """Collects what streams read until the first of them wants its answer, and has it taken and scored together.

    To callers it is as if each request had been taken by itself, in the order of its stream. Belongs to one event loop.
    """

    def __init__(self, memory: SeriesMemory, boundary: Boundary) -> None:
        self._memory = memory
        self._engine = boundary.engine
        self._open: dict[Asked, Batch] = {}
        self._n_scoring = 0
        self._timer: asyncio.Handle | None = None
        self._due = 0.0

    def add(
        self,
        caller: Caller,
        share: Share | None,
        asked: Asked,
        request: StreamRequest,
        rows: Rows,
        max_rows: int,
        delay_s: float,
    ) -> Share:
        """Takes a request along that may wait so long. `share` is the caller's last one; returns the one that the request is in.

        A batch has at most `max_rows`, or one request.
        """
        batch = share.batch if share is not None and share.batch.is_open else None
        if batch is not None and batch.asked is not asked and batch.asked != asked:
            # Rows of one stream stay in their order.
            self.run(batch)
            batch = None
        batch = batch or self._open.get(asked)
        if batch is not None and batch.n_rows + len(rows.values) > max_rows:
            self.run(batch)
            batch = None
        if batch is None:
            batch = self._open[asked] = Batch(asked)
        if share is None or share.batch is not batch:
            share = batch.share_of(caller)
        batch.add(share, request, rows)
        self._run_within(delay_s if batch.n_rows < max_rows else 0.0, request.started)
        return share

    def run(self, batch: Batch) -> None:
        """Takes the batch's rows, and scores their windows or has them queued."""
        del self._open[batch.asked]
        batch.is_open = False
        asked = batch.asked
        try:
            model = self._engine.models.find(asked.model, asked.version)
            store = self._memory.store(model.scorer.manifest)
            now = self._memory.clock()
            taken = None
            if len(batch.members) > 1:
                taken = store.take_together([rows for _, _, rows in batch.members], now, asked.stride)
        except Exception as error:  # noqa: BLE001 - the request boundary
            _answer(batch.members, None, error)
            return
        if taken is not None:
            self._score(batch, batch.members, KeptRows(taken, store, model.version), model)
            return
        for member in batch.members:
            try:
                one = TakenTogether.of_one(store.take(member[2], now, asked.stride))
            except Exception as error:  # noqa: BLE001 - the request boundary
                _answer([member], None, error)
            else:
                self._score(batch, [member], KeptRows(one, store, model.version), model)

    def run_all(self) -> None:
        """Runs what there is, without waiting for more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for batch in list(self._open.values()):
            self.run(batch)

    def _run_within(self, delay_s: float, now: float) -> None:
        """Has all that is open run so long after `now` at the latest, a time of time.monotonic."""
        due = now + delay_s
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(delay_s, self.run_all) if delay_s else loop.call_soon(self.run_all)

    def _score(self, batch: Batch, members: _Members, kept: KeptRows, model: ServedModel) -> None:
        if not len(kept.taken.rows) or batch.is_given_up:
            _answer(members, kept, None)
            return
        try:
            remaining_s = None if batch.asked.caller is None else batch.asked.caller.remaining_s()
            query = _query(batch.asked, kept.taken, model)
            scored = self._engine.submit(query, remaining_s, is_alone=not self._n_scoring)
        except Exception as error:  # noqa: BLE001 - the request boundary
            _answer(members, kept, error)
            return
        if isinstance(scored, Scored):
            kept.outputs = EncodedOutputs(scored)
            _answer(members, kept, None)
            return
        batch.tickets.append(scored)
        self._n_scoring += 1
        scored.reply.add_done_callback(partial(self._end, members, kept))

    def _end(self, members: _Members, kept: KeptRows, reply: Reply) -> None:
        self._n_scoring -= 1
        error = asyncio.CancelledError() if reply.cancelled() else reply.exception()
        if error is None:
            kept.outputs = EncodedOutputs(reply.result())
        _answer(members, kept, error)


_Members = Sequence[tuple[Share, StreamRequest, Rows]]


def window_shape(model: ServedModel, n_windows: int) -> tuple[int, ...]:
    """Of so many windows; without a time axis a window is a row."""
    manifest = model.scorer.manifest
    n_features = len(manifest.feature_names)
    return (n_windows, n_features) if manifest.window is None else (n_windows, manifest.window.length, n_features)


def _answer(members: _Members, kept: KeptRows | None, error: BaseException | None) -> None:
    for place, (share, request, _) in enumerate(members):
        share.answer(request, kept, place, error)


def _query(asked: Asked, taken: TakenTogether, model: ServedModel) -> Query:
    """The windows, which need no further look: what they are made of was checked, row by row."""
    windows = taken.windows.reshape(window_shape(model, len(taken.rows)))
    one = model.forms.find(window_shape(model, 1), asked.outputs)
    return Query(
        model=asked.model,
        version=asked.version,
        id="",
        shape=windows.shape,
        data=windows,
        outputs=one.outputs,
        priority=asked.priority,
        form=RequestForm(shape=windows.shape, n_bytes=windows.nbytes, outputs=one.outputs),
    )
