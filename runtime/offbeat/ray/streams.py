"""Streams of requests and answers as Ray Serve has them: an iterator in, a generator out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.message import Message

from offbeat.server.messages.stream_format import StreamFormat
from offbeat.server.rpc.boundary import Boundary
from offbeat.server.rpc.score_stream import ScoreStream

_EOF = grpc.aio.EOF  # type: ignore[attr-defined]


async def stream_answers(
    boundary: Boundary, form: StreamFormat, requests: AsyncIterator[Message]
) -> AsyncIterator[bytes]:
    """The answers, encoded, as they are ready, to requests of that format. Ends its work when it is closed."""
    context = _StreamContext(requests)
    serving = asyncio.create_task(context.serve(ScoreStream(boundary, context, form)))  # type: ignore[arg-type]
    try:
        while (answer := await context.answers.get()) is not None:
            context.answers.task_done()
            yield answer
        await serving
    finally:
        serving.cancel()


class _StreamContext:
    """What a stream of the server asks of grpc's context. At most one answer waits for the reader."""

    def __init__(self, requests: AsyncIterator[Message]) -> None:
        self._requests = requests
        # None after the last answer. Without a bound, or its end might have to wait for a reader who has gone.
        self.answers: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def serve(self, stream: ScoreStream) -> None:
        """Runs the stream to its end, and then says that there are no more answers."""
        try:
            await stream.run()
        finally:
            self.answers.put_nowait(None)

    async def read(self) -> Any:
        """The next request's bytes, or grpc's end of a stream."""
        try:
            return (await anext(self._requests)).SerializeToString()
        except StopAsyncIteration:
            return _EOF

    async def write(self, answer: bytes) -> None:
        """Returns when the answer before this one was taken."""
        await self.answers.join()
        self.answers.put_nowait(answer)

    def time_remaining(self) -> None:
        """Ray does not tell the caller's deadline."""
        return
