"""Peers of the core, bulk scoring, and results that have no table of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.report.results import Result
from benchmarks.report.text import table, us

# Peers by the arithmetic of the core that they are compared with: what is shown, and how their contenders begin.
_PEERS = {
    "float32": {"ONNX Runtime": "onnxruntime", "OpenVINO": "openvino", "RTNeural": "rtneural", "LiteRT": "litert"},
    "bfloat16": {"OpenVINO bf16": "openvino default bf16"},
    "int8": {"ONNX Runtime int8": "onnxruntime int8"},
}
_MAX_ROWS = 60


def peers_table(result: Result) -> str:
    """A row for each model and batch: the core's time by precision, and how many times that each peer of the same precision takes."""
    head = ["model", "batch"]
    for precision, peers in _PEERS.items():
        head += [f"core in {precision}, µs", *peers]
    rows = [(race["model"], race["batch"], *_race(race["contenders"])) for race in result.content["results"]]
    versions = result.content["environment"].get("peers", {})
    told = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"{table(head, rows)}\n\nTimes that a peer takes as long as the core; **bold** where the peer wins. {told}."


def _race(contenders: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    for precision, peers in _PEERS.items():
        ours = contenders[f"native {precision}"]
        yield us(ours["us"])
        for begin in peers.values():
            # The fastest of a peer's builds.
            ratios = [each["ratio"] / ours["ratio"] for name, each in contenders.items() if _is_of(name, begin)]
            best = min(ratios, default=None)
            yield "" if best is None else f"{best:.2f}" if best >= 1 else f"**{best:.2f}**"


def _is_of(name: str, begin: str) -> bool:
    return name == begin or (name.startswith(f"{begin} ") and not name.startswith(("openvino ", "onnxruntime ")))


def bulk_table(result: Result) -> str:
    """A row for each file that was scored."""
    rows = [
        (
            run["kind"],
            f"{run['n_rows']:,}",
            f"{run['rows_a_second']:,}",
            f"{run['n_rows'] / run['cpu_seconds']:,.0f}",
            f"{run['peak_memory_mib']:.0f}",
        )
        for run in result.content["runs"]
    ]
    head = ("file", "rows", "rows a second", "rows a second of processor time", "most memory, MiB")
    return (
        f"{table(head, rows)}\n\nUnder a limit of {result.content['address_space_limit_mib']:,} MiB of address space."
    )


def plain_tables(result: Result) -> str:
    """Whatever is in the file: plain values by name, and a table for each list of objects; other lists by their length."""
    values, lists = [], []
    for name, value in _leaves({key: each for key, each in result.content.items() if key != "environment"}):
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            lists.append((name, value))
        else:
            values.append((name, f"{len(value)} values" if isinstance(value, list) else _plain(value)))
    parts = [table(("", ""), values)] if values else []
    for name, rows in lists:
        found = [dict(_leaves(row)) for row in rows[:_MAX_ROWS]]
        head = list(dict.fromkeys(key for row in found for key in row if not isinstance(row[key], list)))
        left = f"\n\n{len(rows) - _MAX_ROWS} more are in the file." if len(rows) > _MAX_ROWS else ""
        parts.append(f"{name}:\n\n{table(head, [[_plain(row.get(key)) for key in head] for row in found])}{left}")
    return "\n\n".join(parts)


def _leaves(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        name = f"{before}{key}"
        if isinstance(value, dict):
            yield from _leaves(value, f"{name}, ")
        else:
            yield name, value


def _plain(value: object) -> str:
    if value is None:
        return ""
    return (
        f"{value:,.4g}"
        if isinstance(value, float) and abs(value) < 1000
        else f"{value:,.0f}"
        if isinstance(value, float)
        else str(value)
    )
