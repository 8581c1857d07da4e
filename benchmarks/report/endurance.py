"""The server near its capacity and far above it."""

from __future__ import annotations

from typing import Any

from benchmarks.report.bars import GOODPUT, MAX_ENDURANCE_DRIFT
from benchmarks.report.results import Result
from benchmarks.report.text import against, percent, table


def endurance_table(result: Result) -> str:
    """A column for each phase; what was missed below it, in the run's own words."""
    content = result.content
    phases = content["phases"]
    rows = [
        ("seconds", *(f"{each['seconds']:.0f}" for each in phases.values())),
        (
            "requests asked for, a second",
            *(f"{each['asked_per_s']:,.0f}" if each["asked_per_s"] else "" for each in phases.values()),
        ),
        ("sent, a second", *(f"{each['sent_per_s']:,.0f}" for each in phases.values())),
        ("answered rightly, a second", *(f"{each['right_per_s']:,.0f}" for each in phases.values())),
        ("p50; p99; p99.9 of the accepted, ms", *(_latencies(each["latency_ms"]) for each in phases.values())),
        ("memory at first; last; most, MiB", *(_memory(each["memory_mib"]) for each in phases.values())),
        ("drift of memory (bar)", *(_drift(each["drift"], name) for name, each in phases.items())),
        ("statuses of the others", *(_counts(each["by_status"]) for each in phases.values())),
        ("wrong; unanswered; unaccounted for", *(_lost(each) for each in phases.values())),
        ("server, of a core", *(percent(each["server_of_a_core"]) for each in phases.values())),
    ]
    missed = "".join(f"\n- missed: {each}" for each in content["missed"])
    said = f"{_goodput(result)} of capacity was answered under overload.{missed and f'{chr(10)}{missed}'}"
    return f"{_asked(content['arguments'])}\n\n{table(('', *phases), rows)}\n\n{said}"


def _asked(arguments: dict[str, Any]) -> str:
    return f"Requests of {arguments['windows']} windows of {arguments['model']}, each with a deadline of {arguments['deadline_ms']:,.0f} ms."


def endurance_summary(result: Result, to_root: str) -> str:
    """A sentence of the overload."""
    overload, arguments = result.content["phases"]["overload"], result.content["arguments"]
    p99, deadline_ms = overload["latency_ms"]["p99"], arguments["deadline_ms"]
    what = f"requests of {arguments['windows']} windows of {arguments['model']}"
    return (
        f"**Asked three times what it can** ({what}), the server answers {_goodput(result)} of its capacity for {overload['seconds']:.0f} s, "
        f"99 % of the accepted within {p99:,.0f} ms (the deadline is {deadline_ms:,.0f}); answered wrongly, not answered, not accounted for: "
        f"{_lost(overload)} ({result.link(to_root)})."
    )


def _goodput(result: Result) -> str:
    share = result.content["goodput_of_capacity"]
    return against(share, GOODPUT, percent(share), percent(GOODPUT))


def _drift(drift: float, phase: str) -> str:
    """The capacity's phase is short and first, so that caches fill in it."""
    bar = None if phase == "capacity" else MAX_ENDURANCE_DRIFT
    return against(abs(drift), bar, f"{100 * drift:+.1f} %", f"{percent(bar or 0)} at most", is_lower_better=True)


def _latencies(ms: dict[str, float]) -> str:
    return "; ".join(f"{ms[name]:,.1f}" for name in ("p50", "p99", "p99.9"))


def _memory(mib: dict[str, float]) -> str:
    return "; ".join(f"{mib[name]:.0f}" for name in ("first", "last", "most"))


def _counts(by_status: dict[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in by_status.items())


def _lost(phase: dict[str, int]) -> str:
    return "; ".join(f"{phase[name]:,}" for name in ("n_wrong", "n_unanswered", "n_unaccounted"))
