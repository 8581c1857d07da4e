"""10,000 series with a row a second each, through ScorePoints, server and load on a core each.

    python -m benchmarks.streams --seconds 20 --json result.json

Rows come in messages of several sizes, down to one row a message, and every five seconds the server writes its series.
Told are latencies from when a message was due, and what share of its core the server used, beside that of a bare grpcio server
that reads the same messages and writes as long answers; and what rows cost in the memory alone, and a snapshot of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import numpy as np

from benchmarks.environment import environment
from benchmarks.models import ARCHITECTURES, export_model
from benchmarks.processor import cpu_s
from benchmarks.serving.servers import offbeat_server, started
from benchmarks.streams.load import Load, Measured
from offbeat.series_config import SeriesConfig
from offbeat.streams import Rows, SeriesStore, write_state
from offbeat.v1.scoring_pb2 import DATA_TYPE_BOOL, DATA_TYPE_FLOAT32, PointScores, PointsResponse, Tensor

_SERVER_CORE, _LOAD_CORE = 1, 0


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A way of sending: its load, what was measured, and the processor time of the server, in seconds.

    `echo` is what was measured of the bare server, which took `echo_cpu_s`.
    """

    rows: int
    n_streams: int
    measured: Measured
    server_cpu_s: float
    echo: Measured
    echo_cpu_s: float


class MemoryCost(msgspec.Struct, frozen=True, kw_only=True):
    """µs of the memory alone: a row among many, and by itself; ms of a snapshot of all series: what the event loop copies, and what a thread writes."""

    row_of_many_us: float
    row_alone_us: float
    copy_ms: float
    write_ms: float


def main() -> None:
    """Prints the table."""
    arguments = _arguments()
    cores = len(os.sched_getaffinity(0)) > 1
    server_core, load_core = (_SERVER_CORE, _LOAD_CORE) if cores else (None, None)
    with tempfile.TemporaryDirectory() as folder:
        version = export_model(arguments.model, Path(folder, "models"))
        window = version.manifest.window
        length, n_features = 1 if window is None else window.length, len(version.manifest.feature_names)
        cost = _memory_cost(arguments.series, length, n_features, Path(folder))
        lines = []
        for rows in arguments.rows:
            flags = ["--backend", arguments.backend]
            flags += ["--state-dir", str(Path(folder, f"state-{rows}")), "--series-snapshot-s", "5"]
            load = Load(
                target="",
                model=arguments.model,
                length=length,
                n_features=n_features,
                n_series=arguments.series,
                rows=rows,
                n_streams=arguments.streams,
                seconds=arguments.seconds,
                answer_delay_us=arguments.answer_delay_us,
                core=load_core,
            )
            lines.append(_line(load, offbeat_server(Path(folder, "models"), flags), server_core))
            print(f"{rows} rows a message: done", file=sys.stderr, flush=True)
    print(_markdown(lines, cost))
    if arguments.json is not None:
        content = {
            "environment": environment(),
            "model": arguments.model,
            "n_series": arguments.series,
            "answer_delay_us": arguments.answer_delay_us,
            "memory": cost,
            "lines": lines,
        }
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.streams", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=ARCHITECTURES, default="M1")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--series", type=int, default=10_000, help="each with a row a second")
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 100, 10, 1], help="in one message")
    parser.add_argument("--answer-delay-us", type=int, default=2000, help="that answers may wait for others")
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=20, help="of each load; default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure, versions and the machine")
    return parser.parse_args()


def _line(load: Load, server: list[str], core: int | None) -> Line:
    """The server, and then the bare one."""
    measured, server_cpu_s = _measure(load, server, core)
    bare = ["benchmarks.streams.echo", _answer(load).hex(), str(load.answer_delay_us)]
    echo, echo_cpu_s = _measure(load, bare, core)
    return Line(
        rows=load.rows,
        n_streams=load.n_streams,
        measured=measured,
        server_cpu_s=server_cpu_s,
        echo=echo,
        echo_cpu_s=echo_cpu_s,
    )


