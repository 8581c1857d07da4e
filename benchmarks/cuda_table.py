"""What a run on a GPU found, as tables."""

from __future__ import annotations

from typing import Any

from benchmarks.report.results import Result


def cuda_tables(result: Result) -> str:
    """A table for each model, and a line for whatever failed."""
    failures = [
        f"- {found['model']}, {what}: {why}"
        for found in result.content["results"]
        for what, why in found["failed"].items()
    ]
    parts = [*map(table, result.content["results"]), "\n".join(failures)]
    return "\n\n".join(part for part in parts if part)


def table(result: dict[str, Any]) -> str:
    """One model's figures in Markdown: median µs of a call, times faster than eager, windows per second; – where there is none."""
    names = list(result["backends"])
    parity = [f"{result['parity'][name]['deviation']:.2f}" if name in result["parity"] else "–" for name in names]
    rows = [[result["model"], *names], ["---"] * (len(names) + 1), ["parity, of the bound", *parity]]
    rows += [
        [f"batch {row['batch']}, µs", *(_call(row["calls"].get(name)) for name in names)] for row in result["latency"]
    ]
    for row in result["throughput"]:
        rates = (f"{row[name]:,.0f}" if name in row else "–" for name in names)
        rows.append([f"batch {row['batch']}, {row['n_threads']} threads, windows/s", *rates])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _call(figures: dict[str, float] | None) -> str:
    if figures is None:
        return "–"
    ratio = f" ({figures['times_eager']:.2f} ×)" if "times_eager" in figures else ""
    return f"{figures['p50_us']:,.0f}, p99 {figures['p99_us']:,.0f}{ratio}"
