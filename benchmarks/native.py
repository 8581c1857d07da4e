"""The native core beside ONNX Runtime and beside what the processor can do, interleaved on one thread in several fresh processes.

    taskset -c 1 python -m benchmarks.native --limits build/cmake/runtime/cpp/benchmarks/limits --output result.json

A machine changes its speed while it is measured, so every round takes each contender once, and `limits` too, and what is reported
are medians of a round's ratios. How a large model's weights lie in the caches is drawn anew by each
process: of several of them it is the median of each one's median, and each one's is kept. *Limit* is the larger of the multiply-adds
that a window needs, at the measured peak, and the reads of the weights, at the measured bandwidth of the cache that holds them, plus
its activations at the measured cost of one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.environment import environment
from benchmarks.models import ARCHITECTURES, export_model, random_windows
from benchmarks.progress import tell
from benchmarks.rounds import PRECISIONS, rounds_in_a_fresh_process

BATCHES = (1, 512)


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


def measure(
    model: str, batch: int, folder: Path, *, limits: Path, seconds: float, n_processes: int
) -> dict[str, object]:
    """Microseconds of each contender, times faster than ONNX Runtime, and share of the limit.

    Medians over processes of each one's medians over its rounds, which `processes` has one by one.
    """
    windows = folder / f"windows-{batch}.npy"
    np.save(windows, random_windows(model, batch, seed=7))
    medians, n_rounds = [], 0
    for _ in range(n_processes):
        rounds = rounds_in_a_fresh_process(folder, windows, limits.resolve(), seconds / n_processes)
        medians.append(_medians([_judged(model, batch, each) for each in rounds]))
        n_rounds += len(rounds)
    about = {"model": model, "batch": batch, "n_rounds": n_rounds, "n_processes": n_processes}
    return about | _medians(medians) | {"processes": medians}


def _judged(model: str, batch: int, one_round: dict[str, float]) -> dict[str, float]:
    """A round with its ratios: contenders are compared with what the machine did in the same moments."""
    times = {name: one_round[name] for name in ("onnxruntime", *PRECISIONS)}
    limits = {key.removeprefix("limit "): value for key, value in one_round.items() if key.startswith("limit ")}
    ratios = {f"faster {name}": times["onnxruntime"] / value for name, value in times.items()}
    return one_round | ratios | {"share float32": limit_us(NEEDS[model], limits, batch) / times["float32"]}


def _medians(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.median([row[name] for row in rows])) for name in rows[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limits", type=Path, required=True, help="the program of that name, built from runtime/cpp")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--models", nargs="*", default=list(ARCHITECTURES), choices=list(ARCHITECTURES))
    parser.add_argument("--batches", nargs="*", type=int, default=list(BATCHES))
    parser.add_argument("--seconds", type=float, default=10.0, help="of measuring, for each model and batch")
    parser.add_argument("--processes", type=int, default=5, help="fresh ones, which share these seconds")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            exported = export_model(model, Path(folder))
            for batch in arguments.batches:
                results.append(
                    measure(
                        model,
                        batch,
                        exported.path,
                        limits=arguments.limits,
                        seconds=arguments.seconds,
                        n_processes=arguments.processes,
                    )
                )
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
