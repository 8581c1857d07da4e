"""One model at one batch size on every engine, in turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from benchmarks.native import NEEDS, limit_us
from offbeat.result import FloatArray

REFERENCE = "reference"
# Torch and ONNX Runtime have thread pools of their own, which must never wait for work at each other's cost.
FAMILIES = {
    "eager": "torch",
    "torchscript": "torch",
    "inductor": "inductor",
    "onnxruntime": "onnxruntime",
    "onnxruntime-int8": "onnxruntime",
    "cuda": "cuda",
    "native": "native",
    "native-bf16": "native",
    "native-int8": "native",
    REFERENCE: "native",
}
_MIN_ROUNDS = 3


class Race(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of one call [round] by engine, errors of the windows by engine, why others did not run, and the limits [round].

    `limits_us` are those of a batch in float32; empty where the program that measures them was not built, or the model's needs
    are not known.
    """

    times: dict[str, list[float]]
    errors: dict[str, list[float]]
    left_out: dict[str, str]
    limits_us: list[float]


class Stable:
    """The processes of the families, for one number of threads; each is started when it is first needed."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        cores = sorted(os.sched_getaffinity(0))[-n_threads:]
        self._pinned = ["taskset", "-c", ",".join(map(str, cores))]
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.communicate()

    def ask(self, engine: str, **order: Any) -> dict[str, Any]:
        """Has the engine's process carry out the order, and waits for its answer."""
        process = self._process(FAMILIES[engine])
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({**order, "key": engine, "engine": engine, "threads": self.n_threads}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{engine}: its process ended with {process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def drop(self) -> None:
        """Has all processes forget what they loaded."""
        for family in self._processes:
            self.ask(next(engine for engine, home in FAMILIES.items() if home == family), do="drop")

    def limits(self, program: Path) -> dict[str, float]:
        """What the core can do now."""
        found: dict[str, float] = json.loads(
            subprocess.run([*self._pinned, program], check=True, capture_output=True).stdout
        )
        return found

    def _process(self, family: str) -> subprocess.Popen[str]:
        if family not in self._processes:
            environment = {**os.environ, "OMP_NUM_THREADS": str(self.n_threads), "OMP_WAIT_POLICY": "PASSIVE"}
            self._processes[family] = subprocess.Popen(
                [*self._pinned, sys.executable, "-m", "benchmarks.engines.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
        return self._processes[family]


def race(
    stable: Stable,
    model: str,
    folder: Path,
    windows: FloatArray,
    engines: Iterable[str],
    *,
    seconds: float,
    limits: Path | None,
) -> Race:
    """Rounds in which each engine has one turn, in another order each time, for about so many seconds; three at least."""
    errors, left_out = _load(stable, folder, windows, engines)
    times: dict[str, list[float]] = {engine: [] for engine in errors}
    limits_us: list[float] = []
    order = np.random.default_rng(1)
    end = time.perf_counter() + seconds
    while len(times[REFERENCE]) < (_MIN_ROUNDS if seconds > 0 else 1) or time.perf_counter() < end:
        if limits is not None and model in NEEDS:
            limits_us.append(limit_us(NEEDS[model], stable.limits(limits), len(windows)) / stable.n_threads)
        for engine in order.permutation(list(times)):
            times[engine].append(stable.ask(engine, do="time")["seconds"])
    stable.drop()
    scored = {engine: each for engine, each in errors.items() if each is not None}
    return Race(times=times, errors=scored, left_out=left_out, limits_us=limits_us)


def _load(
    stable: Stable, folder: Path, windows: FloatArray, engines: Iterable[str]
) -> tuple[Mapping[str, list[float] | None], dict[str, str]]:
    errors: dict[str, list[float] | None] = {}
    left_out: dict[str, str] = {}
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, windows)
        file.flush()
        for engine in (*engines, REFERENCE):
            answer = stable.ask(engine, do="load", folder=str(folder), windows=file.name)
            if "problem" in answer:
                left_out[engine] = answer["problem"]
            else:
                errors[engine] = answer["errors"]
    return errors, left_out
