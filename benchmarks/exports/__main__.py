"""Exports them all and prints a table; every folder is verified afterwards on every backend present.

python -m benchmarks.exports --json benchmarks/results/<date>-exports.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import torch

from benchmarks.exports.shapes import Shape, odd_shapes, preset_shapes
from benchmarks.models import random_checkpoint
from offbeat.errors import OffbeatError
from offbeat_export import export_checkpoint


def main() -> None:
    """Exports the shapes whose name holds the words given; ends with 1 where one was refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a part of the names of the shapes to export")
    parser.add_argument("--json", type=Path, help="where the figures go")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shapes = [shape for shape in (*preset_shapes(), *odd_shapes()) if arguments.only in shape.name]
    # The slow ones last.
    shapes.sort(key=lambda shape: "large" in shape.name)
    with tempfile.TemporaryDirectory() as folder:
        results: list[dict[str, Any]] = []
        for result in _export_all(shapes, Path(folder)):
            results.append(result)
            if arguments.json is not None:
                arguments.json.write_text(
                    json.dumps({"torch": str(torch.__version__), "exports": results}, indent=1) + "\n"
                )
        verified = subprocess.run([sys.executable, "-m", "offbeat", "verify", folder], check=False).returncode
    sys.exit(int(verified != 0 or any("error" in result for result in results)))


def _export_all(shapes: list[Shape], repository: Path) -> Iterator[dict[str, Any]]:
    print(
        "| shape | s | classic | dynamo | taken | worst onnx | torchscript | native |\n|---|---|---|---|---|---|---|---|"
    )
    for number, shape in enumerate(shapes):
        began_s = time.perf_counter()
        try:
            result = _export(shape, repository, f"m{number}")
        except OffbeatError as error:
            result = {"error": str(error)}
        result = {"shape": shape.name, "seconds": round(time.perf_counter() - began_s, 1), **result}
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
