"""Rounds of one model's contenders in one process: ONNX Runtime, the native core in each precision, and what the core can do just then.

What `benchmarks.native` starts: python -m benchmarks.rounds VERSION_FOLDER WINDOWS.npy LIMITS SECONDS. Nothing here loads torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from offbeat.native import Session
from offbeat.result import FloatArray

OUTPUTS = ("reconstruction_error", "anomaly_score", "is_anomaly")
PRECISIONS = ("float32", "bfloat16", "int8")
# Of one process: of fewer rounds a median would say little.
_MIN_ROUNDS = 5
_ROOT = Path(__file__).parents[1]


def rounds_in_a_fresh_process(folder: Path, windows: Path, limits: Path, seconds: float) -> list[dict[str, float]]:
    """Where memory lies decides how much of it a cache can keep, and stays as it is for as long as a process lives."""
    command = [sys.executable, "-m", "benchmarks.rounds", str(folder), str(windows), str(limits), str(seconds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=_ROOT)
    return msgspec.json.decode(done.stdout, type=list[dict[str, float]])


def rounds(folder: Path, windows: FloatArray, limits: Path, seconds: float) -> list[dict[str, float]]:
    """Of each round the microseconds of each contender, and as `limit NAME` what the program `limits` measures."""
    contenders = _contenders(folder, windows)
    taken: list[dict[str, float]] = []
    end = time.perf_counter() + seconds
    while len(taken) < _MIN_ROUNDS or time.perf_counter() < end:
        measured = json.loads(subprocess.run([limits], check=True, capture_output=True).stdout)
        times = {name: _call_us(call, len(windows)) for name, call in contenders.items()}
        taken.append(times | {f"limit {key}": measured[key] for key in measured if key != "isa"})
    return taken


def _contenders(folder: Path, windows: FloatArray) -> dict[str, Callable[[], object]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    reference = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    calls: dict[str, Callable[[], object]] = {"onnxruntime": lambda: reference.run(OUTPUTS, {"window": windows})}
    for precision in PRECISIONS:
        calls[precision] = _native(Session.load(folder / "model.safetensors", precision=precision), windows)
    for call in calls.values():
        call()
    return calls


def _native(session: Session, windows: FloatArray) -> Callable[[], object]:
    outputs: dict[str, NDArray[np.generic]] = {
        name: np.empty(len(windows), np.bool_ if name == "is_anomaly" else np.float32) for name in OUTPUTS
    }
    return lambda: session.score_into(windows, outputs)


def _call_us(call: Callable[[], object], batch: int) -> float:
    """The median of a few calls at once, so that each begins with warm caches.

    Calls of a millisecond and more are likely to be interrupted: of them it is the processor time of this thread, where all is computed.
    """
    begin = time.perf_counter_ns()
    call()
    clock = time.perf_counter_ns if time.perf_counter_ns() - begin < 1_000_000 else time.thread_time_ns
    times = []
    for _ in range(21 if batch == 1 else 1):
        begin = clock()
        call()
        times.append((clock() - begin) / 1000)
    return float(np.median(times))


def main(folder: str, windows: str, limits: str, seconds: str) -> None:
    print(json.dumps(rounds(Path(folder), np.load(windows), Path(limits), float(seconds))))


if __name__ == "__main__":
    main(*sys.argv[1:])
