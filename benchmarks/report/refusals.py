"""What refusing calls costs, and what an overload leaves."""

from __future__ import annotations

from typing import Any

from benchmarks.report.results import Result, figures_of
from benchmarks.report.text import against, percent, table, us

_LEAST_GOODPUT, _OVERLOAD = 0.9, 3.0
# Of g requests answered and 3 - g refused, for each that could be answered were there no others: g s + (3 - g) r = s.
_REFUSALS_A_REQUEST = (_OVERLOAD - _LEAST_GOODPUT) / (1 - _LEAST_GOODPUT)
_UNREAD = "status set unread"


def refusals_tables(result: Result) -> str:
    """The floor by way of refusing, then the server by size of request."""
    floor = [(way, us(cost)) for way, cost in result.content["floor_us"].items()]
    served = [
        (
            load,
            us(line["request_us"]),
            us(line["refusal_us"]),
            against(line["goodput"], _LEAST_GOODPUT, percent(line["goodput"]), percent(_LEAST_GOODPUT)),
            f"{line['p99_ms']:.0f}",
        )
        for load, line in result.content["served"].items()
    ]
    notes = [(note["what"], note["figure"]) for note in result.content["notes"].values()]
    return "\n\n".join(
        [
            table(("a call of a bare grpcio server", "µs"), floor),
            table(("windows a request", "µs answered", "µs refused or given up", "goodput at 300 %", "p99 ms"), served),
            f"Counted by hand on the same day:\n\n{table(('', ''), notes)}",
        ]
    )


def _refusal_us(result: Result) -> float:
    """Where the clients do not give up before they are refused: there the cost is that of a refusal alone."""
    lines: list[dict[str, Any]] = [*result.content["served"].values()]
    return max(float(line["refusal_us"]) for line in lines if not line["late"])


FIGURES = figures_of(
    "refusals",
    {
        "refusal": lambda result: f"{us(_refusal_us(result))} µs",
        "floor": lambda result: f"{us(result.content['floor_us'][_UNREAD])} µs",
        "answered": lambda result: f"{us(result.content['floor_us']['answered'])} µs",
        "least_request": lambda result: f"{_REFUSALS_A_REQUEST * _refusal_us(result) / 1e3:.1f} ms",
    },
)
