"""What offbeat.v1 tells of the models being served."""

from __future__ import annotations

from offbeat.server.scoring.served import ServedModel, ServedModels
from offbeat.v1.scoring_pb2 import GetModelRequest, GetModelResponse, ListModelsResponse, ModelSummary


def list_models(models: ServedModels) -> ListModelsResponse:
    """Every version that takes requests."""
    return ListModelsResponse(models=[_summary(model) for model in models.ready()])


def get_model(models: ServedModels, request: GetModelRequest) -> GetModelResponse:
    """The model asked for, with its manifest. Raises UnknownModelError, UnavailableError while it is loading."""
    model = models.find(request.name, request.version or None)
    return GetModelResponse(model=_summary(model), manifest_json=model.scorer.manifest.to_json())


def _summary(model: ServedModel) -> ModelSummary:
    return ModelSummary(
        name=model.name,
        version=model.version,
        architecture=model.scorer.manifest.architecture.kind,
        backend=model.backend,
        max_batch_size=model.batching.max_batch_size,
    )
