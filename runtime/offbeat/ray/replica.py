"""One replica of a Ray Serve deployment: the methods of both protocols, by the names that Ray's gRPC proxy calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckResponse
from ray.serve.grpc_util import RayServegRPCContext

from offbeat.config import ServerConfig
from offbeat.errors import UnknownModelError
from offbeat.inference import open_inference_pb2 as pb
from offbeat.ray.batches import RayBatches
from offbeat.ray.streams import stream_answers
from offbeat.reply_timing import TIMING_KEY
from offbeat.server.messages.inference_messages import INFER, INFERENCE_STREAM
from offbeat.server.messages.scoring_messages import SCORE, SCORE_STREAM
from offbeat.server.messages.unary_format import UnaryFormat
from offbeat.server.models.model_control import ModelControl
from offbeat.server.models.model_summaries import get_model, list_models
from offbeat.server.rpc.boundary import Boundary
from offbeat.server.rpc.drain import Drain
from offbeat.server.rpc.inference_service import InferenceService
from offbeat.server.rpc.status import details, status_code
from offbeat.server.scoring.engine import Engine
from offbeat.server.scoring.query import Scored
from offbeat.server.scoring.served import ServedModels
from offbeat.server.scoring.ticket import scores_of
from offbeat.server.scoring.workers import WorkerPool
from offbeat.v1.scoring_pb2 import GetModelRequest, ListModelsRequest, ScoreRequest

_SERVICES = ("", "offbeat.v1.AnomalyScoring", "inference.GRPCInferenceService")


class Encoded:
    """An answer in its bytes. All that Ray asks of a message is to be serialised."""

    def __init__(self, message: bytes = b"") -> None:
        self._message = message

    def SerializeToString(self) -> bytes:
        """The bytes."""
        return self._message


_Method = Callable[["ScoringReplica", Any, RayServegRPCContext], Awaitable[Message | Encoded]]


def _told(method: str) -> _Method:
    """A method of the Open Inference Protocol that scores nothing, as the server answers it."""

    async def call(self: ScoringReplica, request: Message, grpc_context: RayServegRPCContext) -> Message | Encoded:
        return await self.answer(method, request, grpc_context)

    return call


def _not_here(reason: str) -> _Method:
    """A method that is no replica's to answer."""

    async def call(self: ScoringReplica, request: Message, grpc_context: RayServegRPCContext) -> Message | Encoded:
        grpc_context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        grpc_context.set_details(f"not behind Ray Serve: {reason}")
        return Encoded()

    return call


def _none_streamed(reason: str) -> Callable[..., AsyncIterator[Message | Encoded]]:
    refuse = _not_here(reason)

    async def call(
        self: ScoringReplica, requests: Any, grpc_context: RayServegRPCContext
    ) -> AsyncIterator[Message | Encoded]:
        yield await refuse(self, requests, grpc_context)

    return call


class ScoringReplica:
    """Serves all models of a repository, from a copy of its own, in Ray's batches.

    What is refused has the status that offbeat's own server gives it. Raises, when made, what the server raises at its start.
    """

    async def __init__(self, config: ServerConfig) -> None:  # type: ignore[misc]
        self._models = ServedModels()
        workers = WorkerPool(config.n_workers)
        workers.start()
        control = ModelControl(self._models, config)
        engine = Engine(self._models, RayBatches(workers, config.batching))
        self._boundary = Boundary(engine, Drain(), config.max_message_bytes)
        self._inference = InferenceService(self._boundary, control, config.batching)
        await control.start(None)

    async def Score(self, request: ScoreRequest, grpc_context: RayServegRPCContext) -> Encoded:
        """Scores windows."""
        return await self._score(SCORE, request, grpc_context)

    async def ModelInfer(self, request: pb.ModelInferRequest, grpc_context: RayServegRPCContext) -> Encoded:
        """Scores windows."""
        return await self._score(INFER, request, grpc_context)

    async def ScoreStream(self, requests: AsyncIterator[Message]) -> AsyncIterator[Encoded]:
        """Scores many requests on one call."""
        async for answer in stream_answers(self._boundary, SCORE_STREAM, requests):
            yield Encoded(answer)

    async def ModelStreamInfer(self, requests: AsyncIterator[Message]) -> AsyncIterator[Encoded]:
        """Scores many requests on one call, in their order."""
        async for answer in stream_answers(self._boundary, INFERENCE_STREAM, requests):
            yield Encoded(answer)

    async def ListModels(self, request: ListModelsRequest) -> Message:
        """Every model and version of this replica, which are those of each."""
        return list_models(self._models)

    async def GetModel(self, request: GetModelRequest, grpc_context: RayServegRPCContext) -> Message | Encoded:
        """One model and its manifest."""
        try:
            return get_model(self._models, request)
        except Exception as error:  # noqa: BLE001 - the request boundary
            return self._refused(error, grpc_context)

    async def Check(self, request: Any, grpc_context: RayServegRPCContext) -> Any:
        """grpc.health.v1: a replica that answers serves; so does each of its models."""
        if request.service in _SERVICES or self._models.versions(request.service):
            return HealthCheckResponse(status=HealthCheckResponse.SERVING)
        return self._refused(UnknownModelError("no such service, and no such model"), grpc_context)

    ServerLive = _told("ServerLive")
    ServerReady = _told("ServerReady")
    ServerMetadata = _told("ServerMetadata")
    ModelReady = _told("ModelReady")
    ModelMetadata = _told("ModelMetadata")
    ModelConfig = _told("ModelConfig")
    RepositoryIndex = _told("RepositoryIndex")
    RepositoryModelLoad = _told("RepositoryModelLoad")
    RepositoryModelUnload = _told("RepositoryModelUnload")
    ModelStatistics = _not_here("each replica would count for itself; Ray's metrics count for all")
    ResetSeries = _not_here("a replica has no memory of series")
    SnapshotSeries = _not_here("a replica has no memory of series")
    ScorePoints = _none_streamed("a replica has no memory of series, and the next call may go to another one")
    Watch = _none_streamed("ask Check, or Ray's own status")

    async def answer(self, method: str, request: Message, grpc_context: RayServegRPCContext) -> Message | Encoded:
        """What the server would answer to a method of the Open Inference Protocol that scores nothing."""
        try:
            return await self._inference.answer(method, request)
        except Exception as error:  # noqa: BLE001 - the request boundary
            return self._refused(error, grpc_context)

    async def _score(self, protocol: UnaryFormat, request: Any, grpc_context: RayServegRPCContext) -> Encoded:
        try:
            query = protocol.query_of(request)
            taken = self._boundary.engine.submit(query, None, is_alone=False)
            scored = taken if isinstance(taken, Scored) else await scores_of(taken)
            message = self._boundary.sendable(protocol.encoded(scored, query.id))
        except Exception as error:  # noqa: BLE001 - the request boundary
            return self._refused(error, grpc_context)
        grpc_context.set_trailing_metadata([(TIMING_KEY, scored.timing.text())])
        return Encoded(message)

    def _refused(self, error: Exception, grpc_context: RayServegRPCContext) -> Encoded:
        """Raised errors would be failures of the replica to Ray, each with its trace in the log."""
        refusal = self._boundary.refusal(error)
        grpc_context.set_code(status_code(refusal))
        grpc_context.set_details(details(refusal))
        return Encoded()
