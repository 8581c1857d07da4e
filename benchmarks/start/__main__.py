"""Import time, time to the first score, and memory of the server and of the edge binary.

    python -m benchmarks.start --edge build/cmake/runtime/cpp/edge/offbeat-edge --json benchmarks/results/<date>-start.json

Exits with 1 where the server's memory after 200,000 requests of varying shapes is not flat within 2 %.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.environment import environment
from benchmarks.models import ARCHITECTURES, MODELS, export_model, random_windows
from benchmarks.start.memory import ServerMemory, edge_memory
from benchmarks.start.times import first_edge_score, first_scores, imports, server_ready_ms

_EDGE = Path("build/cmake/runtime/cpp/edge/offbeat-edge")
_MAX_DRIFT = 0.02
_N_EDGE_ROWS = 200_000
# A start of the edge binary is over a hundred times sooner than one of Python's.
_TIMES_MORE = 10


def main() -> None:
    """Prints the figures, and writes them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.start", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=ARCHITECTURES, default="M1")
    parser.add_argument("--backends", nargs="+", default=["native", "onnxruntime"])
    parser.add_argument("--times", type=int, default=15, help="of each start; default: %(default)s")
    parser.add_argument("--requests", type=int, default=200_000, help="for the memory; default: %(default)s")
    parser.add_argument("--edge", type=Path, default=_EDGE, help="offbeat-edge; left out where it is not built")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = _figures(arguments, Path(folder))
    print(msgspec.json.format(msgspec.json.encode(figures), indent=1).decode())
    if arguments.json is not None:
        content = {"environment": environment(), "model": arguments.model, **figures}
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
    drifts = {backend: each["drift"] for backend, each in figures["server_memory"].items()}
    if grown := {backend: drift for backend, drift in drifts.items() if abs(drift) > _MAX_DRIFT}:
        sys.exit(f"the server's memory is not flat within {_MAX_DRIFT:.0%}: {grown}")


def _figures(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    model, backends, times = arguments.model, arguments.backends, arguments.times
    version = export_model(model, folder / "models").path
    windows = folder / "window.npy"
    np.save(windows, random_windows(model, 1, seed=2))
    figures: dict[str, Any] = {
        "imports": _told("imports", imports(times)),
        "first_score": _told("first scores", first_scores(version, windows, backends, times)),
        "server_ready_ms": _told(
            "server ready", {name: server_ready_ms(folder / "models", name, max(1, times // 3)) for name in backends}
        ),
    }
    make, length = MODELS[model]
    if arguments.edge.is_file():
        shape = (version, length or 1, make().n_features)
        figures["first_edge_score"] = _told(
            "first edge score", first_edge_score(arguments.edge, *shape, _TIMES_MORE * times)
        )
        memory = edge_memory(arguments.edge, version, make().n_features, _N_EDGE_ROWS)
        figures["edge_memory"] = _told("edge memory", memory)
    figures["server_memory"] = {}
    for backend in backends:
        with closing(ServerMemory(folder / "models", backend)) as server:
            figures["server_memory"][backend] = server.follow(model, arguments.requests)
    return figures


def _told(what: str, found: dict[str, Any]) -> dict[str, Any]:
    print(f"{what}: {found}", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    main()
