"""The handler of a method without a socket, on the codec's path or on Python's alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest
from msgspec.structs import replace

from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig, BatchingConfig
from offbeat.reply_timing import ReplyTiming
from offbeat.scorer import Scorer
from offbeat.server.messages.stream_format import StreamFormat
from offbeat.server.messages.unary_format import UnaryFormat
from offbeat.server.rpc import boundary as boundary_module
from offbeat.server.rpc import score_stream as score_stream_module
from offbeat.server.rpc.boundary import Boundary
from offbeat.server.rpc.drain import Drain
from offbeat.server.rpc.score_stream import stream_handler
from offbeat.server.scoring.dispatcher import Dispatcher
from offbeat.server.scoring.engine import Engine
from offbeat.server.scoring.query import Query
from offbeat.server.scoring.served import ServedModel, ServedModels
from offbeat.server.scoring.warm_up import warm_up
from offbeat.server.scoring.workers import WorkerPool
from tests.runtime import folders

_EOF = grpc.aio.EOF  # type: ignore[attr-defined]


def native_scorer(repository: Path, version: int = 1) -> Scorer:
    """The hand-made model on the native core, whose requests the codec learns."""
    path = folders.write_version(repository, version=version, safetensors=folders.safetensors_bytes())
    return Scorer.open(ModelVersion.open(path), BackendConfig(backend="native"))


class RefusedError(Exception):
    """How a call ended that was aborted."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(code, details)
        self.told = code, details


class FakeContext:
    """A call as the handler sees it, of one request or of a stream of `requests`; `end` is what grpc does when the reply has been sent."""

    def __init__(self, remaining_s: float | None = None, requests: Iterable[bytes] = ()) -> None:
        self.written: list[bytes] = []
        self._requests = iter(requests)
        self.metadata: tuple[tuple[str, str], ...] = ()
        self._remaining_s = remaining_s
        self._callbacks: list[Callable[[Any], object]] = []

    async def read(self) -> Any:
        return next(self._requests, _EOF)

    async def write(self, message: bytes) -> None:
        self.written.append(message)

    def time_remaining(self) -> float | None:
        return self._remaining_s

    def set_trailing_metadata(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self.metadata = metadata

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        self._callbacks.append(callback)

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise RefusedError(code, details)

    def end(self) -> None:
        for callback in self._callbacks:
            callback(self)


class OnePath:
    """A boundary with models of its own; `n_python` counts the requests that Python decoded."""

    def __init__(
        self,
        protocol: UnaryFormat | StreamFormat,
        *scorers: Scorer,
        has_codec: bool,
        max_message_bytes: int = 2**20,
        **batching: Any,
    ) -> None:
        self.workers = WorkerPool(1)
        self.models = ServedModels()
        # So patient that what is quick does not hang on the machine's mood.
        self.dispatcher = Dispatcher(self.workers, max_inline_us=10**9)
        self.boundary = Boundary(Engine(self.models, self.dispatcher), Drain(), max_message_bytes)
        self.n_python = 0
        self.served = [self.serve(scorer, **batching) for scorer in scorers]
        self._call: Any = None
        self._stream: Any = None
        with pytest.MonkeyPatch.context() as patch:
            if not has_codec:
                for module in (boundary_module, score_stream_module):
                    patch.setattr(module, "known_requests", lambda *_: None)
            if isinstance(protocol, StreamFormat):
                form = replace(protocol, one=self._counted(protocol.one))
                self._stream = stream_handler(self.boundary, form).stream_stream
            else:
                self._call = self.boundary.scoring(self._counted(protocol)).unary_unary
        self.workers.start()

    def serve(self, scorer: Scorer, **batching: Any) -> ServedModel:
        model = ServedModel(scorer, BatchingConfig(max_batch_size=64, **batching))
        warm_up(model)
        self.models.add(model)
        return model

    def ask(self, data: bytes, remaining_s: float | None = None) -> bytes:
        """The answer. Raises RefusedError, where the call is of one request."""
        if self._stream is not None:
            return self.stream([data], remaining_s)[0]
        return asyncio.run(self._ask(data, remaining_s))[0]

    def ask_with_timing(self, data: bytes) -> tuple[bytes, ReplyTiming | None]:
        """The answer and its timing, which a stream's has not."""
        if self._stream is not None:
            return self.ask(data), None
        reply, context = asyncio.run(self._ask(data, None))
        return reply, ReplyTiming.of_metadata(context.metadata)

    def stream(self, requests: Iterable[bytes], remaining_s: float | None = None) -> list[bytes]:
        """The answers of one stream, refusals among them."""
        context = FakeContext(remaining_s, requests)
        try:
            asyncio.run(self._stream(None, context))
        finally:
            context.end()
        return context.written

    def told(self, data: bytes, remaining_s: float | None = None) -> bytes | tuple[grpc.StatusCode, str]:
        """The answer, or the status and its words; a stream's answer has them itself."""
        if self._stream is not None:
            return self.stream([data], remaining_s)[0]
        try:
            return self.ask(data, remaining_s)
        except RefusedError as refused:
            return refused.told

    def close(self) -> None:
        self.workers.stop()

    async def _ask(self, data: bytes, remaining_s: float | None) -> tuple[bytes, FakeContext]:
        context = FakeContext(remaining_s)
        call: Callable[[bytes, Any], Awaitable[bytes]] = self._call
        try:
            return await call(data, context), context
        finally:
            context.end()

    def _counted(self, protocol: UnaryFormat) -> UnaryFormat:
        def query_of(message: Any) -> Query:
            self.n_python += 1
            return protocol.query_of(message)

        return replace(protocol, query_of=query_of)
