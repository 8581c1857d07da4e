"""Ray beside plain processes and beside offbeat's own server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.report.results import Result, figures_of
from benchmarks.report.text import table


def ray_tables(result: Result) -> str:
    """Bulk scoring by workers, and calls by server; medians over the rounds."""
    return f"{ray_bulk_table(result)}\n\n{ray_serving_table(result)}"


def ray_bulk_table(result: Result) -> str:
    """Rows a second of one worker and of two."""
    content = result.content
    rows = []
    for way, label in (("Ray", "Ray"), ("processes", "plain processes")):
        rates = [_of(content["bulk"], "rows_a_second", way=way, n_workers=n) for n in (1, 2)]
        times = content["speed_up"][way]
        cells = (f"{median(each):,.0f} rows/s" for each in rates)
        rows.append((label, *cells, f"{times['median']:.2f} × ({times['best']:.2f} × in the best rounds)"))
    head = (f"bulk, {content['n_files']} files of {content['n_rows_a_file']:,} rows", "1 worker", "2 workers")
    return table((*head, "as fast with two"), rows)


def ray_serving_table(result: Result) -> str:
    """Calls a second and their median latency, of each server."""
    rows = []
    runs = result.content["serving"]
    for server in dict.fromkeys(run["server"] for run in runs):
        alone, many = (
            {key: median(_of(runs, key, server=server, concurrency=n)) for key in ("p50_us", "per_second")}
            for n in (1, 32)
        )
        latency = f"{alone['p50_us'] / 1e3:.2f} ms, {alone['per_second']:,.0f} calls/s"
        rows.append((server, latency, f"{many['per_second']:,.0f} calls/s"))
    return table(("serving, one window a call", "one call at a time, median", "32 calls at a time"), rows)


def _of(runs: Sequence[Mapping[str, Any]], key: str, **case: object) -> list[float]:
    return [run[key] for run in runs if all(run[name] == value for name, value in case.items())]


def _call_costs(result: Result) -> str:
    """How much longer a call through Ray takes, one at a time."""
    runs = result.content["serving"]
    ray, ours = (median(_of(runs, "p50_us", server=name, concurrency=1)) for name in ("Ray Serve", "offbeat serve"))
    return f"{(ray - ours) / 1e3:.1f} ms"


FIGURES = figures_of("ray", {"call_costs": _call_costs})
