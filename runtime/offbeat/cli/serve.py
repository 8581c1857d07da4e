"""`offbeat serve`."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from offbeat.cli.logs import log_to_stderr
from offbeat.cli.serve_check import check as check_config
from offbeat.cli.serve_flags import FLAGS, KINDS
from offbeat.cli.serve_tuned import TunedOption, tell_tuned
from offbeat.config import BackendConfig, BatchingConfig, ServerConfig
from offbeat.config_file import use_config_file
from offbeat.connection_config import ConnectionConfig
from offbeat.errors import MissingExtraError
from offbeat.flag_fields import made, with_fields
from offbeat.security_config import SecurityConfig
from offbeat.series_config import SeriesConfig

# Threads that have nothing to do have ended by then.
_LAST_WAIT_S = 0.1
# Every size up to it is captured at the load; larger batches fill a GPU in parts.
_MAX_BUCKET_SIZE = 512


@with_fields(KINDS, FLAGS)
def serve(
    model_repository: Annotated[
        Path,
        typer.Argument(
            envvar="OFFBEAT_MODEL_REPOSITORY", help="Folder of models: a folder for each, with one for each version."
        ),
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            envvar="OFFBEAT_CONFIG",
            help="TOML file whose keys are these flags; flags and variables win over it.",
            is_eager=True,
            callback=use_config_file,
        ),
    ] = None,
    tuned: TunedOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Look at everything that a start would refuse, say so, and do not serve.")
    ] = False,
    **given: Any,
) -> None:
    """Serve the models of a repository over gRPC, until SIGTERM or Ctrl-C; then answer what is queued and stop.

    Speaks offbeat.v1.AnomalyScoring and the Open Inference Protocol v2, health and reflection, on one port.

    Examples:

    - `offbeat serve models --port 8001`
    - for other machines, with metrics: `offbeat serve models --host 0.0.0.0 --tls-cert server.pem --tls-key server.key --metrics-port 8002`
    - whether a start would succeed: `offbeat serve --config server.toml --check`
    """
    settings = _settings(model_repository, given)
    if check:
        check_config(settings)
        return
    # grpc would print a line of its own before ours where a port is taken.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    log_to_stderr(settings.log_format)
    if tuned is not None:
        tell_tuned(tuned, settings)
    try:
        from offbeat.server import run_server
    except ImportError as error:
        raise MissingExtraError(f"offbeat serve needs {error.name}; pip install 'offbeat[server]'") from error
    run_server(settings, on_ready=lambda bound: _announce(settings.host, bound))
    _end_process()


def _settings(model_repository: Path, given: Mapping[str, Any]) -> ServerConfig:
    """The configuration that the flags say. Raises ConfigurationError."""
    buckets = min(given["max_batch_size"], _MAX_BUCKET_SIZE)
    return made(
        ServerConfig,
        given,
        model_repository=model_repository,
        backend=made(BackendConfig, given, n_streams=given["n_workers"], max_bucket_size=buckets),
        batching=made(BatchingConfig, given),
        connections=made(ConnectionConfig, given),
        security=made(SecurityConfig, given),
        series=made(SeriesConfig, given),
    )


def _announce(host: str, port: int) -> None:
    named = f"[{host}]" if ":" in host else host
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(f"offbeat is ready on {named}:{port}\n")
        sys.stdout.flush()
    except OSError:
        # Whoever had it has gone, which is no reason to end; what is left in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_process() -> None:
    """Ends the process here where one of the server's threads still computes.

    The interpreter's own end would cut such a thread off when it comes back from C++, which aborts the process.
    """
    for thread in threading.enumerate():
        if thread.name.startswith("offbeat-"):
            thread.join(_LAST_WAIT_S)
            if thread.is_alive():
                logging.shutdown()
                sys.stdout.flush()
                os._exit(0)
