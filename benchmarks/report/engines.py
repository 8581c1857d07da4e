"""Engines side by side: what a call takes, what share of the limit that is, and who was left out."""

from __future__ import annotations

from typing import Any

from benchmarks.report.results import Result
from benchmarks.report.text import percent, table, us
from benchmarks.summary import engine_table


def engines_tables(result: Result) -> str:
    """The models of the design first, then presets at their default sizes."""
    benchmarks = result.content["benchmarks"]
    presets = [each for each in benchmarks if each["extra_info"]["model"].startswith("preset")]
    designed = [each for each in benchmarks if each not in presets]
    parts = [engine_table({**result.content, "benchmarks": each}) for each in (designed, presets) if each]
    return "\n\n".join(part for part in (*parts, _shares(benchmarks), _left_out(result.content)) if part)


def _shares(benchmarks: list[dict[str, Any]]) -> str:
    """Of what the same cores could do in float32 at that time; empty where it was not measured."""
    rows: dict[tuple[str, int, int], dict[str, float]] = {}
    limits_us: dict[tuple[str, int, int], float] = {}
    for each in benchmarks:
        info = each["extra_info"]
        key = info["model"], info["batch"], info["threads"]
        if info.get("share_of_limit") is not None:
            rows.setdefault(key, {})[info["backend"]] = info["share_of_limit"]
            limits_us[key] = info["limit_us"]
    if not rows:
        return ""
    engines = list(dict.fromkeys(name for row in rows.values() for name in row))
    cells = (
        (*key, us(limits_us[key]), *(percent(row[name]) if name in row else "" for name in engines))
        for key, row in sorted(rows.items())
    )
    shares = table(("model", "batch", "threads", "limit, µs", *engines), cells)
    return f"The share of the limit that each reached in float32:\n\n{shares}"


def _left_out(content: dict[str, Any]) -> str:
    """Once for each engine and reason, with the number of races that it was not in."""
    counts: dict[tuple[str, str], int] = {}
    for reasons in content.get("left_out", {}).values():
        for engine, reason in reasons.items():
            key = engine, reason.splitlines()[0]
            counts[key] = counts.get(key, 0) + 1
    lines = [f"- `{engine}`, in {n} races: {reason}" for (engine, reason), n in sorted(counts.items())]
    return "\n".join(["Left out:", "", *lines]) if lines else ""
