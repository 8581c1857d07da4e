"""What a run on a GPU found, in a file from the first figure on."""

from __future__ import annotations

import json
import logging
import subprocess
from pathlib import Path
from typing import Any

import torch

from benchmarks.cuda_timing import REFERENCE
from benchmarks.environment import environment
from benchmarks.progress import tell
from offbeat.backends import import_onnxruntime
from offbeat.files import replacing


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


def gpu_environment(device: str) -> dict[str, Any]:
    """When and where, with the GPU and its driver."""
    facts = environment() | {"device": device}
    if device == "cuda":
        facts["gpu"] = _said("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
        facts["torch_cuda"] = torch.version.cuda
        facts["cudnn"] = torch.backends.cudnn.version()
        # Another package may have the same module.
        facts["packages"]["onnxruntime, as imported"] = import_onnxruntime().__version__
    return facts


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""
