"""Times the rewrites of the exported graphs in ONNX Runtime, in turns, on one thread, and what loading takes.

    taskset -c 1 python -m benchmarks.graphs --json benchmarks/results/<date>-graphs.json

A ratio is the median over turns of one graph's time by the time, in the same turn, of the graph without any rewrite.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch

from benchmarks.environment import environment
from benchmarks.graphs.contenders import BASE, MODELS, contenders
from benchmarks.progress import tell
from offbeat.result import DEFAULT_OUTPUTS

_MIN_TURNS = 15
_N_LOADS = 9


def main() -> None:
    """Runs the models named, all by default, and prints one line for each model and batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 8])
    parser.add_argument("--seconds", type=float, default=1.5, help="of each model and batch")
    parser.add_argument("--json", type=Path, help="where the figures go")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results: list[dict[str, Any]] = []
    for number, model in enumerate(arguments.models, 1):
        tell(f"{model}, {number} of {len(arguments.models)}")
        graphs = contenders(model)
        results.append({"model": model, "load_ms": _load_ms(graphs["all, classic"])})
        print(f"{model}: loads in {results[-1]['load_ms']}", flush=True)
        for batch in arguments.batches:
            figures = _race(graphs, model, batch, arguments.seconds)
            results.append({"model": model, "batch": batch, "graphs": figures})
            ratios = ", ".join(f"{name} {each['ratio']:.3f}" for name, each in figures.items())
            print(f"{model}, batch {batch}: {figures[BASE]['median_us']:,.0f} µs; {ratios}", flush=True)
    if arguments.json is not None:
        about = {"environment": environment(), "onnxruntime": ort.__version__, "torch": str(torch.__version__)}
        arguments.json.write_text(json.dumps({**about, "results": results}, indent=1) + "\n")


def _race(graphs: Mapping[str, bytes], model: str, batch: int, seconds: float) -> dict[str, dict[str, float]]:
    """Median microseconds and median ratio of each graph, one call of each in every turn."""
    make, length = MODELS[model]
    n_features = make().n_features
    shape = (batch, n_features) if length is None else (batch, length, n_features)
    window = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    sessions = {name: _session(content) for name, content in graphs.items()}
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for session in sessions.values():
        _run(session, window)
    order = np.random.default_rng(1)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times[BASE]) < _MIN_TURNS:
        # In another order each turn: whoever follows the Python between turns finds colder caches.
        for name in order.permutation(list(sessions)):
            session = sessions[name]
            began = time.perf_counter()
            _run(session, window)
            times[name].append(time.perf_counter() - began)
    return {
        name: {
            "median_us": round(statistics.median(each) * 1e6, 2),
            "ratio": round(statistics.median(a / b for a, b in zip(each, times[BASE], strict=True)), 4),
        }
        for name, each in times.items()
    }


def _load_ms(content: bytes) -> dict[str, float]:
    """Median milliseconds of making a session: of the graph, and of what ONNX Runtime made of it for this machine."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "optimised.onnx")
        options = _options()
        options.optimized_model_filepath = path
        ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        optimised = Path(path).read_bytes()
    times: dict[str, list[float]] = {"graph": [], "optimised": []}
    for _ in range(_N_LOADS):
        for name, source in (("graph", content), ("optimised", optimised)):
            began = time.perf_counter()
            _session(source)
            times[name].append((time.perf_counter() - began) * 1e3)
    return {name: round(statistics.median(each), 2) for name, each in times.items()}


def _session(content: bytes) -> ort.InferenceSession:
    return ort.InferenceSession(content, _options(), providers=["CPUExecutionProvider"])


def _options() -> ort.SessionOptions:
    """As offbeat's own backend sets them."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return options


def _run(session: ort.InferenceSession, window: np.ndarray) -> None:
    options = ort.RunOptions()
    options.only_execute_path_to_fetches = True
    session.run(DEFAULT_OUTPUTS, {"window": window}, options)


if __name__ == "__main__":
    main()
