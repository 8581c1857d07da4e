"""Configuration: frozen, keyword-only structs that are validated when they are made.

Each field is one command-line flag (`max_batch_size` is `--max-batch-size`) and one environment variable
(`OFFBEAT_MAX_BATCH_SIZE`). Durations carry their unit in the name. Constructing a struct starts nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from offbeat import native
from offbeat.connection_config import ConnectionConfig
from offbeat.errors import ConfigurationError, require, require_count
from offbeat.security_config import SecurityConfig
from offbeat.series_config import SeriesConfig
from offbeat.version_policy import VersionPolicy

Device = Literal["auto", "cpu", "cuda"]
LogFormat = Literal["human", "json"]
ModelControlMode = Literal["none", "poll", "explicit"]
_ISAS = ("auto", "baseline", "avx2", "avx512", "neon")


def _isas_here() -> tuple[str, ...]:
    """The names that this CPU can be asked for, as the native core chooses among them; all of them where there is no core."""
    if native.why_missing() is not None:
        return _ISAS
    features = native.cpu_features()
    if features["neon"]:
        return ("auto", "neon")
    has_avx2 = all(features[name] for name in ("avx2", "fma", "f16c"))
    has_avx512 = has_avx2 and all(features[f"avx512{part}"] for part in ("f", "bw", "dq", "vl"))
    return ("auto", "baseline", *(("avx2",) if has_avx2 else ()), *(("avx512",) if has_avx512 else ()))


class BackendConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which engine runs a model, and where.

    `backend` is `auto` or a registered name (`offbeat.backends.names()`); `auto` takes the fastest that works here.
    `device` `auto` takes CUDA where a GPU is usable and the CPU elsewhere; `cuda` refuses to fall back.
    `n_threads` is the number of threads one call may use. `isa` is the instruction set of the native core: `auto` takes the
    best that this CPU has, `baseline`, `avx2`, `avx512` and `neon` are for comparison.

    On a GPU `n_streams` batches of one model are computed at the same time; a batch is padded to a power of two of rows, or
    to `max_bucket_size`, and larger ones are computed in parts. `cuda_graphs` lets each of those sizes be captured as a CUDA
    graph where the model allows it. Raises ConfigurationError for values out of range.
    """

    backend: str = "auto"
    device: Device = "auto"
    n_threads: int = 1
    isa: str = "auto"
    n_streams: int = 1
    max_bucket_size: int = 512
    cuda_graphs: bool = True

    def __post_init__(self) -> None:
        require(bool(self.backend), "backend", self.backend, "a name")
        require(self.device in ("auto", "cpu", "cuda"), "device", self.device, "'auto', 'cpu' or 'cuda'")
        require_count("n_threads", self.n_threads, 1, 1024, "1 to 1024")
        if self.isa not in _ISAS:
            raise ConfigurationError(f"isa is {self.isa!r}; expected {', '.join(_isas_here())}")
        require_count("n_streams", self.n_streams, 1, 256, "1 to 256")
        require_count("max_bucket_size", self.max_bucket_size, 1, 65_536, "1 to 65,536 rows")


class BatchingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How queued requests become batches, in Triton's words.

    `max_batch_size` bounds the rows of one batch; a request of more is split. `max_queue_delay_us` is how long an idle
    worker may wait for more rows (0: never). `max_queue_size` bounds the requests waiting for one model. With
    `priority_levels`, requests of priority 1 go before those of 2, and so on; `default_priority_level` is that of a request
    that names none, or one that is not there. Raises ConfigurationError for values out of range.
    """

    max_batch_size: int = 512
    max_queue_delay_us: int = 0
    max_queue_size: int = 1024
    priority_levels: int = 0
    default_priority_level: int = 0

    def __post_init__(self) -> None:
        require_count("max_batch_size", self.max_batch_size, 1, 1_000_000, "1 to 1,000,000 rows")
        require_count("max_queue_delay_us", self.max_queue_delay_us, 0, 60_000_000, "0 to 60,000,000 µs")
        require_count("max_queue_size", self.max_queue_size, 1, 1_000_000, "1 to 1,000,000 requests")
        require_count("priority_levels", self.priority_levels, 0, 1000, "0 to 1,000")
        require(
            min(1, self.priority_levels) <= self.default_priority_level <= self.priority_levels,
            "default_priority_level",
            self.default_priority_level,
            "one of the priority_levels, 1 to their number" if self.priority_levels else "0 without priority_levels",
        )

    def level(self, priority: int) -> int:
        """The place of a priority in the order of levels, from 0."""
        if self.priority_levels == 0:
            return 0
        return (priority if 1 <= priority <= self.priority_levels else self.default_priority_level) - 1


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One gRPC server.

    `model_repository` is a folder of models in Triton's layout. `port` 0 takes a free port. `n_workers` is the number of
    batches computed at the same time. Requests that are expected to take `max_inline_us` at most are scored where they are
    received, without a change of thread (0: none are).
    A batch that takes longer than `max_compute_s` (0: no limit) is given up, and its model is out of service until it
    comes back. `grace_s` is how long a drain may take. `max_message_bytes` bounds one message either way;
    with `accept_compressed` one that came compressed as well, of which a thousandth has to be sent: that is for callers that are trusted.

    With `model_control_mode` none the models are those of the start; with poll the repository is looked at every
    `repository_poll_s` seconds; with explicit clients load and unload, and the start loads the models of `load_model`, `*` for
    all. `version_policy` (see VersionPolicy.parse) is for models whose config.pbtxt has none. Without `exit_on_error` the
    server starts although a model cannot be loaded.

    `metrics_port` answers /metrics, /healthz and /readyz over HTTP, on `metrics_host`; None: nothing does, 0: a free port. With
    `rest` it answers the REST form of the Open Inference Protocol, too; with `metrics_tls` it speaks TLS, by the server's
    files. With `admin_port` (0: a free port), on `admin_host`, the methods that are for admins are served there alone, beside all
    others.
    Traces go to the OpenTelemetry collector at `trace_endpoint` (`http://host:4317`, or https), of the share `trace_ratio` of the
    requests whose caller has not decided about it.

    `log_format` is that of the lines `offbeat serve` writes. `channelz` tells clients what grpc knows of its connections.

    Raises ConfigurationError for values out of range, or that do not go together.
    """

    model_repository: Path
    host: str = "127.0.0.1"
    port: int = 8001
    n_workers: int = 1
    max_inline_us: int = 200
    max_compute_s: float = 60.0
    grace_s: float = 30.0
    max_message_bytes: int = 64 * 2**20
    accept_compressed: bool = False
    model_control_mode: ModelControlMode = "none"
    repository_poll_s: float = 15.0
    load_model: tuple[str, ...] = ()
    version_policy: str = "latest:1"
    exit_on_error: bool = True
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    metrics_tls: bool = False
    rest: bool = False
    admin_port: int | None = None
    admin_host: str = "127.0.0.1"
    trace_endpoint: str | None = None
    trace_ratio: float = 0.01
    log_format: LogFormat = "human"
    channelz: bool = False
    backend: BackendConfig = BackendConfig()
    batching: BatchingConfig = BatchingConfig()
    connections: ConnectionConfig = ConnectionConfig()
    security: SecurityConfig = SecurityConfig()
    series: SeriesConfig = SeriesConfig()

    def __post_init__(self) -> None:
        self._check_scoring_port()
        self._check_models()
        self._check_further_ports()
        self._check_telling()

    def _check_scoring_port(self) -> None:
        require(bool(self.host), "host", self.host, "a host name or an address")
        self.security.check_host(self.host)
        require(0 <= self.port <= 65535, "port", self.port, "0 to 65535")
        require(1 <= self.n_workers <= 256, "n_workers", self.n_workers, "1 to 256")
        require(0 <= self.max_inline_us <= 1_000_000, "max_inline_us", self.max_inline_us, "0 to 1,000,000 µs")
        require(
            self.max_compute_s == 0 or 0.1 <= self.max_compute_s <= 86_400,
            "max_compute_s",
            self.max_compute_s,
            "0.1 to 86,400 seconds, or 0 for no limit",
        )
        require(0 <= self.grace_s <= 3600, "grace_s", self.grace_s, "0 to 3600 seconds")
        require(
            1024 <= self.max_message_bytes <= 2**31 - 1,
            "max_message_bytes",
            self.max_message_bytes,
            "1,024 to 2,147,483,647 bytes",
        )

    def _check_models(self) -> None:
        require(
            self.model_control_mode in ("none", "poll", "explicit"),
            "model_control_mode",
            self.model_control_mode,
            "'none', 'poll' or 'explicit'",
        )
        require(
            0.01 <= self.repository_poll_s <= 86_400,
            "repository_poll_s",
            self.repository_poll_s,
            "0.01 to 86,400 seconds",
        )
        require(
            not self.load_model or self.model_control_mode == "explicit",
            "load_model",
            self.load_model,
            "none but with model_control_mode 'explicit'",
        )
        VersionPolicy.parse(self.version_policy)

    def _check_further_ports(self) -> None:
        require(
            self.metrics_port is None or 0 <= self.metrics_port <= 65535,
            "metrics_port",
            self.metrics_port,
            "0 to 65535, or none",
        )
        require(bool(self.metrics_host), "metrics_host", self.metrics_host, "a host name or an address")
        self.security.check_metrics(self.metrics_host, has_tls=self.metrics_tls, has_rest=self.rest)
        require(not self.rest or self.metrics_port is not None, "rest", self.rest, "metrics_port as well")
        require(
            self.admin_port is None or 0 <= self.admin_port <= 65535,
            "admin_port",
            self.admin_port,
            "0 to 65535, or none",
        )
        require(bool(self.admin_host), "admin_host", self.admin_host, "a host name or an address")
        self.security.check_admin(self.admin_host)
        taken = [(self.host, self.port), (self.metrics_host, self.metrics_port)]
        require(not self.metrics_port or taken[0] != taken[1], "metrics_port", self.metrics_port, "a port of its own")
        is_free = (self.admin_host, self.admin_port) not in taken
        require(not self.admin_port or is_free, "admin_port", self.admin_port, "a port of its own")

    def _check_telling(self) -> None:
        require(
            self.trace_endpoint is None or _is_url(self.trace_endpoint),
            "trace_endpoint",
            self.trace_endpoint,
            "a URL like http://127.0.0.1:4317, or none",
        )
        require(0 <= self.trace_ratio <= 1, "trace_ratio", self.trace_ratio, "0 to 1")
        require(self.log_format in ("human", "json"), "log_format", self.log_format, "'human' or 'json'")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
