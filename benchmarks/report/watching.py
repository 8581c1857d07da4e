"""What a request pays for being watched."""

from __future__ import annotations

from benchmarks.report.results import Result, Told, figures_of
from benchmarks.report.text import table

_NAMES = {
    "test_count_requests": "counts, histograms and the sample for the drift",
    "test_trace_request[0.0]": "being looked at, with tracing on, and not traced",
    "test_trace_request[1.0]": "being traced, four spans",
    "test_check_token[10]": "its token, compared with 10",
    "test_check_token[100]": "its token, compared with 100",
}


def watching_table(result: Result) -> str:
    """Microseconds of each part of it."""
    rows = [(about, f"{_us(result, name):.1f}") for name, about in _NAMES.items()]
    return table(("a request pays for", "µs"), rows)


def _us(result: Result, name: str) -> float:
    """The fastest round's, by request: what else the machine does can only add to it."""
    found = next(each for each in result.content["benchmarks"] if each["name"] == name)
    return float(found["stats"]["min"] * 1e6 / found["extra_info"]["n_requests"])


def _told(name: str) -> Told:
    return lambda result: f"{_us(result, name):.1f} µs"


FIGURES = figures_of(
    "watching",
    {
        "request": _told("test_count_requests"),
        "untraced": _told("test_trace_request[0.0]"),
        "traced": _told("test_trace_request[1.0]"),
        "tokens": _told("test_check_token[10]"),
        "many_tokens": _told("test_check_token[100]"),
    },
)
