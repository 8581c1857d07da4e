"""OpenVINO on the exported graph: one thread, one stream, the hint for latency, in float32 and as it chooses itself."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.contender import Contender
from offbeat.result import DEFAULT_OUTPUTS, FloatArray

_ONE_THREAD = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False}


def openvino_contenders(folder: Path, windows: FloatArray) -> Iterator[Contender]:
    """Shapes are fixed to the batch and the other outputs cut off, which a graph compiled for every batch would not have."""
    openvino: Any = import_module("openvino")
    core = openvino.Core()
    for name, hints in (("openvino", {"INFERENCE_PRECISION_HINT": "f32"}), ("openvino default", {})):
        graph = core.read_model(folder / "model.onnx")
        graph.reshape(list(windows.shape))
        wanted = [graph.output(output) for output in DEFAULT_OUTPUTS]
        cut = openvino.Model(wanted, graph.get_parameters())
        compiled = core.compile_model(cut, "CPU", {**_ONE_THREAD, **hints})
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        is_reduced = precision != "f32"
        # Where its own choice is float32 too there is nothing more to measure.
        if is_reduced or name == "openvino":
            yield _contender(openvino, compiled, windows, f"{name} {precision}" if is_reduced else name, is_reduced)


def _contender(openvino: Any, compiled: Any, windows: FloatArray, name: str, is_reduced: bool) -> Contender:
    request = compiled.create_infer_request()
    # Without a copy, and without going through the arguments at each call.
    request.set_input_tensor(openvino.Tensor(windows, shared_memory=True))
    error = compiled.output(0)
    return Contender(
        name=name,
        call=lambda: request.infer(share_outputs=True),
        errors=lambda: np.array(request.get_tensor(error).data, np.float32),
        is_reduced=is_reduced,
    )
