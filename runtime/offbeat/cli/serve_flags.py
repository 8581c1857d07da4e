"""The flags of `offbeat serve`, in the order of its help; types and defaults are those of the configuration's fields."""

from __future__ import annotations

from offbeat.cli.options import (
    BackendOption,
    CudaGraphsOption,
    DeviceOption,
    InsecureOption,
    IsaOption,
    ThreadsOption,
)
from offbeat.config import BackendConfig, BatchingConfig, ServerConfig
from offbeat.connection_config import ConnectionConfig
from offbeat.flag_fields import Flags, flag
from offbeat.security_config import SecurityConfig
from offbeat.series_config import SeriesConfig

# Of a name that is in two of them, as `backend`, the later one's field is the flag.
KINDS = (ServerConfig, SecurityConfig, BackendConfig, BatchingConfig, ConnectionConfig, SeriesConfig)
_LISTENING: Flags = {
    "host": flag("Address to listen on."),
    "port": flag("Port to listen on; 0 takes a free one.", min=0, max=65535),
    "tls_cert": flag("Speak TLS: PEM file of certificates, the server's own first."),
    "tls_key": flag("PEM file of the first certificate's private key."),
    "tls_client_ca": flag("Let in only clients with certificates of these authorities; PEM file."),
    "token_file": flag("Ask callers for a token of this file: one a line, admin: before those of admins."),
    "insecure": InsecureOption,
}
_SCORING: Flags = {
    "backend": BackendOption,
    "device": DeviceOption,
    "n_threads": ThreadsOption,
    "isa": IsaOption,
    "cuda_graphs": CudaGraphsOption,
    "n_workers": flag("Batches computed at the same time.", min=1),
    "max_inline_us": flag("Requests expected to take no longer are scored where they are received; 0: none.", min=0),
    "max_compute_s": flag("Give up a batch that takes longer, and its model until it is back; 0: never.", min=0),
    "max_batch_size": flag("Windows in one batch; a larger request is split.", min=1),
    "max_queue_delay_us": flag("How long an idle worker waits for more windows; 0: not at all.", min=0),
    "max_queue_size": flag("Requests that may wait for one model.", min=1),
    "priority_levels": flag("Levels of priority, 1 first; 0: none.", min=0),
    "default_priority_level": flag("Level of requests that name none.", min=0),
    "max_message_bytes": flag("Bytes of the largest message, either way.", min=1024),
    "accept_compressed": flag("Unpack compressed messages: for callers you trust, a KiB may take a MiB of memory."),
}
_CONNECTIONS: Flags = {
    "max_connections": flag("Connections open at once; 0: any number.", min=0),
    "max_concurrent_streams": flag("Calls at once on one connection.", min=1),
    "max_header_bytes": flag("Bytes of the metadata of one call.", min=1024),
    "max_connection_age_s": flag("Ask clients to connect anew after so long; 0: never.", min=0),
    "max_connection_age_grace_s": flag("Seconds that running calls have to end then.", min=0),
    "max_connection_idle_s": flag("Close a connection without calls for so long; 0: never.", min=0),
    "keepalive_time_s": flag("Ping a client that is silent for so long.", min=1),
    "keepalive_timeout_s": flag("Close its connection where it does not answer for so long.", min=0.1),
    "min_ping_interval_s": flag("Send clients away that ping more often than this.", min=0),
    "grace_s": flag("How long a drain may take after SIGTERM.", min=0),
}
_MODELS: Flags = {
    "model_control_mode": flag(
        "Who changes what is served: none, nobody; poll, the repository's folders; explicit, clients that load and unload."
    ),
    "repository_poll_s": flag("Seconds between two looks at the repository.", min=0.01),
    "load_model": flag("With explicit: a model to load at the start, * for all; repeatable."),
    "version_policy": flag(
        "Versions to serve of models whose config.pbtxt does not say: latest:N, all or specific:N,N."
    ),
    "exit_on_error": flag("Refuse to start where a model cannot be loaded."),
}
_FURTHER_PORTS: Flags = {
    "metrics_port": flag(
        "HTTP port of /metrics, /healthz and /readyz; 0 takes a free one. Off unless given.", min=0, max=65535
    ),
    "metrics_host": flag("Address the metrics listen on."),
    "metrics_tls": flag("The metrics port speaks TLS too, by the same files.", "--metrics-tls"),
    "rest": flag("Answer the Open Inference Protocol over HTTP on the metrics port, under /v2.", "--rest"),
    "admin_port": flag(
        "Load and unload models on this port alone; 0 takes a free one. On the main port unless given.",
        min=0,
        max=65535,
    ),
    "admin_host": flag("Address the port for admins listens on."),
    "trace_endpoint": flag("Send traces to this OpenTelemetry collector: http://host:4317."),
    "trace_ratio": flag("Share of the requests to trace whose caller does not say.", min=0, max=1),
    "log_format": flag("Of the log: lines for people, or one JSON object each."),
}
_SERIES: Flags = {
    "max_series": flag("Series remembered for each model, by ScorePoints.", min=1),
    "max_series_bytes": flag("Bytes of memory for the series of each model.", min=1024),
    "series_ttl_s": flag("Forget a series without a row for so long.", min=0.001),
    "out_of_order": flag("A row that is not later than the one before: refuse its request, or drop it."),
    "alarm_k": flag("ScorePoints tells an alarm where at least so many ...", min=1),
    "alarm_n": flag("... of so many last windows of a series are anomalous.", min=1),
    "state_dir": flag("Folder in which series survive a restart. Memory alone unless given."),
    "series_snapshot_s": flag("With --state-dir: seconds between two writings.", min=0.05),
    "channelz": flag("Answer grpc.channelz.v1: connections and their traffic."),
}
FLAGS: Flags = {**_LISTENING, **_SCORING, **_CONNECTIONS, **_MODELS, **_FURTHER_PORTS, **_SERIES}
