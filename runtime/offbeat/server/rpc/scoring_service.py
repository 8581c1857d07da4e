"""offbeat.v1.AnomalyScoring."""

from __future__ import annotations

import grpc

from offbeat.server.messages.scoring_messages import SCORE, SCORE_STREAM
from offbeat.server.models.model_summaries import get_model, list_models
from offbeat.server.rpc.boundary import Boundary, Context
from offbeat.server.rpc.points_service import PointsService
from offbeat.server.rpc.score_stream import stream_handler
from offbeat.server.rpc.unread import SheddingService
from offbeat.v1.scoring_pb2 import (
    DESCRIPTOR,
    GetModelRequest,
    GetModelResponse,
    ListModelsRequest,
    ListModelsResponse,
)


class ScoringService:
    """The native protocol, on the shared path."""

    NAME: str = DESCRIPTOR.services_by_name["AnomalyScoring"].full_name
    # No method is for admins.
    ADMIN = ()

    def __init__(self, boundary: Boundary, points: PointsService) -> None:
        self._boundary = boundary
        self._points = points
        self._models = boundary.engine.models

    def handlers(self) -> grpc.GenericRpcHandler:
        """The methods by name."""
        unary = self._boundary.unary
        methods = {
            "Score": self._boundary.scoring(SCORE),
            "ScoreStream": stream_handler(self._boundary, SCORE_STREAM),
            "ListModels": unary(ListModelsRequest, self._list_models),
            "GetModel": unary(GetModelRequest, self._get_model),
            **self._points.methods(self._boundary),
        }
        return SheddingService(self.NAME, methods, "Score", self._boundary)

    async def _list_models(self, _: ListModelsRequest, __: Context) -> ListModelsResponse:
        return list_models(self._models)

    async def _get_model(self, request: GetModelRequest, _: Context) -> GetModelResponse:
        return get_model(self._models, request)
