"""The synchronous client."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
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
from offbeat.client.feed import Item, RequestFeed
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


class Client:
    """Scores windows on a server at `target`, `host:port`. Connects when first used; safe to use from several threads.

    `timeout_s` bounds each call that sets no timeout of its own; `security` is for servers with TLS or tokens. Raises, when made,
    ConfigurationError for a timeout that is not positive, and for files of `security` that cannot be used. Every method but `is_ready`
    raises UnavailableError where nobody answers, DeadlineExceededError, RequestCancelledError once the client is closed, and what the
    server refuses with, all subclasses of OffbeatError.

        with Client("127.0.0.1:8001") as client:
            client.score(windows, model="server-metrics").is_anomaly
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
        self._is_closed = False
        credentials, options = channel_credentials(security), channel_options(security)
        self._channel = (
            grpc.insecure_channel(target, options=options)
            if credentials is None
            else grpc.secure_channel(target, credentials, options=options)
        )
        self._stub = AnomalyScoringStub(self._channel)  # type: ignore[no-untyped-call]
        # Not made when it is needed: on a channel that has been closed, grpc ends the process.
        self._health = health_pb2_grpc.HealthStub(self._channel)

    def score(
        self,
        windows: ArrayLike,
        *,
        model: str,
        version: int | None = None,
        outputs: Sequence[str] = DEFAULT_OUTPUTS,
        timeout_s: float | None = None,
    ) -> ScoreResult:
        """Scores windows in raw units, [batch, time, feature], or [batch, feature] for a tabular model.

        `version` None asks for the newest. Raises InvalidWindowError, UnknownModelError, OverloadedError, BackendError.
        """
        request = request_of(windows, model=model, version=version, outputs=outputs)
        with self._translated():
            response, call = self._stub.Score.with_call(
                request, timeout=bound_s(timeout_s, self._timeout_s), metadata=self._metadata
            )
        return result_of(response, backend_of(call.trailing_metadata()))

    def score_stream(
        self,
        windows: Iterable[ArrayLike],
        *,
        model: str,
        version: int | None = None,
        outputs: Sequence[str] = DEFAULT_OUTPUTS,
        timeout_s: float | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> Generator[ScoreResult]:
        """Scores one batch of windows after the other, each as `score` takes it, over one stream; yields the results in their order.

        Up to `max_in_flight` batches are on their way or waiting to be taken; another thread takes them from `windows`.
        `timeout_s` bounds the whole stream; None does not. The first batch that cannot be scored ends the stream: its
        error is raised after the results before it. So is an exception of `windows`. Raises what `score` raises, and
        ConfigurationError for a `max_in_flight` below 1.
        """
        build = partial(request_of, model=model, version=version, outputs=outputs)
        backend = self._get_model(model, version).model.backend
        feed, replies = RequestFeed(windows, build, max_in_flight), ReplySequence(backend, self._target)
        yield from self._results(self._stub.ScoreStream, feed, replies, timeout_s)

    def score_points(
        self,
        points: Iterable[Points],
        *,
        model: str,
        version: int | None = None,
        outputs: Sequence[str] = DEFAULT_OUTPUTS,
        stride: int = 1,
        answer_delay_us: int = 0,
        timeout_s: float | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> Generator[PointResult]:
        """Scores rows of many series, which the server remembers, over one stream; yields results in the order of `points`.

        A series' first window is scored when it is full, and then one every `stride` rows. Answers may wait `answer_delay_us` for
        others to share a message with, which spares a server that is sent hundreds of requests a second. Up to `max_in_flight` requests are on their way or
        waiting to be taken; another thread takes them from `points`. `timeout_s` bounds the whole stream; None does not. The first
        request that is refused ends it: its error is raised after the results before it, and says whether its rows are remembered. Nothing is
        sent twice: after an error, call again with what has no result yet. With timestamps the server tells rows that it knows already.
        Raises InvalidWindowError, UnknownModelError, OverloadedError, BackendError, and ConfigurationError for a `stride`, a delay or a
        `max_in_flight` out of its range.
        """
        backend = self._get_model(model, version).model.backend
        replies = PointReplies(backend, self._target)
        build = partial(
            replies.request,
            model=model,
            version=version,
            outputs=outputs,
            stride=stride,
            answer_delay_us=answer_delay_us,
        )
        feed = RequestFeed(points, build, max_in_flight)
        yield from self._results(self._stub.ScorePoints, feed, replies, timeout_s)

    def reset_series(self, series: Sequence[str] | None = None, *, model: str) -> int:
        """Has the server forget these series of a model, or all of them; returns how many it knew. Raises UnknownModelError."""
        request = ResetSeriesRequest(model=model, series=series or (), all=series is None)
        with self._translated():
            response = self._stub.ResetSeries(request, timeout=self._timeout_s, metadata=self._metadata)
        return int(response.n_series)

    def snapshot_series(self) -> int:
        """Has the server write all series to its state directory, and returns how many once they are there.

        Raises PreconditionError where it has none, UnavailableError where it cannot write there.
        """
        with self._translated():
            response = self._stub.SnapshotSeries(
                SnapshotSeriesRequest(), timeout=self._timeout_s, metadata=self._metadata
            )
        return int(response.n_series)

    def list_models(self) -> list[ModelSummary]:
        """Every model and version being served."""
        with self._translated():
            return summaries_of(
                self._stub.ListModels(ListModelsRequest(), timeout=self._timeout_s, metadata=self._metadata)
            )

    def get_model(self, name: str, version: int | None = None) -> Manifest:
        """The manifest of a model, of its newest version where none is given. Raises UnknownModelError."""
        return Manifest.from_json(self._get_model(name, version).manifest_json, f"{self._target}: {name}")

    def is_ready(self) -> bool:
        """Whether the server answers, and has every model ready. Never raises."""
        try:
            reply = self._health.Check(health_pb2.HealthCheckRequest(), timeout=self._timeout_s)
        # A closed channel is grpc's ValueError.
        except (grpc.RpcError, ValueError):
            return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

    def close(self) -> None:
        """Ends the connection, and the calls on it; they and all later ones raise RequestCancelledError."""
        self._is_closed = True
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _get_model(self, name: str, version: int | None) -> GetModelResponse:
        request = GetModelRequest(name=model_name(name), version=version_number(version))
        with self._translated():
            response: GetModelResponse = self._stub.GetModel(request, timeout=self._timeout_s, metadata=self._metadata)
        return response

    def _results(
        self,
        method: grpc.StreamStreamMultiCallable[Any, Answer],
        feed: RequestFeed[Item],
        replies: Replies[Answer, Result],
        timeout_s: float | None,
    ) -> Generator[Result]:
        """Sends what the feed has, and yields the results in its order; a result that is taken lets the next request out."""
        with self._translated():
            call = method(feed.requests(), timeout=bound_s(timeout_s), metadata=self._metadata)
        try:
            with self._translated():
                for message in call:
                    for result in replies.accept(message):
                        yield result
                        feed.free_one()
            feed.check()
            replies.check_complete(feed.n_sent)
        finally:
            feed.close()
            call.cancel()

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self._target, lambda: self._is_closed)
