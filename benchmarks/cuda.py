"""ONNX Runtime on a GPU beside eager PyTorch on it: parity, latency and throughput, host arrays in and host arrays out.

    python -m benchmarks.cuda --output benchmarks/results/2026-12-01-cuda.json
    python -m benchmarks.cuda --device cpu --models M1 M5 --seconds 0.2 --output /tmp/cpu.json     # where there is no GPU

Parity is measured against eager float32 on the CPU, in units of the parity bound, on golden, random and large windows, on full and
padded batches, on every output, and where the model allows it on another length. The contenders take turns, a few calls each, so
that the machine's moods fall on all of them. Exits with 1 where an output is farther off than the bound, or where a window's
score depends on what is scored beside it. With `--device cpu` the same is done on the CPU, with one thread.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.cuda_parity import normal_windows, parity
from benchmarks.progress import tell
from offbeat.backends import Backend, create_backend
from offbeat.bundle import ModelRepository, ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import OffbeatError
from offbeat.result import DEFAULT_OUTPUTS, FloatArray

MODELS = ("M1", "M2", "M3", "M4", "M5")
BATCHES = (1, 8, 64, 512)
_CALLS_A_TURN = 20
_PACKAGES = ("offbeat", "torch", "onnxruntime", "onnxruntime-gpu", "numpy", "nvidia-cudnn-cu13", "tensorrt-cu13")


def contenders(device: str, n_streams: int, *, has_tensorrt: bool) -> dict[str, BackendConfig]:
    """What is compared, by the name in the tables; eager comes last."""
    if device == "cpu":
        named = {"onnxruntime": BackendConfig(backend="onnxruntime", device="cpu")}
    else:
        named = {
            "cuda": BackendConfig(backend="cuda", n_streams=n_streams),
            "cuda without graphs": BackendConfig(backend="cuda", n_streams=n_streams, cuda_graphs=False),
        }
        if has_tensorrt:
            named["tensorrt"] = BackendConfig(backend="tensorrt", n_streams=n_streams)
    return named | {"eager": BackendConfig(backend="eager", device=device)}  # type: ignore[arg-type]


def latency(engines: dict[str, Backend], windows: FloatArray, seconds: float) -> dict[str, dict[str, float]]:
    """Median and 99th percentile of a call by contender, in µs, in turns for `seconds` each, and times faster than eager."""
    times: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():
        for _ in range(3):
            engine.run(windows, DEFAULT_OUTPUTS)
    end = time.perf_counter() + seconds * len(engines)
    while time.perf_counter() < end or not all(times.values()):
        for name, engine in engines.items():
            begin_of_turn = time.perf_counter()
            for _ in range(_CALLS_A_TURN):
                begin = time.perf_counter_ns()
                engine.run(windows, DEFAULT_OUTPUTS)
                times[name].append((time.perf_counter_ns() - begin) / 1000)
                if time.perf_counter() - begin_of_turn > seconds:
                    break
    eager_us = float(np.median(times["eager"]))
    return {
        name: {
            "n_calls": len(values),
            "p50_us": float(np.median(values)),
            "p99_us": float(np.percentile(values, 99)),
            "times_eager": eager_us / float(np.median(values)),
        }
        for name, values in times.items()
    }


def throughput(engine: Backend, windows: FloatArray, n_threads: int, seconds: float) -> float:
    """Windows per second that `n_threads` callers get from one backend together. Raises what a call raised."""
    counts, errors, may_start = [0] * n_threads, [], threading.Barrier(n_threads + 1)
    end = 0.0

    def call(number: int) -> None:
        may_start.wait()
        try:
            while time.perf_counter() < end:
                engine.run(windows, DEFAULT_OUTPUTS)
                counts[number] += 1
        except OffbeatError as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    begin = time.perf_counter()
    end = begin + seconds
    may_start.wait()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begin
    if errors:
        raise errors[0]
    return sum(counts) * len(windows) / elapsed


def measure(model: ModelVersion, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything of one model."""
    with ExitStack() as stack:
        engines: dict[str, Backend] = {}
        load_s: dict[str, float] = {}
        for name, config in contenders(arguments.device, arguments.streams, has_tensorrt=arguments.tensorrt).items():
            begin = time.perf_counter()
            engines[name] = stack.enter_context(closing(create_backend(model, config)))
            load_s[name] = time.perf_counter() - begin
        reference = stack.enter_context(closing(create_backend(model, BackendConfig(backend="eager", device="cpu"))))
        batches = {batch: normal_windows(model.manifest, batch, seed=7) for batch in arguments.batches}
        return {
            "model": model.manifest.name,
            "backends": {name: engine.description for name, engine in engines.items()},
            "load_s": load_s,
            "parity": {name: parity(model, engine, reference) for name, engine in engines.items()},
            "latency": [
                {"batch": batch, "calls": latency(engines, windows, arguments.seconds)}
                for batch, windows in batches.items()
            ],
            "throughput": [
                {"batch": batch, "n_threads": n_threads}
                | {name: throughput(engine, windows, n_threads, arguments.seconds) for name, engine in engines.items()}
                for batch, windows in batches.items()
                for n_threads in sorted({1, arguments.streams})
            ],
        }


