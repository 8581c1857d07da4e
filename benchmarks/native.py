"""The native core beside ONNX Runtime and beside what the processor can do, interleaved in one process on one thread.

    taskset -c 1 python -m benchmarks.native --limits build/cmake/runtime/cpp/benchmarks/limits --output result.json

A machine changes its speed while it is measured, so every round takes each contender once, and `limits` too, and what is reported
are medians of a round's ratios. *Limit* is the larger of the multiply-adds that a window needs, at the measured peak, and the reads of
the weights, at the measured bandwidth of the cache that holds them, plus its activations at the measured cost of one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.environment import environment
from benchmarks.models import ARCHITECTURES, export_model, random_windows
from benchmarks.progress import tell
from offbeat.native import Session
from offbeat.result import FloatArray

OUTPUTS = ("reconstruction_error", "anomaly_score", "is_anomaly")
BATCHES = (1, 512)
PRECISIONS = ("float32", "bfloat16", "int8")


@dataclass(frozen=True, kw_only=True)
class Need:
    """What one window of a model cannot do without: multiply-adds, activations, and the bytes of its largest layer's weights."""

    n_multiply_adds: int
    n_activations: int
    n_layer_bytes: int


NEEDS = {
    "M1": Need(n_multiply_adds=421_746, n_activations=16_000, n_layer_bytes=16_384),
    "M2": Need(n_multiply_adds=1_493_880, n_activations=38_400, n_layer_bytes=16_384),
    "M3": Need(n_multiply_adds=8_077_196, n_activations=134_400, n_layer_bytes=65_536),
    "M4": Need(n_multiply_adds=160_751_044, n_activations=512_000, n_layer_bytes=1_048_576),
    "M5": Need(n_multiply_adds=26_142, n_activations=0, n_layer_bytes=104_568),
}
# What a layer can keep in each cache, its own states and the next layer's inputs left out.
_L1_BYTES, _L2_BYTES = 40_960, 1_048_576


def _ns_per_byte(n_layer_bytes: int, limits: dict[str, float]) -> float:
    """Of weights that are read once a step: as many as fit come from the first level, the rest from the second and the third."""
    first, second = min(n_layer_bytes, _L1_BYTES), max(0, min(n_layer_bytes, _L2_BYTES) - _L1_BYTES)
    levels = {"l1": first, "l2": second, "l3": n_layer_bytes - first - second}
    return sum(n / limits[f"{level}_bytes_per_ns"] for level, n in levels.items()) / n_layer_bytes


def limit_us(need: Need, limits: dict[str, float], batch: int) -> float:
    """Microseconds that a batch takes at least, in float32. Alone, a window reads each weight once for every multiply-add."""
    arithmetic = batch * need.n_multiply_adds / limits["fma_per_ns"]
    traffic = 0.0 if batch > 1 else 4 * need.n_multiply_adds * _ns_per_byte(need.n_layer_bytes, limits)
    return (max(arithmetic, traffic) + batch * need.n_activations * limits["activation_ns"]) / 1000


def measure(model: str, batch: int, folder: Path, *, limits: Path, seconds: float) -> dict[str, object]:
    """Medians over rounds: microseconds of each contender, times faster than ONNX Runtime, and share of the limit."""
    contenders = _contenders(folder, random_windows(model, batch, seed=7))
    rounds: list[dict[str, float]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < 5 or time.perf_counter() < end:
        measured = json.loads(subprocess.run([limits], check=True, capture_output=True).stdout)
        times = {name: _call_us(call, batch) for name, call in contenders.items()}
        shares = {
            f"share {name}": limit_us(NEEDS[model], measured, batch) / value
            for name, value in times.items()
            if name == "float32"
        }
        ratios = {f"faster {name}": times["onnxruntime"] / value for name, value in times.items()}
        rounds.append(times | ratios | shares | {f"limit {key}": measured[key] for key in measured if key != "isa"})
    return {"model": model, "batch": batch, "n_rounds": len(rounds)} | {
        name: float(np.median([each[name] for each in rounds])) for name in rounds[0]
    }


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limits", type=Path, required=True, help="the program of that name, built from runtime/cpp")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--models", nargs="*", default=list(ARCHITECTURES), choices=list(ARCHITECTURES))
    parser.add_argument("--seconds", type=float, default=10.0, help="of measuring, for each model and batch")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            exported = export_model(model, Path(folder))
            for batch in BATCHES:
                results.append(measure(model, batch, exported.path, limits=arguments.limits, seconds=arguments.seconds))
                tell(_line(results[-1]))
    about = environment() | {"needs": {model: asdict(need) for model, need in NEEDS.items()}}
    arguments.output.write_text(json.dumps({"environment": about, "results": results}, indent=1) + "\n")


def _line(result: dict[str, object]) -> str:
    figures = " ".join(
        f"{name} {result[name]:.1f} us ({result[f'faster {name}']:.2f}x)" for name in ("onnxruntime", *PRECISIONS)
    )
    return f"{result['model']} batch {result['batch']}: {figures}, share of limit {result['share float32']:.0%}"


if __name__ == "__main__":
    main()
