"""The server under load, beside a bare grpcio echo of the same bytes in the same run.

    python -m benchmarks.serving --seconds 3 --rounds 5 --json result.json

Closed loops at several concurrencies, of one and of 32 windows a request, over both services and over a stream; then an open
loop of Poisson arrivals at shares of the measured capacity. The contenders take turns within each round, so that they share
the machine's mood, and medians over the rounds are told. Where there are two cores, the load has one, the echoes and `offbeat` have
the other, and `offbeat (all cores)` may use both, so that its worker scores beside the loop. `of backend` is the share of the rate at
which the backend alone scores such windows, on one thread in this process.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.environment import environment
from benchmarks.models import ARCHITECTURES, export_model
from benchmarks.serving.plan import Case, cases
from benchmarks.serving.servers import echo_server, measure, offbeat_server, running
from benchmarks.serving.shares import shares
from benchmarks.serving.table import Line, markdown, summarise
from offbeat import load as load_scorer

_SERVER_CORE, _LOAD_CORE = 1, 0


def main() -> None:
    """Prints the table."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        repository = Path(folder)
        export_model(arguments.model, repository)
        cores = len(os.sched_getaffinity(0)) > 1
        server_core, load_core = (_SERVER_CORE, _LOAD_CORE) if cores else (None, None)
        targets = {
            f"echo ({loop})": stack.enter_context(running(echo_server(loop, 100), server_core))
            for loop in ("asyncio", "uvloop")
        }
        command = offbeat_server(repository, ["--backend", arguments.backend])
        targets["offbeat"] = stack.enter_context(running(command, server_core))
        if cores:
            targets["offbeat (all cores)"] = stack.enter_context(running(command, None))
        lines = _run(arguments, targets, load_core)
        backend_us = {n: _backend_us(repository, arguments, n) for n in arguments.windows}
    print(markdown(lines, backend_us))
    if arguments.json is not None:
        content = {
            "environment": environment(),
            "model": arguments.model,
            "pinned": {"load": load_core, "echoes and offbeat": server_core, "offbeat (all cores)": None},
            "backend": arguments.backend,
            "backend_us": backend_us,
            "lines": lines,
            "shares": shares(msgspec.to_builtins(lines)),
        }
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=ARCHITECTURES, default="M1")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 32], help="in each request")
    parser.add_argument(
        "--shares", type=float, nargs="*", default=[0.5, 0.9], help="of the capacity, for the open loop"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure, versions and the machine")
    return parser.parse_args()


def _run(arguments: argparse.Namespace, targets: dict[str, str], core: int | None) -> list[Line]:
    plan = list(cases(arguments.concurrency, arguments.windows))
    measured: dict[tuple[str, Case], list[Any]] = {}
    for number in range(arguments.rounds):
        for at, case in enumerate(plan):
            _progress(f"round {number + 1} of {arguments.rounds}, closed loop {at + 1} of {len(plan)}")
            for name, target in targets.items():
                load = case.load(arguments.model, target, arguments.seconds, core)
                measured.setdefault((name, case), []).append(measure(load))
    lines = [summarise(name, case, runs) for (name, case), runs in measured.items()]
    for share in arguments.shares:
        for case in plan:
            if case.is_closed_unary and case.concurrency == max(arguments.concurrency):
                lines += _open_loops(arguments, targets, core, case, share, lines)
        _progress(f"open loops at {share:.0%} of capacity done")
    return lines


def _open_loops(
    arguments: argparse.Namespace,
    targets: dict[str, str],
    core: int | None,
    case: Case,
    share: float,
    lines: list[Line],
) -> list[Line]:
    """Poisson arrivals at the share of each server's own closed-loop rate in that case."""
    made: list[Line] = []
    for name, target in targets.items():
        capacity = next(line.per_second for line in lines if line.server == name and line.case == case)
        opened = msgspec.structs.replace(case, share=share)
        load = opened.load(arguments.model, target, arguments.seconds, core, rate=capacity * share)
        runs = [measure(msgspec.structs.replace(load, seed=seed)) for seed in range(arguments.rounds)]
        made.append(summarise(name, opened, runs))
    return made


def _backend_us(repository: Path, arguments: argparse.Namespace, n_windows: int) -> float:
    """Median µs of one call of the backend in this process, without any server."""
    from time import perf_counter

    import numpy as np

    from benchmarks.models import random_windows

    with load_scorer(repository, backend=arguments.backend) as scorer:
        windows, names = random_windows(arguments.model, n_windows, seed=2), scorer.check_outputs(())
        times = []
        for _ in range(400):
            started = perf_counter()
            scorer.run(windows, names)
            times.append(perf_counter() - started)
    return float(np.median(times)) * 1e6


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
