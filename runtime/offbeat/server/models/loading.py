"""From a folder to a model that may take requests."""

from __future__ import annotations

from offbeat.bundle import ModelRepository
from offbeat.config import ServerConfig
from offbeat.scorer import Scorer
from offbeat.server.scoring.served import ServedModel
from offbeat.server.scoring.warm_up import warm_up
from offbeat.server.telemetry.drift import Reference


def open_model(repository: ModelRepository, name: str, version: int, config: ServerConfig) -> ServedModel:
    """The version: its files checked, its golden windows replayed, and warm. Takes seconds.

    Raises BundleError, BackendError, ConfigurationError and UnknownModelError, and leaves nothing behind then.
    """
    folder = repository.open(name, version)
    reference = Reference.of(folder.golden(), folder.manifest)
    model = ServedModel(Scorer.open(folder, config.backend), config.batching, reference)
    try:
        warm_up(model)
    except BaseException:
        model.scorer.close()
        raise
    return model
