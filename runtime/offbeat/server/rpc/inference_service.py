"""inference.GRPCInferenceService: the Open Inference Protocol, version 2."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import grpc
from google.protobuf.message import Message

from offbeat.config import BatchingConfig
from offbeat.errors import UnavailableError, UnknownModelError
from offbeat.inference import open_inference_pb2 as pb
from offbeat.server.messages.inference_messages import INFER, INFERENCE_STREAM, version_of
from offbeat.server.messages.model_messages import config_of, metadata_of
from offbeat.server.messages.repository_messages import check_unload, index_of, model_name, policy_asked_for
from offbeat.server.messages.statistics_messages import statistics_of
from offbeat.server.models.model_control import ModelControl
from offbeat.server.rpc.boundary import Boundary, Context
from offbeat.server.rpc.score_stream import stream_handler
from offbeat.server.rpc.unread import SheddingService
from offbeat.server.scoring.model_state import ModelState

# What this server can of all that Triton's clients may ask for, in Triton's words.
_EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "schedule_policy", "statistics")


class InferenceService:
    """The protocol of Triton's and KServe's clients, on the shared path."""

    NAME: str = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
    ADMIN = ("RepositoryModelLoad", "RepositoryModelUnload")

    def __init__(self, boundary: Boundary, control: ModelControl, batching: BatchingConfig) -> None:
        self._boundary = boundary
        self._models = boundary.engine.models
        self._control = control
        self._batching = batching
        self._answers: dict[str, tuple[type[Message], Callable[[Any], Awaitable[Message]]]] = {
            "ServerLive": (pb.ServerLiveRequest, self._server_live),
            "ServerReady": (pb.ServerReadyRequest, self._server_ready),
            "ModelReady": (pb.ModelReadyRequest, self._model_ready),
            "ServerMetadata": (pb.ServerMetadataRequest, self._server_metadata),
            "ModelMetadata": (pb.ModelMetadataRequest, self._model_metadata),
            "ModelConfig": (pb.ModelConfigRequest, self._model_config),
            "ModelStatistics": (pb.ModelStatisticsRequest, self._model_statistics),
            "RepositoryIndex": (pb.RepositoryIndexRequest, self._repository_index),
            "RepositoryModelLoad": (pb.RepositoryModelLoadRequest, self._repository_model_load),
            "RepositoryModelUnload": (pb.RepositoryModelUnloadRequest, self._repository_model_unload),
        }

    def handlers(self) -> grpc.GenericRpcHandler:
        """The methods by name."""
        methods = {name: self._boundary.unary(kind, _apart(answer)) for name, (kind, answer) in self._answers.items()}
        methods["ModelInfer"] = self._boundary.scoring(INFER)
        methods["ModelStreamInfer"] = stream_handler(self._boundary, INFERENCE_STREAM)
        return SheddingService(self.NAME, methods, "ModelInfer", self._boundary)

    async def answer(self, method: str, request: Message) -> Message:
        """What a method that scores nothing answers. Raises OffbeatError."""
        return await self._answers[method][1](request)

    async def _server_live(self, _: pb.ServerLiveRequest) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def _server_ready(self, _: pb.ServerReadyRequest) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=self._is_ready)

    @property
    def _is_ready(self) -> bool:
        return self._control.has_started and not self._boundary.drain.is_draining and not self._models.suspended()

    async def _model_ready(self, request: pb.ModelReadyRequest) -> pb.ModelReadyResponse:
        try:
            self._models.find(request.name, version_of(request.version))
            self._boundary.drain.check()
        except (UnknownModelError, UnavailableError):
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def _server_metadata(self, _: pb.ServerMetadataRequest) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(name="offbeat", version=version("offbeat"), extensions=_EXTENSIONS)

    async def _model_metadata(self, request: pb.ModelMetadataRequest) -> pb.ModelMetadataResponse:
        model = self._models.find(request.name, version_of(request.version))
        versions = [ready.version for ready in self._models.ready() if ready.name == model.name]
        return metadata_of(model.scorer.manifest, versions)

    async def _model_config(self, request: pb.ModelConfigRequest) -> pb.ModelConfigResponse:
        model = self._models.find(request.name, version_of(request.version))
        policy = self._control.policy(model.name)
        return pb.ModelConfigResponse(config=config_of(model.scorer.manifest, self._batching, policy))

    async def _model_statistics(self, request: pb.ModelStatisticsRequest) -> pb.ModelStatisticsResponse:
        number = version_of(request.version)
        if request.name:
            self._models.find(request.name, number)
        self._models.settle()
        return pb.ModelStatisticsResponse(
            model_stats=[
                statistics_of(model)
                for model in self._models.ready()
                if request.name in ("", model.name) and number in (None, model.version)
            ]
        )

    async def _repository_index(self, request: pb.RepositoryIndexRequest) -> pb.RepositoryIndexResponse:
        return pb.RepositoryIndexResponse(
            models=[
                index_of(status)
                for status in await self._control.index()
                if status.state is ModelState.READY or not request.ready
            ]
        )

    async def _repository_model_load(self, request: pb.RepositoryModelLoadRequest) -> pb.RepositoryModelLoadResponse:
        self._boundary.drain.check()
        name = model_name(request)
        await self._control.load(name, policy_asked_for(request))
        return pb.RepositoryModelLoadResponse(model_name=name, isLoaded=True)

    async def _repository_model_unload(
        self, request: pb.RepositoryModelUnloadRequest
    ) -> pb.RepositoryModelUnloadResponse:
        self._boundary.drain.check()
        check_unload(request)
        name = model_name(request)
        await self._control.unload(name)
        return pb.RepositoryModelUnloadResponse(model_name=name, isUnloaded=True)


def _apart(answer: Callable[[Any], Awaitable[Message]]) -> Callable[[Any, Context], Awaitable[Message]]:
    """The answer, as the boundary asks for it; what it knows of the call changes none."""
    return lambda request, _: answer(request)
