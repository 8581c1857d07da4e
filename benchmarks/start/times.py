"""Imports and first scores, each in a fresh process, in turns with a Python that does nothing."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.serving.servers import offbeat_server, running

MODULES = ("offbeat", "offbeat.client", "offbeat.server", "offbeat.cli")
# What the runtime must start without; grpc is the server's and the clients' own.
_HEAVY = ("torch", "onnxruntime", "grpc", "numpy", "msgspec", "typer", "rich")
_IMPORT = """
import json, sys, time
before, began = set(sys.modules), time.perf_counter()
import {module}
seconds = time.perf_counter() - began
loaded = [name for name in {heavy!r} if name in sys.modules]
print(json.dumps({{"import_ms": 1e3 * seconds, "n_modules": len(set(sys.modules) - before), "heavy": loaded}}))
"""
_SCORE = """
import json, sys, time
began = time.perf_counter()
import numpy as np
import offbeat
imported = time.perf_counter()
scorer = offbeat.load({folder!r}, backend={backend!r})
loaded = time.perf_counter()
scorer.score(np.load({windows!r}))
ended = time.perf_counter()
print(json.dumps({{"import_ms": 1e3 * (imported - began), "load_ms": 1e3 * (loaded - imported), "score_ms": 1e3 * (ended - loaded)}}))
"""


def imports(n_times: int) -> dict[str, dict[str, Any]]:
    """By module: median milliseconds, how many modules came with it, and which of the heavy ones."""
    programs = {module: _IMPORT.format(module=module, heavy=_HEAVY) for module in MODULES}
    return {module: _summary(runs) for module, runs in _in_turns(programs, n_times).items()}


def first_scores(folder: Path, windows: Path, backends: Sequence[str], n_times: int) -> dict[str, dict[str, Any]]:
    """By backend: medians of importing, loading (digests and golden windows with it) and scoring, and of the whole process.

    The program named `nothing` is what the interpreter takes by itself.
    """
    programs = {
        backend: _SCORE.format(folder=str(folder), backend=backend, windows=str(windows)) for backend in backends
    }
    return {name: _summary(runs) for name, runs in _in_turns({"nothing": "print('{}')", **programs}, n_times).items()}


def first_edge_score(edge: Path, folder: Path, n_rows: int, n_features: int, n_times: int) -> dict[str, float]:
    """From the start of `offbeat-edge score` to the end of a stream that holds one window: milliseconds.

    `process_ms` is the median and `least_ms` the quickest, which another program's work never makes shorter; `processor_ms` the
    median of the processor time that the kernel counts, and `nothing_ms` the median of a program that does nothing, in turns with it.
    """
    rows = np.zeros((n_rows, n_features), np.float32).tobytes()
    command = [str(edge), "score", str(folder), "--format", "raw"]
    runs, nothing = [], []
    # Unbuffered, since a position that the program moves would not be noticed otherwise.
    with tempfile.TemporaryFile(buffering=0) as given, tempfile.TemporaryFile() as written:
        given.write(rows)
        for _ in range(n_times):
            given.seek(0)
            runs.append(_run(command, given, written))
            nothing.append(_run(["true"], given, written)[0])
        assert written.seek(0, 2), "the edge binary scored nothing"
    taken, processor = zip(*runs, strict=True)
    figures = {
        "process_ms": statistics.median(taken),
        "least_ms": min(taken),
        "processor_ms": statistics.median(processor),
        "nothing_ms": statistics.median(nothing),
    }
    return {"n_times": n_times, **{name: round(value, 2) for name, value in figures.items()}}


def _run(command: Sequence[str], given: IO[bytes], written: IO[bytes]) -> tuple[float, float]:
    """Milliseconds from start to end, and of processor time. Files, not pipes: whoever feeds a pipe is timed with the program."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=given, stdout=written)
    _, status, used = os.wait4(process.pid, 0)
    taken = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return 1e3 * taken, 1e3 * (used.ru_utime + used.ru_stime)


def server_ready_ms(repository: Path, backend: str, n_times: int) -> float:
    """From the start of `offbeat serve` to the line that says it is ready."""
    taken = []
    for _ in range(n_times):
        began = time.perf_counter()
        with running(offbeat_server(repository, ["--backend", backend]), None):
            taken.append(1e3 * (time.perf_counter() - began))
    return round(statistics.median(taken), 1)


def _in_turns(programs: Mapping[str, str], n_times: int) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in programs}
    for _ in range(n_times):
        for name, program in programs.items():
            began = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
            process_ms = 1e3 * (time.perf_counter() - began)
            found[name].append({**json.loads(done.stdout), "process_ms": process_ms})
    return found


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of what is measured; what is counted is the same each time."""
    return {
        key: round(statistics.median(run[key] for run in runs), 2) if key.endswith("_ms") else runs[0][key]
        for key in runs[0]
    }