def _measure(load: Load, server: list[str], core: int | None) -> tuple[Measured, float]:
    """Runs the load from a process of its own, and tells the server's processor time from when the windows are full."""
    command = [sys.executable, "-m", "benchmarks.streams.load"]
    with (
        started(server, core) as (target, pid),
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(msgspec.json.encode(msgspec.structs.replace(load, target=target)))
        process.stdin.close()
        if not process.stderr.readline().startswith(b"begin"):
            raise SystemExit(f"the load generator failed: {process.stderr.read().decode()}")
        began = cpu_s(pid)
        said: list[bytes] = []
        reader = threading.Thread(target=lambda: said.append(process.stderr.read()))  # type: ignore[union-attr]
        reader.start()
        told = process.stdout.read()
        used = cpu_s(pid) - began
        reader.join()
        if process.wait():
            raise SystemExit(f"the load generator failed: {said[0].decode()}")
    return msgspec.json.decode(told, type=Measured), used


def _answer(load: Load) -> bytes:
    """As offbeat gives it to a message of so many rows, but for the numbers."""
    outputs = [
        Tensor(name=name, data_type=kind, shape=[load.rows], data=bytes(width * load.rows))
        for name, kind, width in (
            ("reconstruction_error", DATA_TYPE_FLOAT32, 4),
            ("anomaly_score", DATA_TYPE_FLOAT32, 4),
            ("is_anomaly", DATA_TYPE_BOOL, 1),
        )
    ]
    scores = PointScores(
        model=load.model, version=1, rows=bytes(4 * load.rows), outputs=outputs, alarms=bytes(load.rows)
    )
    return PointsResponse(scores=[scores]).SerializeToString()


def _memory_cost(n_series: int, length: int, n_features: int, folder: Path) -> MemoryCost:
    store = SeriesStore(length, [str(number) for number in range(n_features)], SeriesConfig())
    names, rng = [f"series-{number}" for number in range(n_series)], np.random.default_rng(0)

    def take(series: list[str], second: int) -> float:
        values = rng.standard_normal((len(series), n_features), dtype=np.float32)
        rows = Rows(series=series, values=values, timestamps=np.full(len(series), second))
        begun = perf_counter()
        store.take(rows, float(second))
        return perf_counter() - begun

    many = [take(names, second) for second in range(3 * length)][length:]
    alone = [take([name], 3 * length) for name in names[:2000]]
    begun = perf_counter()
    state = store.state("model", store.occupied(), float(3 * length))
    copied = perf_counter()
    write_state(folder / "state.series", state)
    return MemoryCost(
        row_of_many_us=float(np.median(many)) / n_series * 1e6,
        row_alone_us=float(np.median(alone)) * 1e6,
        copy_ms=(copied - begun) * 1e3,
        write_ms=(perf_counter() - copied) * 1e3,
    )


def _markdown(lines: list[Line], cost: MemoryCost) -> str:
    text = [
        "| rows a message | messages/s | rows/s | p50 ms | p99 ms | p99.9 ms | longest ms | server, of a core | bare | load | behind at the end s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        seen = line.measured
        cells: list[Any] = [
            line.rows,
            f"{seen.n_messages / seen.seconds:,.0f}",
            f"{seen.n_windows / seen.seconds:,.0f}",
            *(f"{value / 1e3:,.1f}" for value in (seen.p50, seen.p99, seen.p999, seen.longest)),
            f"{line.server_cpu_s / seen.seconds:.0%}",
            f"{line.echo_cpu_s / line.echo.seconds:.0%}",
            f"{seen.client_cpu_s / seen.seconds:.0%}",
            f"{seen.late_s:.2f}",
        ]
        text.append(f"| {' | '.join(map(str, cells))} |")
    refused = sum(line.measured.n_refused for line in lines)
    memory = (
        f"The memory alone: {cost.row_of_many_us:.2f} µs a row among many, {cost.row_alone_us:.0f} µs for one by itself; a snapshot of all: "
        f"{cost.copy_ms:.1f} ms to copy, in pieces, and {cost.write_ms:.1f} ms to write, in a thread. {refused} requests refused."
    )
    return "\n".join([*text, "", memory])


if __name__ == "__main__":
    main()
