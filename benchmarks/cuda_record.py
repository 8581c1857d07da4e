"""What a run on a GPU found, in a file from the first figure on, and as a table."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from benchmarks.cuda_timing import REFERENCE
from benchmarks.progress import tell
from offbeat.files import replacing

_PACKAGES = ("offbeat", "torch", "onnxruntime", "onnxruntime-gpu", "numpy", "nvidia-cudnn-cu13", "tensorrt-cu13")


class Record:
    """The results by model, in the order in which they were begun; the file is whole at any time."""

    def __init__(self, path: Path, environment: dict[str, Any]) -> None:
        self._path, self._environment = path, environment
        self.results: list[dict[str, Any]] = []
        self.log: list[str] = []
        self.save()

    def begin(self, model: str) -> dict[str, Any]:
        """An empty result, to be filled."""
        keys: dict[str, Any] = {"backends": {}, "load_s": {}, "parity": {}, "latency": [], "throughput": []}
        self.results.append({"model": model, **keys, "failed": {}})
        return self.results[-1]

    def save(self) -> None:
        """Writes the file anew."""
        found = {"environment": self._environment, "results": self.results, "log": self.log}
        with replacing(self._path, "w") as file:
            file.write(json.dumps(found, indent=1) + "\n")

    def complaints(self) -> list[str]:
        """A line for whatever is not as it should be."""
        lines = []
        for result in self.results:
            lines += [f"{result['model']}, {what}: {why}" for what, why in result["failed"].items()]
            lines += [
                f"{result['model']}, {name}: beyond the parity bound, or a window's score depends on others"
                for name, parity in result["parity"].items()
                if name != REFERENCE and not (parity["deviation"] <= 1.0 and parity["depends_on_others"] == 0.0)
            ]
        return lines


class RecordedLog(logging.Handler):
    """Keeps what the backends log in a record: why a model runs without graphs is told there alone."""

    def __init__(self, record: Record) -> None:
        super().__init__(logging.INFO)
        self._record = record

    def emit(self, record: logging.LogRecord) -> None:
        """Adds a line, and shows it."""
        self._record.log.append(record.getMessage())
        tell(self._record.log[-1])


def table(result: dict[str, Any]) -> str:
    """One model's figures in Markdown: median µs of a call, times faster than eager, windows per second; – where there is none."""
    names = list(result["backends"])
    parity = [f"{result['parity'][name]['deviation']:.2f}" if name in result["parity"] else "–" for name in names]
    rows = [[result["model"], *names], ["---"] * (len(names) + 1), ["parity, of the bound", *parity]]
    rows += [
        [f"batch {row['batch']}, µs", *(_call(row["calls"].get(name)) for name in names)] for row in result["latency"]
    ]
    for row in result["throughput"]:
        rates = (f"{row[name]:,.0f}" if name in row else "–" for name in names)
        rows.append([f"batch {row['batch']}, {row['n_threads']} threads, windows/s", *rates])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _call(figures: dict[str, float] | None) -> str:
    if figures is None:
        return "–"
    ratio = f" ({figures['times_eager']:.2f} ×)" if "times_eager" in figures else ""
    return f"{figures['p50_us']:,.0f}, p99 {figures['p99_us']:,.0f}{ratio}"


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
        facts["cudnn"] = torch.backends.cudnn.version()
    return facts


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""
