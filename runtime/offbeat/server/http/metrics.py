"""A snapshot as Prometheus' metrics. docs/serving.md says what each means."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from offbeat.server.http.drift_metrics import drift_metrics
from offbeat.server.http.snapshot import Snapshot, VersionSnapshot
from offbeat.server.series.series_metrics import series_metrics
from offbeat.server.telemetry.buckets import Buckets

_BATCH_BOUNDS = tuple(float(2**power) for power in range(13))
_VERSION = ("model", "version")


class ServerCollector(Collector):
    """Asks for a snapshot at each scrape, and makes metrics of it: nothing is kept, and no request pays for them."""

    def __init__(self, take: Callable[[], Snapshot]) -> None:
        self._take = take

    def collect(self) -> Iterator[Metric]:
        """The metrics now."""
        snapshot = self._take()
        yield from _server_metrics(snapshot)
        yield from _request_metrics(snapshot)
        yield from _version_gauges(snapshot.versions)
        yield from _version_histograms(snapshot.versions)
        yield from drift_metrics(snapshot.versions)
        yield from series_metrics(snapshot.series)


def _server_metrics(snapshot: Snapshot) -> Iterator[Metric]:
    yield GaugeMetricFamily("offbeat_ready", "1 while health says SERVING.", value=snapshot.is_ready)
    yield GaugeMetricFamily("offbeat_calls_in_flight", "Calls and streams under way.", value=snapshot.n_calls)
    yield GaugeMetricFamily(
        "offbeat_hung_versions",
        "Versions out of service because a batch hangs, or their engine fails.",
        value=len(snapshot.hung),
    )
    if snapshot.certificate_expires is not None:
        yield GaugeMetricFamily(
            "offbeat_certificate_expires_timestamp_seconds",
            "When the server's certificate expires, in seconds since 1970.",
            value=snapshot.certificate_expires,
        )
    loads = CounterMetricFamily("offbeat_model_loads", "Versions loaded or refused.", labels=("model", "result"))
    for labels, count in sorted(snapshot.loads.items()):
        loads.add_metric(labels, count)
    yield loads


def _request_metrics(snapshot: Snapshot) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "offbeat_requests", "Requests for scores that ended, by status.", labels=("method", "model", "status")
    )
    durations = HistogramMetricFamily(
        "offbeat_request_duration_seconds", "From a request's bytes to its answer's.", labels=("method", "model")
    )
    for method in snapshot.methods:
        for model, buckets in method.durations.items():
            requests.add_metric((method.name, model, "OK"), buckets.n_values)
            _add(durations, (method.name, model), buckets)
        for (model, status), count in sorted(method.refused.items()):
            requests.add_metric((method.name, model, status), count)
    yield requests
    yield durations


def _version_gauges(versions: list[VersionSnapshot]) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "offbeat_model_info", "1 for each version that takes requests.", labels=(*_VERSION, "backend")
    )
    depth = GaugeMetricFamily("offbeat_queue_depth", "Requests that wait for a batch.", labels=_VERSION)
    running = GaugeMetricFamily("offbeat_batches_running", "Batches in the hands of workers.", labels=_VERSION)
    anomalies = CounterMetricFamily("offbeat_anomalies", "Windows with a score above 0.5.", labels=_VERSION)
    for each in versions:
        info.add_metric((*_labels(each), each.backend), 1)
        depth.add_metric(_labels(each), each.n_waiting)
        running.add_metric(_labels(each), each.n_running)
        anomalies.add_metric(_labels(each), each.n_anomalies)
    yield from (info, depth, running, anomalies)


def _version_histograms(versions: list[VersionSnapshot]) -> Iterator[Metric]:
    sizes = HistogramMetricFamily("offbeat_batch_size", "Windows in a batch.", labels=_VERSION)
    queue = HistogramMetricFamily("offbeat_queue_duration_seconds", "A request's wait for a batch.", labels=_VERSION)
    compute = HistogramMetricFamily("offbeat_compute_duration_seconds", "A batch's scoring.", labels=_VERSION)
    scores = HistogramMetricFamily("offbeat_anomaly_score", "Scores of windows.", labels=_VERSION)
    for each in versions:
        _add(sizes, _labels(each), _batch_sizes(each.batches))
        _add(queue, _labels(each), each.queue)
        _add(compute, _labels(each), each.compute)
        _add(scores, _labels(each), each.scores)
    yield from (sizes, queue, compute, scores)


def _batch_sizes(batches: dict[int, tuple[int, float]]) -> Buckets:
    buckets = Buckets(_BATCH_BOUNDS)
    for n_rows, (n_batches, _) in batches.items():
        buckets.add_times(n_rows, n_batches)
    return buckets


def _labels(version: VersionSnapshot) -> tuple[str, str]:
    return version.name, str(version.version)


def _add(family: HistogramMetricFamily, labels: tuple[str, ...], buckets: Buckets) -> None:
    family.add_metric(labels, buckets.cumulative(), buckets.total)
