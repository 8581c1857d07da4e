"""The figures of a run as lines, and the lines as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

from benchmarks.serving.load import Measured
from benchmarks.serving.plan import Case

_ECHO = "echo (asyncio)"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A server in a case: medians over the rounds, latencies in µs."""

    server: str
    case: Case
    per_second: float
    p50: float
    p90: float
    p99: float
    p999: float
    queue_us: float | None
    compute_us: float | None
    n_errors: int


def summarise(server: str, case: Case, runs: Sequence[Measured]) -> Line:
    """The medians of the rounds; errors are summed."""

    def middle(values: Sequence[float | None]) -> float | None:
        told = [value for value in values if value is not None]
        return median(told) if told else None

    return Line(
        server=server,
        case=case,
        per_second=median(run.per_second for run in runs),
        p50=median(run.p50 for run in runs),
        p90=median(run.p90 for run in runs),
        p99=median(run.p99 for run in runs),
        p999=median(run.p999 for run in runs),
        queue_us=middle([run.queue_us for run in runs]),
        compute_us=middle([run.compute_us for run in runs]),
        n_errors=sum(run.n_errors for run in runs),
    )


def markdown(lines: Sequence[Line], backend_us: Mapping[int, float]) -> str:
    """A table, each server beside the asyncio echo of its case, and beside the backend's own time by windows."""
    echoes = {line.case: line for line in lines if line.server == _ECHO}
    text = [
        "| load | windows | server | requests/s | of echo | of backend | p50 µs | of echo | p99 µs | p99.9 µs | queue µs | compute µs |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for line in sorted(lines, key=lambda each: _order(each.case)):
        echo, case = echoes[line.case], line.case
        cells = [
            _load(case),
            str(case.n_windows),
            line.server,
            f"{line.per_second:,.0f}",
            f"{line.per_second / echo.per_second:.0%}",
            f"{line.per_second * backend_us[case.n_windows] * 1e-6:.0%}" if line.queue_us is not None else "",
            f"{line.p50:,.0f}",
            f"{line.p50 / echo.p50:.2f} ×",
            f"{line.p99:,.0f}",
            f"{line.p999:,.0f}",
            "" if line.queue_us is None else f"{line.queue_us:.0f}",
            "" if line.compute_us is None else f"{line.compute_us:.0f}",
        ]
        text.append(f"| {' | '.join(cells)} |")
    own = "; ".join(f"{us:,.1f} µs for {n}" for n, us in backend_us.items())
    errors = sum(line.n_errors for line in lines)
    return "\n".join([*text, "", f"The backend alone, in process: {own}. {errors} errors."])


def _order(case: Case) -> tuple[bool, int, str, int, float]:
    return case.share is not None, case.n_windows, case.protocol, case.concurrency, case.share or 0.0


def _load(case: Case) -> str:
    if case.share is not None:
        return f"{case.protocol}, Poisson, {case.share:.0%} of capacity"
    return f"{case.protocol}, {case.concurrency} in flight"
