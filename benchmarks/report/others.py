"""Peers of the core, bulk scoring, and results that have no table of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.report.results import Result
from benchmarks.report.text import table, us

_OURS = "native float32"
_MAX_ROWS = 60


def peers_table(result: Result) -> str:
    """A row for each model and batch; of each engine its time, and how many times that of the core in float32."""
    races = result.content["results"]
    names = list(dict.fromkeys(name for race in races for name in race["contenders"]))
    rows = []
    for race in races:
        cells = [_peer(race["contenders"].get(name), name) for name in names]
        rows.append((race["model"], race["batch"], *cells))
    versions = result.content["environment"].get("peers", {})
    told = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"{table(('model', 'batch', *names), rows)}\n\nµs, and times {_OURS}'s, medians over rounds. {told}"


def _peer(timed: Mapping[str, float] | None, name: str) -> str:
    if timed is None:
        return ""
    return us(timed["us"]) if name == _OURS else f"{us(timed['us'])} ({timed['ratio']:.2f} ×)"


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
