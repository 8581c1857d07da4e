"""The layer plan of an exported version, for engines that read no ONNX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from offbeat.result import FloatArray


def read_plan(folder: Path) -> tuple[list[dict[str, Any]], dict[str, FloatArray]]:
    """The layers of `model.safetensors` in order, and its tensors by name, as docs/format.md has them."""
    with safe_open(folder / "model.safetensors", "numpy") as file:
        layers: list[dict[str, Any]] = json.loads(file.metadata()["plan"])["layers"]
        return layers, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (a file is no mapping)
