"""`offbeat serve --tuned`: the settings that `offbeat bench` recommends for this machine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from offbeat.bench import read_recommendation
from offbeat.bundle import ModelRepository
from offbeat.config import ServerConfig
from offbeat.errors import OffbeatError

_logger = logging.getLogger("offbeat.server")


def use_recommendation(context: typer.Context, path: Path | None) -> Path | None:
    """Lets the file's values take the place of the command's defaults: flags, variables and --config win over it.

    Raises ConfigurationError for a file that is none, or of another machine.
    """
    if path is not None:
        recommendation = read_recommendation(path)
        recommendation.check_machine(path)
        context.default_map = {**recommendation.settings(), **(context.default_map or {})}
    return path


TunedOption = Annotated[
    Path | None,
    typer.Option(
        "--tuned",
        envvar="OFFBEAT_TUNED",
        help="File that `offbeat bench` wrote on this machine: engine, threads and batching; flags win over it.",
        is_eager=True,
        callback=use_recommendation,
    ),
]


def tell_tuned(path: Path, config: ServerConfig) -> None:
    """Logs what is served with, and warns of models that the file was not measured with."""
    recommendation, repository = read_recommendation(path), ModelRepository(config.model_repository)
    given = {
        "backend": config.backend.backend,
        "device": config.backend.device,
        "n_threads": config.backend.n_threads,
        "max_batch_size": config.batching.max_batch_size,
        "max_queue_delay_us": config.batching.max_queue_delay_us,
    }
    told = [
        f"{name} {given[name]}" + ("" if str(given[name]) == value else f" (by flag; {value} is recommended)")
        for name, value in recommendation.settings().items()
    ]
    _logger.info("tuned by %s: %s", path, ", ".join(told))
    try:
        newest = [(name, repository.versions(name)[-1]) for name in repository.names()]
    except OffbeatError as error:
        # What cannot be read is for the start to judge: it may be none of the models to be served.
        _logger.warning("tuned by %s; whether it was measured with every model is not known: %s", path, error)
        return
    if others := recommendation.unmeasured(repository.path, newest):
        _logger.warning(
            "tuned by %s, which was not measured with %s: run offbeat bench again where it matters",
            path,
            ", ".join(others),
        )