def is_good(result: dict[str, Any]) -> bool:
    """Whether every contender but eager is within the bound, and scores each window by itself."""
    found = [each for name, each in result["parity"].items() if name != "eager"]
    return all(each["deviation"] <= 1.0 and each["depends_on_others"] == 0.0 for each in found)


def table(result: dict[str, Any]) -> str:
    """One model's figures in Markdown: median µs of a call, times faster than eager, windows per second."""
    names = list(result["backends"])
    head = f"| {result['model']} | {' | '.join(names)} |\n|---|{'---|' * len(names)}"
    deviations = (f"{result['parity'][name]['deviation']:.2f}" for name in names)
    lines = [f"| parity, of the bound | {' | '.join(deviations)} |"]
    for row in result["latency"]:
        calls = (row["calls"][name] for name in names)
        cells = " | ".join(
            f"{call['p50_us']:,.0f}, p99 {call['p99_us']:,.0f} ({call['times_eager']:.2f} ×)" for call in calls
        )
        lines.append(f"| batch {row['batch']}, µs | {cells} |")
    for row in result["throughput"]:
        cells = " | ".join(f"{row[name]:,.0f}" for name in names)
        lines.append(f"| batch {row['batch']}, {row['n_threads']} threads, windows/s | {cells} |")
    return "\n".join([head, *lines])


def environment(device: str) -> dict[str, Any]:
    """When and where: packages, commit, and the GPU with its driver."""
    facts: dict[str, Any] = {"started_at": datetime.now(UTC).isoformat(timespec="seconds")}
    facts |= {"device": device, "python": sys.version.split()[0], "packages": {}}
    for name in _PACKAGES:
        try:
            facts["packages"][name] = version(name)
        except PackageNotFoundError:
            continue
    facts["commit"] = _said("git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD")
    if device == "cuda":
        facts["gpu"] = _said("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
        facts["torch_cuda"] = torch.version.cuda
    return facts


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


def opened(arguments: argparse.Namespace) -> Iterator[ModelVersion]:
    """The models, from a repository or exported with random weights."""
    if arguments.repository is not None:
        repository = ModelRepository(arguments.repository)
        yield from (repository.open(name) for name in arguments.models)
        return
    # What trains and exports is not needed where the folders were made elsewhere.
    from benchmarks.models import export_model

    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            yield export_model(name, Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="JSON of everything that was measured")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--repository", type=Path, help="models exported before, by these names; made here otherwise")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument(
        "--streams", type=int, default=4, help="threads that call at the same time, and streams for them"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement, for each contender")
    parser.add_argument("--tensorrt", action="store_true", help="measure backend tensorrt too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record: dict[str, Any] = {"environment": environment(arguments.device), "results": []}
    for number, model in enumerate(opened(arguments), 1):
        tell(f"{model.manifest.name}, {number} of {len(arguments.models)}")
        try:
            record["results"].append(measure(model, arguments))
        except OffbeatError as error:
            sys.exit(f"{model.manifest.name}: {error}")
        print(table(record["results"][-1]), end="\n\n", flush=True)
        # After each model: a machine that is lent may be taken back.
        arguments.output.write_text(json.dumps(record, indent=1) + "\n")
    bad = [result["model"] for result in record["results"] if not is_good(result)]
    if bad:
        sys.exit(f"{', '.join(bad)}: beyond the parity bound, or a window's score depends on others")


if __name__ == "__main__":
    main()
