"""Where calls come in: bytes to messages, errors to statuses."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from offbeat.errors import DeadlineExceededError, InvalidWindowError, OffbeatError, OverloadedError
from offbeat.reply_timing import TIMING_KEY
from offbeat.server.messages.parsing import Parsed, parse
from offbeat.server.messages.unary_format import UnaryFormat
from offbeat.server.rpc.allowance import SharedRoom
from offbeat.server.rpc.drain import Drain
from offbeat.server.rpc.known_requests import known_requests
from offbeat.server.rpc.status import details, status_code
from offbeat.server.scoring.engine import Engine
from offbeat.server.scoring.overload import Overload
from offbeat.server.scoring.query import Scored
from offbeat.server.scoring.ticket import scores_of
from offbeat.server.telemetry.incident import incident
from offbeat.server.telemetry.refusals import RefusalLog
from offbeat.server.telemetry.traffic import MethodTraffic, Traffic

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
Answer = TypeVar("Answer", bound=Message)


class Boundary:
    """What the services share: the engine behind them, and what happens at the edge of every call.

    Streams have the `stream_room` together; without one each has its own bounds alone.
    """

    def __init__(
        self, engine: Engine, drain: Drain, max_message_bytes: int, stream_room: SharedRoom | None = None
    ) -> None:
        self.engine = engine
        self.drain = drain
        self.max_message_bytes = max_message_bytes
        self.stream_room = stream_room or SharedRoom(sys.maxsize)
        self.traffic = Traffic()
        self.overload = Overload(engine.models)
        self._refusals = RefusalLog()

    def unary(self, kind: type[Parsed], answer: Callable[[Parsed, Context], Awaitable[Answer]]) -> Handler:
        """A handler of one message for one message. Parsing here, not in grpc, makes a bad message a clear refusal."""

        async def call(data: bytes, context: Context) -> bytes:
            if self.drain.is_holding:
                await self.drain.passage()
            try:
                return self.sendable((await answer(parse(kind, data), context)).SerializeToString())
            except Exception as error:
                data = b""
                await self.abort(context, error)
                raise

        return grpc.unary_unary_rpc_method_handler(call)

    def scoring(self, protocol: UnaryFormat) -> Handler:
        """A handler of one request for its scores, and of their timing in the trailing metadata.

        All in one function: this is the path whose microseconds count. The usual request ends in its middle.
        """
        engine, drain, leave = self.engine, self.drain, self._leave
        traffic, overload = self.traffic.method(protocol.method), self.overload
        known = known_requests(protocol, engine.models, engine.dispatcher, traffic, self.max_message_bytes)

        async def call(data: bytes, context: Context) -> bytes:
            if drain.is_holding:
                await drain.passage()
            started = monotonic()
            model = ""
            overload.left_s = remaining_s = context.time_remaining()
            try:
                request = None if known is None or drain.is_draining else known.read(data)
                if known is not None and request is not None:
                    answer = known.answer(request, started, remaining_s, is_alone=not drain.n_calls)
                    if answer is not None:
                        drain.enter()
                        context.add_done_callback(leave)  # type: ignore[arg-type]
                        context.set_trailing_metadata(((TIMING_KEY, answer[1]),))
                        return answer[0]
                query = None if known is None or request is None else known.query(request)
                if query is None:
                    query = protocol.query_of(parse(protocol.kind, data))
                model = query.model
                drain.enter()
                context.add_done_callback(leave)  # type: ignore[arg-type]
                taken = engine.submit(query, remaining_s, is_alone=drain.n_calls == 1)
                scored = taken if isinstance(taken, Scored) else await scores_of(taken)
                context.set_trailing_metadata(_metadata(scored))
                reply = self.sendable(protocol.encoded(scored, query.id))
                traffic.answer(scored.model, monotonic() - started)
                if known is not None:
                    known.learn(data, query, scored)
                return reply
            except asyncio.CancelledError as error:
                self.count_refusal(traffic, model, error)
                model, data, request, query, taken = "", b"", None, None, None
                raise
            except Exception as error:
                if isinstance(error, (OverloadedError, DeadlineExceededError)):
                    overload.suspect(monotonic(), remaining_s)
                self.count_refusal(traffic, model, error)
                # What ends a call refers to itself by way of this frame, and stays until garbage is collected: not with the windows.
                model, data, request, query, taken = "", b"", None, None, None
                await self.abort(context, error)
                raise

        return grpc.unary_unary_rpc_method_handler(call)

    def sendable(self, message: bytes) -> bytes:
        """The message. Raises InvalidWindowError where it is too large to be sent, and asking for less would help."""
        if len(message) > self.max_message_bytes:
            raise InvalidWindowError(
                f"the answer would have {len(message)} bytes; expected at most max_message_bytes = {self.max_message_bytes}: "
                "ask for fewer windows or fewer outputs at once"
            )
        return message

    def count(self, context: Context) -> None:
        """Counts the call as accepted until its reply has been sent. Raises UnavailableError when draining."""
        self.drain.enter()
        context.add_done_callback(self._leave)  # type: ignore[arg-type]

    async def abort(self, context: Context, error: Exception) -> None:
        """Ends the call with the error's status; an error that is not ours becomes an incident."""
        if isinstance(error, grpc.aio.BaseError):
            # The connection is gone, or this very call was aborted: nobody is left to tell.
            raise error
        refusal = self.refusal(error)
        # For the same reason without the frames that it, and what it comes from, came through: they know the request.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        try:
            await context.abort(status_code(refusal), details(refusal))
        except grpc.aio.InternalError:
            # The client went a moment ago, and grpc has not noticed yet: it would log a trace for each of them, when many go.
            raise asyncio.CancelledError from None

    def count_refusal(self, traffic: MethodTraffic, model: str, error: BaseException) -> None:
        """Counts a request that is not answered; one for a model that is not served counts for none."""
        traffic.refuse(model if self.engine.models.versions(model) else "", _status_name(error))

    def refusal(self, error: BaseException) -> OffbeatError:
        """The error as the caller may see it, once it has been logged."""
        refusal = error if isinstance(error, OffbeatError) else incident("the request", error)
        self._refusals.record(refusal)
        return refusal

    def _leave(self, ctx: Context) -> None:
        self.drain.leave()


def _status_name(error: BaseException) -> str:
    """The status that the caller sees. Where the connection is gone, or the caller, nobody sees one."""
    if isinstance(error, OffbeatError):
        return status_code(error).name
    is_gone = isinstance(error, (asyncio.CancelledError, grpc.aio.BaseError))
    return (grpc.StatusCode.CANCELLED if is_gone else grpc.StatusCode.INTERNAL).name


def _metadata(scored: Scored) -> tuple[tuple[str, str], ...]:
    # One entry: each costs the server a microsecond, and the client another.
    return ((TIMING_KEY, scored.timing.text()),)
