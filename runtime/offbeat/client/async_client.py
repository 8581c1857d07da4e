"""The asynchronous client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import AbstractContextManager, aclosing
from functools import cached_property, partial
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from numpy.typing import ArrayLike

from offbeat.bundle import Manifest
from offbeat.client.channel import (
    MAX_IN_FLIGHT,
    TIMEOUT_S,
    backend_of,
    bound_s,
    call_metadata,
    channel_credentials,
    channel_options,
)
from offbeat.client.feed import AsyncRequestFeed, Item
from offbeat.client.messages import ModelSummary, model_name, request_of, result_of, summaries_of, version_number
from offbeat.client.points import PointReplies, PointResult, Points
from offbeat.client.replies import Answer, Replies, ReplySequence, Result
from offbeat.client.status import translated
from offbeat.errors import require
from offbeat.result import DEFAULT_OUTPUTS, ScoreResult
from offbeat.security_config import ClientSecurity
from offbeat.v1.scoring_pb2 import (
    GetModelRequest,
    GetModelResponse,
    ListModelsRequest,
    ResetSeriesRequest,
    SnapshotSeriesRequest,
)
from offbeat.v1.scoring_pb2_grpc import AnomalyScoringStub


class AsyncClient:
    """`Client` for an event loop: the same calls, the same errors. Belongs to the loop in which it is first used.

    async with AsyncClient("127.0.0.1:8001") as client:
        result = await client.score(windows, model="server-metrics")
    """

    def __init__(
        self,
        target: str,
        *,
        timeout_s: float = TIMEOUT_S,
        security: ClientSecurity = ClientSecurity(),  # noqa: B008 - frozen
    ) -> None:
        self._target = target
        self._timeout_s = bound_s(timeout_s)
        require(timeout_s > 0, "timeout_s", timeout_s, "a positive number of seconds")
        self._metadata = call_metadata(security)
        self._options = channel_options(security)
        self._credentials = channel_credentials(security)
        self._is_closed = False

    # Made when first used, because grpc.aio binds a channel to the running loop.
    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        if self._credentials is None:
            return grpc.aio.insecure_channel(self._target, options=self._options)
        return grpc.aio.secure_channel(self._target, self._credentials, options=self._options)

    @cached_property
    def _stub(self) -> Any:
        return AnomalyScoringStub(self._channel)  # type: ignore[no-untyped-call]

    async def score(
        self,
        windows: ArrayLike,
        *,
        model: str,
        version: int | None = None,
        outputs: Sequence[str] = DEFAULT_OUTPUTS,
        timeout_s: float | None = None,
    ) -> ScoreResult:
        """Scores windows; see `Client.score`."""
        request = request_of(windows, model=model, version=version, outputs=outputs)
        with self._translated():
            call = self._stub.Score(request, timeout=bound_s(timeout_s, self._timeout_s), metadata=self._metadata)
            response = await call
            return result_of(response, backend_of(await call.trailing_metadata()))

    async def score_stream(
        self,
        windows: Iterable[ArrayLike] | AsyncIterable[ArrayLike],
        *,
        model: str,
        version: int | None = None,
        outputs: Sequence[str] = DEFAULT_OUTPUTS,
        timeout_s: float | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> AsyncGenerator[ScoreResult]:
        """Scores one batch of windows after the other over one stream; see `Client.score_stream`."""
        build = partial(request_of, model=model, version=version, outputs=outputs)
        backend = (await self._get_model(model, version)).model.backend
        feed, replies = AsyncRequestFeed(windows, build, max_in_flight), ReplySequence(backend, self._target)
        async with aclosing(self._results(self._stub.ScoreStream, feed, replies, timeout_s)) as results:
            async for result in results:
                yield result

    async def score_points(
        self,
        points: Iterable[Points] | AsyncIterable[Points],
        *,
        model: str,
        version: int | None = None,
        outputs: Sequence[str] = DEFAULT_OUTPUTS,
        stride: int = 1,
        answer_delay_us: int = 0,
        timeout_s: float | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> AsyncGenerator[PointResult]:
        """Scores rows of many series over one stream; see `Client.score_points`."""
        backend = (await self._get_model(model, version)).model.backend
        replies = PointReplies(backend, self._target)
        build = partial(
            replies.request,
            model=model,
            version=version,
            outputs=outputs,
            stride=stride,
            answer_delay_us=answer_delay_us,
        )
        feed = AsyncRequestFeed(points, build, max_in_flight)
        async with aclosing(self._results(self._stub.ScorePoints, feed, replies, timeout_s)) as results:
            async for result in results:
                yield result

    async def reset_series(self, series: Sequence[str] | None = None, *, model: str) -> int:
        """Forgets series; see `Client.reset_series`."""
        request = ResetSeriesRequest(model=model, series=series or (), all=series is None)
        with self._translated():
            response = await self._stub.ResetSeries(request, timeout=self._timeout_s, metadata=self._metadata)
        return int(response.n_series)

    async def snapshot_series(self) -> int:
        """Has the server write its series; see `Client.snapshot_series`."""
        with self._translated():
            response = await self._stub.SnapshotSeries(
                SnapshotSeriesRequest(), timeout=self._timeout_s, metadata=self._metadata
            )
        return int(response.n_series)

    async def list_models(self) -> list[ModelSummary]:
        """Every model and version being served."""
        with self._translated():
            return summaries_of(
                await self._stub.ListModels(ListModelsRequest(), timeout=self._timeout_s, metadata=self._metadata)
            )

    async def get_model(self, name: str, version: int | None = None) -> Manifest:
        """The manifest of a model, of its newest version where none is given. Raises UnknownModelError."""
        return Manifest.from_json((await self._get_model(name, version)).manifest_json, f"{self._target}: {name}")

    async def is_ready(self) -> bool:
        """Whether the server answers, and has every model ready. Never raises."""
        stub = health_pb2_grpc.HealthStub(self._channel)
        try:
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=self._timeout_s)
        # A closed channel is grpc's UsageError.
        except (grpc.RpcError, grpc.aio.UsageError):
            return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

    async def close(self) -> None:
        """Ends the connection, and the calls on it; they and all later ones raise RequestCancelledError."""
        self._is_closed = True
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _get_model(self, name: str, version: int | None) -> GetModelResponse:
        request = GetModelRequest(name=model_name(name), version=version_number(version))
        with self._translated():
            response: GetModelResponse = await self._stub.GetModel(
                request, timeout=self._timeout_s, metadata=self._metadata
            )
        return response

    async def _results(
        self,
        method: grpc.aio.StreamStreamMultiCallable[Any, Answer],
        feed: AsyncRequestFeed[Item],
        replies: Replies[Answer, Result],
        timeout_s: float | None,
    ) -> AsyncGenerator[Result]:
        """Sends what the feed has, and yields the results in its order; a result that is taken lets the next request out."""
        with self._translated():
            call = method(feed.requests(), timeout=bound_s(timeout_s), metadata=self._metadata)
        try:
            with self._translated():
                async for message in call:
                    for result in replies.accept(message):
                        yield result
                        feed.free_one()
            feed.check()
            replies.check_complete(feed.n_sent)
        finally:
            call.cancel()

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self._target, lambda: self._is_closed)
