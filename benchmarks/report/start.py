"""Imports, first scores, memory and sizes."""

from __future__ import annotations

from typing import Any

from benchmarks.report.bars import EDGE_BYTES, EDGE_MIB, EDGE_START_MS, MAX_DRIFT
from benchmarks.report.results import Result, Results, Told, figures_of
from benchmarks.report.text import against, percent, table


def start_tables(result: Result) -> str:
    """Imports; first scores and readiness; memory."""
    content = result.content
    imports = [
        (f"`import {name}`", f"{each['import_ms']:.0f}", each["n_modules"], ", ".join(each["heavy"]))
        for name, each in content["imports"].items()
    ]
    ready = content["server_ready_ms"]
    stages = ("import_ms", "load_ms", "score_ms", "process_ms")
    first = [
        (
            name,
            *(f"{each[stage]:.0f}" if stage in each else "" for stage in stages),
            f"{ready[name]:.0f}" if name in ready else "",
        )
        for name, each in content["first_score"].items()
    ]
    head = ("first score", "import ms", "load ms", "score ms", "process ms, start to end", "server ready, ms")
    return "\n\n".join(
        [
            table(("", "ms", "modules", "of them large"), imports),
            table(head, [*first, *_edge_row(content)]),
            _memory_table(content),
        ]
    )


def _edge_row(content: dict[str, Any]) -> list[tuple[str, ...]]:
    if "first_edge_score" not in content:
        return []
    ms = content["first_edge_score"]["process_ms"]
    text = against(ms, EDGE_START_MS, f"{ms:.1f}", f"{EDGE_START_MS:g}", is_lower_better=True)
    return [("`offbeat-edge score`, from a folder", "", "", "", text, "")]


def _memory_table(content: dict[str, Any]) -> str:
    rows = []
    for backend, each in content["server_memory"].items():
        idle, loaded = each["idle"]["rss_mib"], each["under_load"]["rss_mib"]
        rows.append(
            (
                f"server, {backend}",
                f"{idle:.0f}",
                f"{loaded:.0f}",
                f"{each['n_requests']:,} requests",
                _drift(each["drift"]),
            )
        )
    if edge := content.get("edge_memory"):
        idle, loaded = edge["idle"]["rss_mib"], edge["under_load"]["rss_mib"]
        rows.append(("`offbeat-edge`", f"{idle:.1f}", f"{loaded:.1f}", f"{edge['n_rows']:,} rows", ""))
    return table(("resident memory", "idle, MiB", "after the load, MiB", "load", "drift (bar)"), rows)


def _drift(drift: float) -> str:
    return against(
        abs(drift), MAX_DRIFT, f"{100 * drift:+.1f} %", f"{percent(MAX_DRIFT)} at most", is_lower_better=True
    )


def sizes_table(result: Result) -> str:
    """Bytes of what is installed on a small box."""
    rows = [
        (f"`{name}`", f"{n_bytes:,}", f"{n_bytes / 1e6:.2f}") for name, n_bytes in result.content["stripped"].items()
    ]
    return table(("stripped", "bytes", "MB"), rows)


def edge_summary(results: Results, to_root: str) -> str:
    """A sentence of the program's size, start and memory, from the files that tell them."""
    told, files = [], []
    if sizes := results.newest("sizes"):
        n_bytes = sizes.content["stripped"]["offbeat-edge"]
        text = f"{n_bytes / 1e6:.2f} MB beside the C library"
        told.append(against(n_bytes, EDGE_BYTES, text, "under 1 MB", is_lower_better=True))
        files.append(sizes.link(to_root))
    start = results.newest("start")
    if start and "first_edge_score" in start.content:
        ms, mib = (
            start.content["first_edge_score"]["process_ms"],
            start.content["edge_memory"]["under_load"]["peak_mib"],
        )
        text, bar = f"{ms:.1f} ms from its start to the score of a window", f"under {EDGE_START_MS:g} ms"
        told.append(against(ms, EDGE_START_MS, text, bar, is_lower_better=True))
        told.append(against(mib, EDGE_MIB, f"{mib:.1f} MiB of memory", f"under {EDGE_MIB:g}", is_lower_better=True))
        files.append(start.link(to_root))
    return f"**`offbeat-edge`**, for a box without Python: {', '.join(told)} ({', '.join(files)})." if told else ""


def server_memory_table(result: Result) -> str:
    """What the server keeps after very many requests, by how its threads share heaps."""
    rows = []
    for name, each in result.content["server_memory"].items():
        kept = each["rss_mib_every_5000_requests"]
        rows.append((name, f"{each['n_requests']:,}", f"{kept[0]:.0f}", f"{kept[-1]:.0f}", _drift(each["drift"])))
    head = ("server", "requests", "MiB after the first 5,000", "after the last", "drift (bar)")
    return table(head, rows)


def _heap(name: str) -> Told:
    def told(result: Result) -> str:
        each = result.content["server_memory"][f"onnxruntime, {name}"]
        return f"{each['rss_mib_every_5000_requests'][-1]:.0f} MiB, {100 * each['drift']:+.1f} %"

    return told


FIGURES = figures_of(
    "server-memory",
    {
        "one_heap": _heap("one heap"),
        "heap_each": _heap("a heap for each thread"),
    },
)
