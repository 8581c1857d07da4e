"""What is remembered of series, as Prometheus' metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from offbeat.server.series.series_memory import SeriesMemory
from offbeat.server.series.state_directory import StateDirectory


class SeriesSnapshot(Struct, frozen=True, kw_only=True, eq=False):
    """Copies, for any thread to read: series by model, rows by model and what became of them, series forgotten by model and reason.

    `snapshots` by what became of them, and the age of the last good one in seconds, are None without a state directory.
    """

    n_series: Counter[str]
    rows: Counter[tuple[str, str]]
    forgotten: Counter[tuple[str, str]]
    snapshots: Counter[str] | None
    age_s: float | None


def series_snapshot(memory: SeriesMemory, directory: StateDirectory | None) -> SeriesSnapshot:
    """The state now; to be called on the event loop."""
    n_series: Counter[str] = Counter()
    rows: Counter[tuple[str, str]] = Counter()
    forgotten: Counter[tuple[str, str]] = Counter()
    for shape, store in memory.stores():
        n_series[shape.model] += len(store)
        rows.update({(shape.model, result): count for result, count in store.n_rows.items()})
        forgotten.update({(shape.model, reason): count for reason, count in store.n_forgotten.items()})
    return SeriesSnapshot(
        n_series=n_series,
        rows=rows,
        forgotten=forgotten,
        snapshots=None if directory is None else directory.snapshots.copy(),
        age_s=None if directory is None else memory.clock() - directory.written_at,
    )


def series_metrics(snapshot: SeriesSnapshot) -> Iterator[Metric]:
    """The metrics of the series; those of their files only where there are files."""
    series = GaugeMetricFamily("offbeat_series", "Series that are remembered.", labels=("model",))
    for model, count in sorted(snapshot.n_series.items()):
        series.add_metric((model,), count)
    yield series
    yield _counter("offbeat_series_rows", "Rows of series, by what became of them.", ("model", "result"), snapshot.rows)
    yield _counter(
        "offbeat_series_forgotten", "Series that were forgotten, by reason.", ("model", "reason"), snapshot.forgotten
    )
    if snapshot.snapshots is None or snapshot.age_s is None:
        return
    files = CounterMetricFamily(
        "offbeat_series_snapshots", "Files of series, by what became of them.", labels=("result",)
    )
    for result, count in sorted(snapshot.snapshots.items()):
        files.add_metric((result,), count)
    yield files
    yield GaugeMetricFamily(
        "offbeat_series_snapshot_age_seconds", "Since all series were last written.", value=snapshot.age_s
    )


def _counter(name: str, words: str, labels: tuple[str, str], counts: Counter[tuple[str, str]]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, words, labels=labels)
    for values, count in sorted(counts.items()):
        family.add_metric(values, count)
    return family
