"""`offbeat serve`."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from offbeat.cli.logs import log_to_stderr
from offbeat.cli.options import BackendOption, CudaGraphsOption, DeviceOption, IsaOption, ThreadsOption
from offbeat.cli.serve_check import check as check_config
from offbeat.cli.serve_connections import (
    KeepaliveTimeOption,
    KeepaliveTimeoutOption,
    MaxConcurrentStreamsOption,
    MaxConnectionAgeGraceOption,
    MaxConnectionAgeOption,
    MaxConnectionIdleOption,
    MaxConnectionsOption,
    MaxHeaderBytesOption,
    MinPingIntervalOption,
)
from offbeat.cli.serve_security import InsecureOption, TlsCertOption, TlsClientCaOption, TlsKeyOption, TokenFileOption
from offbeat.cli.serve_series import (
    AlarmKOption,
    AlarmNOption,
    MaxSeriesBytesOption,
    MaxSeriesOption,
    OutOfOrderOption,
    SeriesSnapshotOption,
    SeriesTtlOption,
    StateDirOption,
)
from offbeat.cli.serve_tuned import TunedOption, tell_tuned
from offbeat.config import BackendConfig, BatchingConfig, LogFormat, ModelControlMode, ServerConfig
from offbeat.config_file import use_config_file
from offbeat.connection_config import ConnectionConfig
from offbeat.errors import MissingExtraError
from offbeat.security_config import SecurityConfig
from offbeat.series_config import SeriesConfig

# Threads that have nothing to do have ended by then.
_LAST_WAIT_S = 0.1
# Every size up to it is captured at the load; larger batches fill a GPU in parts.
_MAX_BUCKET_SIZE = 512


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
    host: Annotated[str, typer.Option(envvar="OFFBEAT_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="OFFBEAT_PORT", min=0, max=65535, help="0 takes a free port.")] = 8001,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    tls_client_ca: TlsClientCaOption = None,
    token_file: TokenFileOption = None,
    insecure: InsecureOption = False,
    backend: BackendOption = "auto",
    device: DeviceOption = "auto",
    n_threads: ThreadsOption = 1,
    isa: IsaOption = "auto",
    cuda_graphs: CudaGraphsOption = True,
    n_workers: Annotated[
        int, typer.Option(envvar="OFFBEAT_N_WORKERS", min=1, help="Batches computed at the same time.")
    ] = 1,
    max_inline_us: Annotated[
        int,
        typer.Option(
            envvar="OFFBEAT_MAX_INLINE_US",
            min=0,
            help="Requests expected to take no longer are scored where they are received.",
        ),
    ] = 200,
    max_compute_s: Annotated[
        float,
        typer.Option(
            envvar="OFFBEAT_MAX_COMPUTE_S",
            min=0,
            help="Give up a batch that takes longer, and its model until it is back.",
        ),
    ] = 60.0,
    max_batch_size: Annotated[
        int, typer.Option(envvar="OFFBEAT_MAX_BATCH_SIZE", min=1, help="Rows in one batch, and in one request.")
    ] = 512,
    max_queue_delay_us: Annotated[
        int,
        typer.Option(envvar="OFFBEAT_MAX_QUEUE_DELAY_US", min=0, help="How long an idle worker waits for more rows."),
    ] = 0,
    max_queue_size: Annotated[
        int, typer.Option(envvar="OFFBEAT_MAX_QUEUE_SIZE", min=1, help="Requests that may wait for one model.")
    ] = 1024,
    priority_levels: Annotated[
        int, typer.Option(envvar="OFFBEAT_PRIORITY_LEVELS", min=0, help="Levels of priority, 1 first; 0: none.")
    ] = 0,
    default_priority_level: Annotated[
        int,
        typer.Option(envvar="OFFBEAT_DEFAULT_PRIORITY_LEVEL", min=0, help="Level of requests that name none."),
    ] = 0,
    max_message_bytes: Annotated[
        int, typer.Option(envvar="OFFBEAT_MAX_MESSAGE_BYTES", min=1024, help="Largest message, either way.")
    ] = 64 * 2**20,
    max_connections: MaxConnectionsOption = 0,
    max_concurrent_streams: MaxConcurrentStreamsOption = 4096,
    max_header_bytes: MaxHeaderBytesOption = 16 * 2**10,
    max_connection_age_s: MaxConnectionAgeOption = 0.0,
    max_connection_age_grace_s: MaxConnectionAgeGraceOption = 30.0,
    max_connection_idle_s: MaxConnectionIdleOption = 0.0,
    keepalive_time_s: KeepaliveTimeOption = 60.0,
    keepalive_timeout_s: KeepaliveTimeoutOption = 20.0,
    min_ping_interval_s: MinPingIntervalOption = 10.0,
    grace_s: Annotated[
        float, typer.Option(envvar="OFFBEAT_GRACE_S", min=0, help="How long a drain may take after SIGTERM.")
    ] = 30.0,
    model_control_mode: Annotated[
        ModelControlMode,
        typer.Option(
            envvar="OFFBEAT_MODEL_CONTROL_MODE",
            help="Who changes what is served: none; poll, the repository's folders; explicit, clients that load and unload.",
        ),
    ] = "none",
    repository_poll_s: Annotated[
        float,
        typer.Option(envvar="OFFBEAT_REPOSITORY_POLL_S", min=0.01, help="Seconds between two looks at the repository."),
    ] = 15.0,
    load_model: Annotated[
        list[str],
        typer.Option(
            envvar="OFFBEAT_LOAD_MODEL", help="With explicit: a model to load at the start, * for all; repeatable."
        ),
    ] = [],  # noqa: B006 - typer's way to say that none is given
    version_policy: Annotated[
        str,
        typer.Option(
            envvar="OFFBEAT_VERSION_POLICY",
            help="Versions to serve of models whose config.pbtxt does not say: latest:N, all or specific:N,N.",
        ),
    ] = "latest:1",
    exit_on_error: Annotated[
        bool, typer.Option(envvar="OFFBEAT_EXIT_ON_ERROR", help="Refuse to start where a model cannot be loaded.")
    ] = True,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            envvar="OFFBEAT_METRICS_PORT",
            min=0,
            max=65535,
            help="HTTP port of /metrics, /healthz and /readyz; 0 takes a free one. Off unless given.",
        ),
    ] = None,
    metrics_host: Annotated[
        str, typer.Option(envvar="OFFBEAT_METRICS_HOST", help="Address the metrics listen on.")
    ] = "127.0.0.1",
    metrics_tls: Annotated[
        bool,
        typer.Option("--metrics-tls", envvar="OFFBEAT_METRICS_TLS", help="HTTP speaks TLS too, by the same files."),
    ] = False,
    rest: Annotated[
        bool,
        typer.Option("--rest", envvar="OFFBEAT_REST", help="Answer the Open Inference Protocol over HTTP, under /v2."),
    ] = False,
    admin_port: Annotated[
        int | None,
        typer.Option(
            envvar="OFFBEAT_ADMIN_PORT",
            min=0,
            max=65535,
            help="Load and unload models on this port alone; 0 takes a free one. On the main port unless given.",
        ),
    ] = None,
    admin_host: Annotated[
        str, typer.Option(envvar="OFFBEAT_ADMIN_HOST", help="Address the port for admins listens on.")
    ] = "127.0.0.1",
    trace_endpoint: Annotated[
        str | None,
        typer.Option(
            envvar="OFFBEAT_TRACE_ENDPOINT", help="Send traces to this OpenTelemetry collector: http://host:4317."
        ),
    ] = None,
    trace_ratio: Annotated[
        float,
        typer.Option(
            envvar="OFFBEAT_TRACE_RATIO", min=0, max=1, help="Share of the requests to trace whose caller does not say."
        ),
    ] = 0.01,
    log_format: Annotated[
        LogFormat, typer.Option(envvar="OFFBEAT_LOG_FORMAT", help="Lines for people, or one JSON object each.")
    ] = "human",
    max_series: MaxSeriesOption = 100_000,
    max_series_bytes: MaxSeriesBytesOption = 2**30,
    series_ttl_s: SeriesTtlOption = 86_400.0,
    out_of_order: OutOfOrderOption = "refuse",
    alarm_k: AlarmKOption = 1,
    alarm_n: AlarmNOption = 1,
    state_dir: StateDirOption = None,
    series_snapshot_s: SeriesSnapshotOption = 30.0,
    channelz: Annotated[
        bool, typer.Option(envvar="OFFBEAT_CHANNELZ", help="Answer grpc.channelz.v1: connections and their traffic.")
    ] = False,
) -> None:
    """Serve the models of a repository over gRPC, until SIGTERM or Ctrl-C; then answer what is queued and stop.

    Speaks offbeat.v1.AnomalyScoring and the Open Inference Protocol v2, health and reflection, on one port.

    Example: `offbeat serve models --port 8001`
    """
    settings = ServerConfig(
        model_repository=model_repository,
        host=host,
        port=port,
        n_workers=n_workers,
        max_inline_us=max_inline_us,
        max_compute_s=max_compute_s,
        grace_s=grace_s,
        max_message_bytes=max_message_bytes,
        model_control_mode=model_control_mode,
        repository_poll_s=repository_poll_s,
        load_model=tuple(load_model),
        version_policy=version_policy,
        exit_on_error=exit_on_error,
        metrics_port=metrics_port,
        metrics_host=metrics_host,
        metrics_tls=metrics_tls,
        rest=rest,
        trace_endpoint=trace_endpoint,
        trace_ratio=trace_ratio,
        admin_port=admin_port,
        admin_host=admin_host,
        log_format=log_format,
        channelz=channelz,
        backend=BackendConfig(
            backend=backend,
            device=device,
            n_threads=n_threads,
            isa=isa,
            n_streams=n_workers,
            max_bucket_size=min(max_batch_size, _MAX_BUCKET_SIZE),
            cuda_graphs=cuda_graphs,
        ),
        batching=BatchingConfig(
            max_batch_size=max_batch_size,
            max_queue_delay_us=max_queue_delay_us,
            max_queue_size=max_queue_size,
            priority_levels=priority_levels,
            default_priority_level=default_priority_level,
        ),
        connections=ConnectionConfig(
            max_connections=max_connections,
            max_concurrent_streams=max_concurrent_streams,
            max_header_bytes=max_header_bytes,
            max_connection_age_s=max_connection_age_s,
            max_connection_age_grace_s=max_connection_age_grace_s,
            max_connection_idle_s=max_connection_idle_s,
            keepalive_time_s=keepalive_time_s,
            keepalive_timeout_s=keepalive_timeout_s,
            min_ping_interval_s=min_ping_interval_s,
        ),
        series=SeriesConfig(
            max_series=max_series,
            max_series_bytes=max_series_bytes,
            series_ttl_s=series_ttl_s,
            out_of_order=out_of_order,
            alarm_k=alarm_k,
            alarm_n=alarm_n,
            state_dir=state_dir,
            series_snapshot_s=series_snapshot_s,
        ),
        security=SecurityConfig(
            tls_cert=tls_cert, tls_key=tls_key, tls_client_ca=tls_client_ca, token_file=token_file, insecure=insecure
        ),
    )
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
    run_server(settings, on_ready=lambda bound: _announce(host, bound))
    _end_process()


def _announce(host: str, port: int) -> None:
    sys.stdout.write(f"offbeat is ready on {host}:{port}\n")
    sys.stdout.flush()


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
