"""The server beside other servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.report.results import Result, Results
from benchmarks.report.text import table, us

_STALLED = 0.1


def serving_peers_table(result: Result) -> str:
    """A row for each load and server: the best of its rounds, and the rate of the slowest."""
    rows = [
        (
            line["windows"],
            line["concurrency"],
            line["server"],
            f"{line['per_second']:,.0f}",
            f"{min(line['per_second_by_round']):,.0f}",
            us(line["p50"]),
            us(line["p99"]),
            line["n_errors"],
        )
        for line in sorted(result.content["lines"], key=lambda each: (each["windows"], each["concurrency"]))
    ]
    head = ("windows", "in flight", "server", "requests/s", "in the slowest round", "p50 µs", "p99 µs", "failed")
    return table(head, rows)


def _line(results: Results, kind: str, server: str) -> Mapping[str, Any]:
    """One window a request, one request in flight."""
    lines: list[dict[str, Any]] = results.the_newest(kind).content["lines"]
    return next(each for each in lines if (each["server"], each["windows"], each["concurrency"]) == (server, 1, 1))


def _p50(server: str) -> Callable[[Results], str]:
    return lambda results: f"{us(_line(results, 'serving-peers', server)['p50'])} µs"


def _stalled(results: Results) -> str:
    rates = _line(results, "triton", "Triton, gRPC")["per_second_by_round"]
    return f"{sum(rate < _STALLED * max(rates) for rate in rates)} of {len(rates)} rounds"


FIGURES: Mapping[str, Callable[[Results], str]] = {
    "rest_alone": _p50("offbeat, JSON"),
    "grpc_alone": _p50("offbeat, gRPC"),
    "triton_stalled": _stalled,
}
