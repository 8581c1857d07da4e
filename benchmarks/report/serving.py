"""The server beside a bare echo of the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report.bars import SHARE_OF_BACKEND, SHARE_OF_ECHO, TIMES_ECHO_P50, TIMES_ECHO_P99
from benchmarks.report.results import Result
from benchmarks.report.text import against, percent, table, us
from benchmarks.serving.shares import ECHO, shares

OURS = "offbeat"
_METHODS = {"score": "Score", "infer": "ModelInfer", "score-stream": "ScoreStream"}


def pairs(result: Result) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each line that is no echo's, with the echo's of the same case: small requests first, closed loops first."""
    lines = result.content["lines"]
    echoes = {tuple(line["case"].values()): line for line in lines if line["server"] == ECHO}
    for line in sorted(lines, key=_order):
        if not line["server"].startswith("echo"):
            yield line, echoes[tuple(line["case"].values())]


def _order(line: dict[str, Any]) -> tuple[object, ...]:
    case = line["case"]
    return (
        case["share"] is not None,
        case["n_windows"],
        case["protocol"] != "score",
        case["protocol"],
        case["concurrency"],
    )


def serving_table(result: Result) -> str:
    """Every case, the echo's figure before the server's."""
    backend_us = result.content["backend_us"]
    head = ("load", "windows", "server", "requests/s: echo; server", "of the echo's", "of the backend's")
    rows = []
    for line, echo in pairs(result):
        alone_us = backend_us[str(line["case"]["n_windows"])]
        rows.append(
            (
                load_name(line["case"]),
                line["case"]["n_windows"],
                line["server"],
                f"{echo['per_second']:,.0f}; {line['per_second']:,.0f}",
                percent(line["per_second"] / echo["per_second"]),
                percent(line["per_second"] * alone_us / 1e6),
                *(f"{us(echo[name])}; {us(line[name])}" for name in ("p50", "p99", "p999")),
                *("" if line[name] is None else f"{line[name]:,.0f}" for name in ("queue_us", "compute_us")),
            )
        )
    latencies = ("p50 µs: echo; server", "p99", "p99.9", "queue µs", "compute µs")
    alone = ", ".join(f"{us(value)} µs for {n}" for n, value in backend_us.items())
    n_errors = sum(line["n_errors"] for line in result.content["lines"])
    return f"{table((*head, *latencies), rows)}\n\nThe backend alone, in process: {alone}. Requests that failed: {n_errors}."


def shares_table(result: Result) -> str:
    """Where the median latency goes, of every case whose replies tell."""
    parts = ("queue", "compute", "codec", "transport")
    p50 = {(line["server"], *line["case"].values()): line["p50"] for line in result.content["lines"]}
    rows = [
        (
            load_name(each.case),
            each.case["n_windows"],
            each.server,
            us(p50[each.server, *each.case.values()]),
            *(percent(getattr(each, part)) for part in parts),
        )
        for each in sorted(shares(result.content["lines"]), key=lambda each: _order({"case": each.case}))
    ]
    about = (
        "Where the median latency goes. Queue and compute are what the replies tell (a backend's µs, of the batch that the request was in); "
        "codec is all else that the server does for a request, its bytes read, checked, answered and counted: with one in flight what it takes beyond "
        "the echo, queue and compute, and as many µs under load (on all cores also what moving between them costs, for the echo stays on one); transport "
        "is the rest, grpc, the loop and the kernel, and waiting for them."
    )
    return f"{about}\n\n{table(('load', 'windows', 'server', 'p50 µs', *parts), rows)}"


def load_name(case: dict[str, Any]) -> str:
    """As in `Score, 64 in flight`."""
    method = _METHODS[case["protocol"]]
    return (
        f"{method}, {case['concurrency']} in flight"
        if case["share"] is None
        else f"{method}, Poisson at {percent(case['share'])}"
    )


def serving_bars(result: Result) -> str:
    """What was to be reached beside the echo, and what was."""
    backend_us = result.content["backend_us"]
    rows = []
    for line, echo in pairs(result):
        case, server = line["case"], line["server"]
        if case["protocol"] != "score" or case["share"] is not None:
            continue
        name = f"{load_name(case)}, {case['n_windows']} windows, {server}".replace(" 1 windows", " 1 window")
        if (case["n_windows"], case["concurrency"]) == (1, 1):
            times = line["p50"] / (echo["p50"] + backend_us["1"])
            text = f"{us(line['p50'])} µs, {times:.2f} × the echo and the backend"
            rows.append(
                (name, "median", against(times, TIMES_ECHO_P50, text, f"{TIMES_ECHO_P50} ×", is_lower_better=True))
            )
        if (case["n_windows"], case["concurrency"]) == (1, 64):
            share, times = line["per_second"] / echo["per_second"], line["p99"] / echo["p99"]
            text = f"{line['per_second']:,.0f}, {percent(share)} of the echo's"
            rows.append((name, "requests a second", against(share, SHARE_OF_ECHO, text, percent(SHARE_OF_ECHO))))
            text = f"{us(line['p99'])} µs, {times:.2f} × the echo's"
            rows.append(
                (
                    name,
                    "99th percentile",
                    against(times, TIMES_ECHO_P99, text, f"{TIMES_ECHO_P99:g} ×", is_lower_better=True),
                )
            )
        if (case["n_windows"], case["concurrency"]) == (32, 64):
            share = line["per_second"] * backend_us["32"] / 1e6
            text = f"{32 * line['per_second']:,.0f}, {percent(share)} of the backend's own"
            rows.append((name, "windows a second", against(share, SHARE_OF_BACKEND, text, percent(SHARE_OF_BACKEND))))
    return table(("load", "", "measured (bar)"), rows)
