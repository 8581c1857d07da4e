"""The server beside a FastAPI endpoint of the usual kind, MLServer and Triton, in turns in another order each round, each on one core, the load on another.

    python -m benchmarks.serving.peers --fastapi VENV/bin/python --mlserver VENV/bin/python --triton FOLDER --json result.json

Each peer is a Python with its packages and onnxruntime, Triton the folder that pip has put pytriton in; who is not given is left out. Triton is
two processes, which the other peers are not: it is there once more on all cores. By gRPC everybody is sent the same bytes. Before it is timed each one
has to give the error that ONNX Runtime gives here.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import msgspec
import numpy as np

from benchmarks.environment import environment
from benchmarks.models import ARCHITECTURES, export_model, random_windows
from benchmarks.serving.load import Load, Measured
from benchmarks.serving.peers.contenders import Contender, fastapi, mlserver, offbeat, triton
from benchmarks.serving.peers.http_load import Connection, request_bytes
from benchmarks.serving.servers import measure
from offbeat import load as load_scorer
from offbeat.inference.open_inference_pb2 import ModelInferResponse

_SERVER_CORE, _LOAD_CORE = 1, 0
_TOLERANCE = 1e-5


def main() -> None:
    """Prints the table."""
    arguments = _arguments()
    cores = len(os.sched_getaffinity(0)) > 1
    server_core, load_core = (_SERVER_CORE, _LOAD_CORE) if cores else (None, None)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        repository, aside = Path(folder) / "models", Path(folder) / "servers"
        aside.mkdir()
        graph = export_model(arguments.model, repository).path / "model.onnx"
        contenders = stack.enter_context(offbeat(repository, arguments.model, aside, server_core))
        if arguments.fastapi is not None:
            contenders += stack.enter_context(fastapi(arguments.fastapi.absolute(), graph, aside, server_core))
        if arguments.mlserver is not None:
            python = arguments.mlserver.absolute()
            contenders += stack.enter_context(mlserver(python, graph, arguments.model, aside, server_core))
        if arguments.triton is not None:
            contenders += stack.enter_context(triton(arguments.triton.absolute(), repository, aside, server_core))
        _check(contenders, arguments.model, repository)
        lines = _run(arguments, contenders, load_core)
    print(_markdown(lines))
    if arguments.json is not None:
        content = {"environment": environment(), "model": arguments.model, "lines": lines}
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    series = [model for model, (_, length) in ARCHITECTURES.items() if length is not None]
    parser.add_argument("--model", choices=series, default="M1")
    parser.add_argument("--fastapi", type=Path, metavar="PYTHON", help="with fastapi, uvicorn, uvloop, httptools")
    parser.add_argument("--mlserver", type=Path, metavar="PYTHON", help="with mlserver")
    parser.add_argument("--triton", type=Path, metavar="FOLDER", help="docs/triton.md says how to fill it")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each load; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="of which the best is told; default: %(default)s")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 32], help="in each request")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure, versions and the machine")
    return parser.parse_args()


def _check(contenders: Sequence[Contender], model: str, repository: Path) -> None:
    """Raises SystemExit where a server's error is not the one computed here."""
    windows = random_windows(model, 1, seed=2)
    with load_scorer(repository, backend="onnxruntime") as scorer:
        expected = float(scorer.run(windows, ("reconstruction_error",))["reconstruction_error"][0])
    for contender in contenders:
        order = contender.load(model, 1, 1, 0.0, None)
        seen = _error_by_grpc(order) if contender.path is None else asyncio.run(_error_by_http(contender, order))
        if not abs(seen - expected) <= _TOLERANCE * max(1.0, expected):
            raise SystemExit(f"{contender.name}: error {seen}; expected {expected}")


def _error_by_grpc(order: Load) -> float:
    with grpc.insecure_channel(order.target) as channel:
        ask = channel.unary_unary(
            order.method, request_serializer=bytes, response_deserializer=ModelInferResponse.FromString
        )
        answer = ask(order.payload, timeout=10)
    index = [output.name for output in answer.outputs].index("reconstruction_error")
    if answer.raw_output_contents:
        return float(np.frombuffer(answer.raw_output_contents[index], np.float32)[0])
    return float(answer.outputs[index].contents.fp32_contents[0])


async def _error_by_http(contender: Contender, order: Load) -> float:
    connection = await Connection.opened(order.target)
    status, body = await connection.post(request_bytes(order.target, order.method, order.payload))
    connection.close()
    if status != 200:
        raise SystemExit(f"{contender.name}: status {status}, {body.decode()[:300]}")
    return contender.error(body)


def _run(arguments: argparse.Namespace, contenders: Sequence[Contender], core: int | None) -> list[dict[str, Any]]:
    measured: dict[tuple[int, int, str], list[Measured]] = {}
    turns = np.random.default_rng(0)
    for number in range(arguments.rounds):
        for n_windows in arguments.windows:
            for concurrency in arguments.concurrency:
                for at in turns.permutation(len(contenders)):
                    contender = contenders[at]
                    order = contender.load(arguments.model, n_windows, concurrency, arguments.seconds, core)
                    made = measure(order) if contender.path is None else _measure_http(order)
                    measured.setdefault((n_windows, concurrency, contender.name), []).append(made)
        print(f"round {number + 1} of {arguments.rounds} done", file=sys.stderr, flush=True)
    return [_summary(*key, runs) for key, runs in measured.items()]


def _measure_http(order: Load) -> Measured:
    command = [sys.executable, "-m", "benchmarks.serving.peers.http_load"]
    done = subprocess.run(command, input=msgspec.json.encode(order), capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"the load generator failed: {done.stderr.decode()}")
    return msgspec.json.decode(done.stdout, type=Measured)


def _summary(n_windows: int, concurrency: int, name: str, runs: Sequence[Measured]) -> dict[str, Any]:
    """The best of the rounds: on a machine with other work the rest tell when that had the cores. Every round's rate is kept."""
    best = max(runs, key=lambda run: run.per_second)
    return {
        "server": name,
        "windows": n_windows,
        "concurrency": concurrency,
        "per_second": best.per_second,
        "p50": best.p50,
        "p99": best.p99,
        "n_errors": sum(run.n_errors for run in runs),
        "per_second_by_round": [run.per_second for run in runs],
    }


def _markdown(lines: Sequence[dict[str, Any]]) -> str:
    rows = ["| windows | in flight | server | requests/s | p50, µs | p99, µs |", "|---|---|---|---|---|---|"]
    for line in lines:
        figures = " | ".join(f"{line[key]:,.0f}" for key in ("per_second", "p50", "p99"))
        failed = f", {line['n_errors']} failed" if line["n_errors"] else ""
        rows.append(f"| {line['windows']} | {line['concurrency']} | {line['server']}{failed} | {figures} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
