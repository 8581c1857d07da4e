"""What the server can tell of itself at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import monotonic

from msgspec import Struct

from offbeat.server.rpc.drain import Drain
from offbeat.server.rpc.health import Health
from offbeat.server.scoring.model_state import VersionStatus
from offbeat.server.scoring.served import ServedModel, ServedModels
from offbeat.server.series.series_metrics import SeriesSnapshot
from offbeat.server.telemetry.buckets import Buckets
from offbeat.server.telemetry.drift import Reference
from offbeat.server.telemetry.recent_windows import RecentWindow
from offbeat.server.telemetry.traffic import Traffic


class MethodSnapshot(Struct, frozen=True, kw_only=True, eq=False):
    """The requests of one method: durations of those answered by model, and counts of the others by model and status."""

    name: str
    durations: dict[str, Buckets]
    refused: Counter[tuple[str, str]]


class VersionSnapshot(Struct, frozen=True, kw_only=True, eq=False):
    """One version that takes requests; `batches` has the number of batches and their seconds by their number of rows."""

    name: str
    version: int
    backend: str
    n_waiting: int
    n_running: int
    batches: dict[int, tuple[int, float]]
    queue: Buckets
    compute: Buckets
    scores: Buckets
    n_anomalies: int
    reference: Reference | None
    recent: list[RecentWindow]


class Snapshot(Struct, frozen=True, kw_only=True, eq=False):
    """Copies, for any thread to read.

    `hung` are the versions a batch of which hangs, or whose engine fails. `certificate_expires` is in seconds since 1970, None without one. `loads`
    counts by model and result.
    """

    is_ready: bool
    hung: list[VersionStatus]
    certificate_expires: float | None
    n_calls: int
    methods: list[MethodSnapshot]
    versions: list[VersionSnapshot]
    loads: Counter[tuple[str, str]]
    series: SeriesSnapshot


def take_snapshot(
    models: ServedModels,
    traffic: Traffic,
    drain: Drain,
    health: Health,
    expires: Callable[[], float | None],
    series: Callable[[], SeriesSnapshot],
) -> Snapshot:
    """The state now; to be called on the event loop. `expires` tells when the certificate does."""
    models.settle()
    return Snapshot(
        is_ready=health.is_serving,
        hung=models.suspended(),
        certificate_expires=expires(),
        n_calls=drain.n_calls,
        methods=[
            MethodSnapshot(
                name=name,
                durations={model: durations.copy() for model, durations in method.durations.items()},
                refused=method.refused.copy(),
            )
            for name, method in traffic.methods.items()
        ],
        versions=[_version(model) for model in models.ready()],
        loads=models.loads.copy(),
        series=series(),
    )


def _version(model: ServedModel) -> VersionSnapshot:
    observed = model.observations
    observed.settle()
    return VersionSnapshot(
        name=model.name,
        version=model.version,
        backend=model.backend,
        n_waiting=len(model.queue),
        n_running=model.n_running,
        batches=model.statistics.batches.copy(),
        queue=observed.queue.copy(),
        compute=observed.compute.copy(),
        scores=observed.scores.copy(),
        n_anomalies=observed.n_anomalies,
        reference=model.reference,
        recent=observed.recent.since(monotonic()),
    )
