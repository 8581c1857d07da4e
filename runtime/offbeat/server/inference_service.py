"""inference.GRPCInferenceService: the Open Inference Protocol, version 2."""

from __future__ import annotations

from importlib.metadata import version

import grpc

from offbeat.config import BatchingConfig
from offbeat.errors import UnavailableError, UnknownModelError
from offbeat.inference import open_inference_pb2 as pb
from offbeat.server.boundary import Boundary, Context
from offbeat.server.inference_messages import encoded_response, query_of, version_of
from offbeat.server.model_messages import config_of, metadata_of
from offbeat.server.served import ModelState


class InferenceService:
    """The protocol of Triton's and KServe's clients, on the shared path."""

    NAME: str = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name

    def __init__(self, boundary: Boundary, batching: BatchingConfig) -> None:
        self._boundary = boundary
        self._models = boundary.engine.models
        self._batching = batching

    def handlers(self) -> grpc.GenericRpcHandler:
        """The methods by name."""
        unary = self._boundary.unary
        return grpc.method_handlers_generic_handler(
            self.NAME,
            {
                "ServerLive": unary(pb.ServerLiveRequest, self._server_live),
                "ServerReady": unary(pb.ServerReadyRequest, self._server_ready),
                "ModelReady": unary(pb.ModelReadyRequest, self._model_ready),
                "ServerMetadata": unary(pb.ServerMetadataRequest, self._server_metadata),
                "ModelMetadata": unary(pb.ModelMetadataRequest, self._model_metadata),
                "ModelInfer": self._boundary.scoring(pb.ModelInferRequest, query_of, encoded_response),
                "ModelConfig": unary(pb.ModelConfigRequest, self._model_config),
                "RepositoryIndex": unary(pb.RepositoryIndexRequest, self._repository_index),
            },
        )

    async def _server_live(self, _: pb.ServerLiveRequest, __: Context) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def _server_ready(self, _: pb.ServerReadyRequest, __: Context) -> pb.ServerReadyResponse:
        states = [state for _, _, state in self._models.index()]
        return pb.ServerReadyResponse(
            ready=not self._boundary.drain.is_draining and all(state is ModelState.READY for state in states)
        )

    async def _model_ready(self, request: pb.ModelReadyRequest, _: Context) -> pb.ModelReadyResponse:
        try:
            self._models.find(request.name, version_of(request.version))
            self._boundary.drain.check()
        except (UnknownModelError, UnavailableError):
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def _server_metadata(self, _: pb.ServerMetadataRequest, __: Context) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(
            name="offbeat", version=version("offbeat"), extensions=["binary_tensor_data", "model_configuration"]
        )

    async def _model_metadata(self, request: pb.ModelMetadataRequest, _: Context) -> pb.ModelMetadataResponse:
        model = self._models.find(request.name, version_of(request.version))
        versions = [ready.version for ready in self._models.ready() if ready.name == model.name]
        return metadata_of(model.scorer.manifest, versions)

    async def _model_config(self, request: pb.ModelConfigRequest, _: Context) -> pb.ModelConfigResponse:
        model = self._models.find(request.name, version_of(request.version))
        return pb.ModelConfigResponse(config=config_of(model.scorer.manifest, self._batching))

    async def _repository_index(self, request: pb.RepositoryIndexRequest, _: Context) -> pb.RepositoryIndexResponse:
        return pb.RepositoryIndexResponse(
            models=[
                pb.RepositoryIndexResponse.ModelIndex(name=name, version=str(number), state=state)
                for name, number, state in self._models.index()
                if state is ModelState.READY or not request.ready
            ]
        )
