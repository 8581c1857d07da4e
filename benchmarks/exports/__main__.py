"""Exports them all and prints a table; every folder is verified afterwards on every backend present.

python -m benchmarks.exports --json benchmarks/results/<date>-exports.json
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import torch

from benchmarks.environment import environment
from benchmarks.exports.shapes import Shape, odd_shapes, preset_shapes
from benchmarks.models import random_checkpoint
from benchmarks.progress import tell
from offbeat.errors import OffbeatError
from offbeat_export import export_checkpoint


def main() -> None:
    """Exports the shapes whose name holds the words given; ends with 1 where one was refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[""], help="parts of the names of the shapes to export")
    parser.add_argument("--json", type=Path, help="where the figures go")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shapes = [
        shape for shape in (*preset_shapes(), *odd_shapes()) if any(part in shape.name for part in arguments.only)
    ]
    # The slow ones last.
    shapes.sort(key=lambda shape: "large" in shape.name)
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for result in _export_all(shapes, Path(folder)):
            results.append(result)
            _write(arguments.json, results)
        is_verified = _verify(Path(folder), results)
        _write(arguments.json, results)
    sys.exit(int(not is_verified or any("error" in result for result in results)))


def _write(file: Path | None, results: list[dict[str, Any]]) -> None:
    if file is not None:
        about = {"environment": environment(), "torch": str(torch.__version__)}
        file.write_text(json.dumps({**about, "exports": results}, indent=1) + "\n")


def _verify(repository: Path, results: list[dict[str, Any]]) -> bool:
    """Puts into each result what `offbeat verify` says of each backend: its share of the bound, or its verdict."""
    command = [sys.executable, "-m", "offbeat", "verify", str(repository), "--json"]
    ran = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    found = {each["name"]: each for each in json.loads(ran.stdout or "[]")}
    for result in results:
        if (version := found.get(result["model"])) is not None:
            result["verified"] = {
                each["backend"]: each["deviation"] if each["verdict"] == "ok" else each["verdict"]
                for each in version["backends"]
            }
            problem = version["problem"] or "; ".join(
                each["message"] for each in version["backends"] if each["message"]
            )
            print(f"{result['shape']}: {result['verified']} {problem}".rstrip())
    print(f"{len(found)} versions verified: {'all ok' if ran.returncode == 0 else 'not all ok'}")
    return ran.returncode == 0


def _export_all(shapes: list[Shape], repository: Path) -> Iterator[dict[str, Any]]:
    print(
        "| shape | s | classic | dynamo | taken | worst onnx | torchscript | native |\n|---|---|---|---|---|---|---|---|"
    )
    for number, shape in enumerate(shapes, 1):
        tell(f"{shape.name}, {number} of {len(shapes)}")
        name = re.sub(r"[^a-z0-9]+", "-", shape.name.lower())
        began_s = time.perf_counter()
        try:
            result = _export(shape, repository, name)
        except OffbeatError as error:
            result = {"error": str(error)}
        result = {
            "shape": shape.name,
            "model": name,
            "seconds": round(time.perf_counter() - began_s, 1),
            **result,
        }
        print(_line(result), flush=True)
        yield result


def _export(shape: Shape, repository: Path, name: str) -> dict[str, Any]:
    torch.manual_seed(0)
    report = export_checkpoint(random_checkpoint(shape.make(), shape.length), repository, name=name)
    manifest = report.manifest
    return {
        "n_parameters": manifest.architecture.n_parameters,
        "graph": msgspec.to_builtins(manifest.graph),
        "parity": {each.format: msgspec.to_builtins(each.to_manifest()) for each in report.parity},
        "unmeasured": dict(report.unmeasured),
        "files": {file: record.n_bytes for file, record in manifest.files.items()},
    }


def _line(result: dict[str, Any]) -> str:
    if "error" in result:
        return f"| {result['shape']} | {result['seconds']} | refused: {result['error']} |"
    graph = result["graph"]
    counts = [
        f"{each['n_nodes']} ({each['n_lstm_nodes']} LSTM, {len(each['findings'])} defects)"
        for each in (graph["candidates"][exporter] for exporter in ("classic", "dynamo"))
    ]
    worst = [
        f"{max(figures['max_relative'] for figures in result['parity'][name]['outputs'].values()):.1e}"
        if name in result["parity"]
        else result["unmeasured"].get(name, "")
        for name in ("onnx", "torchscript", "native")
    ]
    return f"| {result['shape']} | {result['seconds']} | {' | '.join([*counts, graph['exporter'], *worst])} |"


if __name__ == "__main__":
    main()
