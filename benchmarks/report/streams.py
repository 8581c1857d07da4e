"""Rows of many series."""

from __future__ import annotations

from benchmarks.report.results import Result
from benchmarks.report.text import percent, table


def streams_table(result: Result) -> str:
    """A line for each size of message, and what the memory alone costs."""
    head = ("rows a message", "messages/s", "windows/s", "p50 ms", "p99 ms", "p99.9 ms", "longest ms")
    # Results of before there was one have no bare server.
    has_echo = all("echo" in line for line in result.content["lines"])
    rows = []
    for line in result.content["lines"]:
        seen, seconds = line["measured"], line["measured"]["seconds"]
        rows.append(
            (
                f"{line['rows']:,}",
                f"{seen['n_messages'] / seconds:,.0f}",
                f"{seen['n_windows'] / seconds:,.0f}",
                *(f"{seen[name] / 1e3:.1f}" for name in ("p50", "p99", "p999", "longest")),
                percent(line["server_cpu_s"] / seconds),
                *([percent(line["echo_cpu_s"] / line["echo"]["seconds"])] if has_echo else []),
                percent(seen["client_cpu_s"] / seconds),
            )
        )
    cost, content = result.content["memory"], result.content
    refused = sum(line["measured"]["n_refused"] for line in content["lines"])
    return "\n".join(
        [
            table(
                (*head, "server, of a core", *(["a bare grpcio server"] if has_echo else []), "load, of a core"), rows
            ),
            "",
            f"{content['n_series']:,} series of {content['model']}, a row a second each; answers may wait {content['answer_delay_us']:,} µs for each "
            f"other. Requests refused: {refused}. The memory alone: {cost['row_of_many_us']:.2f} µs a row among many, "
            f"{cost['row_alone_us']:.0f} µs for one by itself; a snapshot of all takes {cost['copy_ms']:.0f} ms to copy, in pieces, and "
            f"{cost['write_ms']:.0f} ms to write, in a thread.",
        ]
    )


def streams_summary(result: Result, to_root: str) -> str:
    """A sentence for the most and the fewest rows a message."""
    lines = sorted(result.content["lines"], key=lambda line: -line["rows"])
    told = [
        f"{percent(line['server_cpu_s'] / line['measured']['seconds'])} of a core with {_rows(line['rows'])} a message "
        f"(99 % answered within {line['measured']['p99'] / 1e3:.0f} ms)"
        for line in (lines[0], lines[-1])
    ]
    n = f"**{result.content['n_series']:,} series with a row a second each**"
    return f"{n}, every row a window scored: {', '.join(told)} ({result.link(to_root)})."


def _rows(n: int) -> str:
    return "one row" if n == 1 else f"{n:,} rows"
