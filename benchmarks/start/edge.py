"""What `offbeat-edge` takes from its start to the first score, and a window alone, by model; no Python is in what is timed.

    taskset -c 1 python -m benchmarks.start.edge --edge build/cmake/runtime/cpp/edge/offbeat-edge --json benchmarks/results/<date>-edge.json

A start is everything from `exec` to the end of the program: load, check, replay the golden windows, score one window. From a
`model.safetensors` alone there is nothing to check or to replay. Memory is the most that the process ever had resident.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import environment
from benchmarks.models import MODELS, export_model
from benchmarks.progress import tell
from benchmarks.start.memory import resident

_EDGE = Path("build/cmake/runtime/cpp/edge/offbeat-edge")
_MODELS = ("M1", "M2", "M3", "M4", "M5")


def main() -> None:
    """Prints the figures, and writes them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.start.edge",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--edge", type=Path, default=_EDGE, help="offbeat-edge; default: %(default)s")
    parser.add_argument("--models", nargs="+", choices=_MODELS, default=_MODELS)
    parser.add_argument("--times", type=int, default=30, help="of each start; default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if not arguments.edge.is_file():
        parser.error(f"no {arguments.edge}; build it with `make cpp`, or name another file with --edge")
    with tempfile.TemporaryDirectory() as folder:
        results = [_measured(arguments.edge, model, Path(folder), arguments.times) for model in arguments.models]
    print(json.dumps(results, indent=1))
    if arguments.json is not None:
        content = {"environment": environment(), "n_starts": arguments.times, "results": results}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


def _measured(edge: Path, model: str, repository: Path, n_times: int) -> dict[str, Any]:
    tell(model)
    folder = export_model(model, repository).path
    make, length = MODELS[model]
    rows = np.zeros((length or 1, make().n_features), np.float32).tobytes()
    steps = () if length is None else ("--steps", str(length))
    starts = {"folder": (folder,), "file": (folder / "model.safetensors", *steps)}
    runs = [{name: _start_ms(edge, target, rows) for name, target in starts.items()} for _ in range(n_times)]
    times = {name: [run[name] for run in runs] for name in starts}
    return {
        "model": model,
        **{f"{name}_ms": round(statistics.median(each), 2) for name, each in times.items()},
        **{f"{name}_fastest_ms": round(min(each), 2) for name, each in times.items()},
        **{f"{name}_peak_mib": _peak_mib(edge, target, rows) for name, target in starts.items()},
        "window_us": _window_us(edge, folder),
    }


def _start_ms(edge: Path, target: Sequence[str | Path], rows: bytes) -> float:
    """Of scoring one window, from before the program is there until it has ended."""
    began = time.perf_counter()
    done = subprocess.run([edge, "score", *target, "--format", "raw"], input=rows, capture_output=True, check=True)
    taken_ms = 1e3 * (time.perf_counter() - began)
    assert done.stdout.strip(), "offbeat-edge scored nothing"
    return taken_ms


def _peak_mib(edge: Path, target: Sequence[str | Path], rows: bytes) -> float:
    """The most until the first score is there. Asked while it waits for more rows: after the end the system adds what its parent had."""
    command = [edge, "score", *target, "--format", "raw"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(rows)
        process.stdin.flush()
        names = process.stdout.readline()
        assert process.stdout.readline(), f"offbeat-edge scored nothing and said {names!r}"
        return resident(process.pid)["peak_mib"]


def _window_us(edge: Path, folder: Path) -> float:
    """Median microseconds of a window by itself."""
    done = subprocess.run([edge, "bench", folder, "--batch", "1"], check=True, capture_output=True, text=True)
    return round(float(json.loads(done.stdout)["batches"][0]["median_us"]), 2)


if __name__ == "__main__":
    main()
