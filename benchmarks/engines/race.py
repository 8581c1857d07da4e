"""One model at one batch size on every engine, in turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from benchmarks.needs import window_needs
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
ENGINES = tuple(engine for engine in FAMILIES if engine != REFERENCE)
_MIN_ROUNDS = 3
# What is run, by this Python, for each family.
WORKER = ("-m", "benchmarks.engines.worker")
# Inductor's compilers take a minute for some; what takes longer is left out, before pytest gives the whole race up.
LONGEST_TURN_S = 150.0


class Race(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of one call [round] by engine, errors of the windows by engine, why others did not run, and the limits [round].

    `machine` is what the program `limits` measured, `limits_us` what follows for a batch in float32; both are empty where it was
    not built.
    """

    times: dict[str, list[float]]
    errors: dict[str, list[float]]
    left_out: dict[str, str]
    limits_us: list[float]
    machine: list[dict[str, Any]]


class EndedError(Exception):
    """A process of a family died, or was ended because it took too long."""


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
        """Has the engine's process carry out the order, and waits for its answer.

        Raises EndedError where none comes; with it ended all that the family had loaded, and the next order begins a new process.
        """
        family = FAMILIES[engine]
        process = self._process(family)
        assert process.stdin is not None
        assert process.stdout is not None
        too_long = threading.Timer(LONGEST_TURN_S, process.kill)
        too_long.start()
        try:
            process.stdin.write(
                json.dumps({**order, "key": engine, "engine": engine, "threads": self.n_threads}) + "\n"
            )
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            too_long.cancel()
        if not line:
            del self._processes[family]
            with suppress(BrokenPipeError):
                process.communicate()
            raise EndedError(f"its process ended with {process.returncode}; it has {LONGEST_TURN_S:g} s for an answer")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def drop(self) -> None:
        """Has all processes forget what they loaded."""
        for family in list(self._processes):
            self.ask(next(engine for engine, home in FAMILIES.items() if home == family), do="drop")

    def limits(self, program: Path) -> dict[str, Any]:
        """What the core can do now."""
        found: dict[str, Any] = json.loads(
            subprocess.run([*self._pinned, program], check=True, capture_output=True).stdout
        )
        return found

    def _process(self, family: str) -> subprocess.Popen[str]:
        if family not in self._processes:
            environment = {**os.environ, "OMP_NUM_THREADS": str(self.n_threads), "OMP_WAIT_POLICY": "PASSIVE"}
            self._processes[family] = subprocess.Popen(
                [*self._pinned, sys.executable, *WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
        return self._processes[family]


def race(
    stable: Stable,
    folder: Path,
    windows: FloatArray,
    engines: Iterable[str],
    *,
    seconds: float,
    limits: Path | None,
) -> Race:
    """Rounds in which each engine has one turn, in another order each time, for about so many seconds; three at least.

    With no seconds there is one. `limits` is the program of that name.
    """
    errors, left_out = _load(stable, folder, windows, engines)
    times: dict[str, list[float]] = {engine: [] for engine in errors}
    machine: list[dict[str, Any]] = []
    order = np.random.default_rng(1)
    end = time.perf_counter() + seconds
    while len(times[REFERENCE]) < (_MIN_ROUNDS if seconds > 0 else 1) or time.perf_counter() < end:
        if limits is not None:
            machine.append(stable.limits(limits))
        for engine in order.permutation(list(times)):
            times[engine].append(stable.ask(engine, do="time")["seconds"])
    stable.drop()
    return Race(
        times=times,
        errors={engine: each for engine, each in errors.items() if each is not None},
        left_out=left_out,
        limits_us=[each / stable.n_threads for each in _least_us(folder, windows, machine)],
        machine=machine,
    )


def _least_us(folder: Path, windows: FloatArray, machine: list[dict[str, Any]]) -> list[float]:
    """Microseconds that the windows take one core at least [round]."""
    needs = window_needs(folder, windows.shape[1] if windows.ndim == 3 else 1)
    return [needs.least_us(limits, len(windows)) for limits in machine]


def _load(
    stable: Stable, folder: Path, windows: FloatArray, engines: Iterable[str]
) -> tuple[Mapping[str, list[float] | None], dict[str, str]]:
    """Errors of the windows by engine, and why others have none."""
    errors: dict[str, list[float] | None] = {}
    left_out: dict[str, str] = {}
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, windows)
        file.flush()
        order = {"do": "load", "folder": str(folder), "windows": file.name}
        for engine in (*engines, REFERENCE):
            try:
                answer = stable.ask(engine, **order)
            except EndedError as error:
                answer = {"problem": str(error)}
                for other in [each for each in errors if FAMILIES[each] == FAMILIES[engine]]:
                    stable.ask(other, **order)
            if "problem" in answer:
                left_out[engine] = answer["problem"]
            else:
                errors[engine] = answer["errors"]
    return errors, left_out
