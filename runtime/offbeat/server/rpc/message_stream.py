"""Many requests on one call, and their answers, whatever they ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic

import grpc
from msgspec import Struct

from offbeat.errors import OffbeatError
from offbeat.server.rpc.allowance import Allowance, SharedRoom
from offbeat.server.rpc.boundary import Boundary, Context, Handler
from offbeat.server.rpc.status import details, status_code
from offbeat.server.scoring.query import Query, Scored
from offbeat.server.scoring.served import Reply
from offbeat.server.scoring.ticket import Ticket, Waiting

# Enough to fill batches from one stream.
MAX_IN_FLIGHT = 128
_EOF = grpc.aio.EOF  # type: ignore[attr-defined]


def stream_room(max_queue_size: int) -> SharedRoom:
    """The room of all streams where queues are so long: half of a queue, the other is for calls; one stream may use its bounds in any case."""
    return SharedRoom(max(MAX_IN_FLIGHT, max_queue_size // 2))


def serving(boundary: Boundary, stream: Callable[[Boundary, Context], MessageStream]) -> Handler:
    """The handler of a method whose calls are such streams."""

    async def call(_: object, context: Context) -> None:
        if boundary.drain.is_holding:
            await boundary.drain.passage()
        try:
            boundary.count(context)
            await stream(boundary, context).run()
        except Exception as error:
            await boundary.abort(context, error)
            raise

    return grpc.stream_stream_rpc_method_handler(call)


class StreamRequest(Struct, eq=False):
    """A request that was read at `started`, a time of time.monotonic: its number on the stream, its bytes, and what it asks."""

    number: int
    n_bytes: int
    started: float
    id: str = ""
    model: str = ""


class StreamAnswer(Struct, frozen=True, eq=False):
    """What became of a request: bytes where it is encoded and counted already, None where a subclass keeps it."""

    request: StreamRequest
    outcome: Scored | bytes | OffbeatError | None


class MessageStream:
    """Reads requests, and writes answers in the order in which they are ready, or in which they were asked for.

    A reader that is slower than the scores stops the reading, by `Allowance`, and holds up nobody else. When the server
    drains, reading ends, what was read is answered, and the call ends with UNAVAILABLE. What a request asks for, and how it is
    answered, is for a subclass to say: `_take` and `_encode`.
    """

    def __init__(self, boundary: Boundary, context: Context, *, method: str, keeps_order: bool) -> None:
        self._boundary = boundary
        self._context = context
        self._keeps_order = keeps_order
        self._traffic = boundary.traffic.method(method)
        self._allowance = Allowance(
            max_requests=MAX_IN_FLIGHT, max_bytes=boundary.max_message_bytes, room=boundary.stream_room
        )
        # None after the last answer.
        self._answers: asyncio.Queue[StreamAnswer | None] = asyncio.Queue()
        self._n_accepted = 0
        # Where the order is kept: how many were put into the queue of answers, and those that have to wait for others.
        self._n_put = 0
        self._early: dict[int, StreamAnswer] = {}
        self._tickets: set[Waiting] = set()
        self._is_reading = True
        self._has_read_all = False

    async def run(self) -> None:
        """Serves the call to its end. Raises UnavailableError when the server drains."""
        reader = asyncio.create_task(self._read())
        reader.add_done_callback(self._end_reading)
        stop_reading = reader.cancel
        self._boundary.drain.listen(stop_reading)
        try:
            while (answer := await self._answers.get()) is not None:
                await self._write(answer)
        finally:
            self._boundary.drain.forget(stop_reading)
            stop_reading()
            for ticket in self._tickets:
                ticket.cancel()
            self._allowance.close()
        if not self._has_read_all:
            self._boundary.drain.check()
            await reader

    async def _read(self) -> None:
        await self._allowance.available()
        while (data := await self._context.read()) is not _EOF:
            self._allowance.take(len(data))
            self._accept(data)
            await self._allowance.available()
        self._has_read_all = True

    def _end_reading(self, _: asyncio.Task[None]) -> None:
        self._is_reading = False
        self._end_if_answered()

    def _accept(self, data: bytes) -> None:
        request = StreamRequest(self._n_accepted, len(data), monotonic())
        self._n_accepted += 1
        try:
            taken = self._take(request, data)
        except Exception as error:  # noqa: BLE001 - the request boundary, of a request on a stream
            self._put(StreamAnswer(request, self._boundary.refusal(error)))
            return
        if isinstance(taken, (Scored, bytes)):
            self._put(StreamAnswer(request, taken))
            return
        if taken is None:
            return
        self._tickets.add(taken)
        taken.reply.add_done_callback(partial(self._answer, taken, request))

    def _take(self, request: StreamRequest, data: bytes) -> Scored | bytes | Ticket | None:
        """Scores or queues what the message asks for; None where it will be put by itself. Raises what the caller is to be refused with."""
        raise NotImplementedError

    def _encode(self, answer: StreamAnswer) -> bytes:
        """The answer as it travels; counts it."""
        raise NotImplementedError

    @property
    def _is_alone(self) -> bool:
        """Whether no other request of this stream is under way."""
        return not self._tickets and self._answers.empty()

    def _submit(self, query: Query) -> Scored | Ticket:
        return self._boundary.engine.submit(query, self._context.time_remaining(), is_alone=self._is_alone)

    def _answer(self, ticket: Ticket, request: StreamRequest, reply: Reply) -> None:
        self._tickets.discard(ticket)
        if reply.cancelled():
            self._boundary.count_refusal(self._traffic, request.model, asyncio.CancelledError())
            return
        error = reply.exception()
        outcome = reply.result() if error is None else self._boundary.refusal(error)
        self._put(StreamAnswer(request, outcome))
        self._end_if_answered()

    def _put(self, answer: StreamAnswer) -> None:
        if not self._keeps_order:
            self._answers.put_nowait(answer)
            return
        self._early[answer.request.number] = answer
        while (ready := self._early.pop(self._n_put, None)) is not None:
            self._answers.put_nowait(ready)
            self._n_put += 1

    def _end_if_answered(self) -> None:
        if not self._is_reading and not self._tickets:
            self._answers.put_nowait(None)

    def _refused(self, request: StreamRequest, error: OffbeatError) -> tuple[int, str]:
        """Counts a refusal; its google.rpc.Code and its words, as the caller sees them."""
        self._boundary.count_refusal(self._traffic, request.model, error)
        return status_code(error).value[0], details(error)

    async def _write(self, answer: StreamAnswer) -> None:
        """Sends the answer, and lets its bytes be used anew."""
        await self._context.write(self._encode(answer))
        self._allowance.give(answer.request.n_bytes)
