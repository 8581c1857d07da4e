"""Which values reach the linear layers of a graph: what static quantisation takes its scales from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper

from offbeat.backends import import_onnxruntime
from offbeat.errors import ExportError
from offbeat.result import FloatArray
from offbeat_export.quantised_linear import InputRange

if TYPE_CHECKING:
    import onnxruntime

_BATCH_SIZE = 256


def input_ranges(proto: onnx.ModelProto, inputs: Mapping[str, str], windows: FloatArray) -> dict[str, InputRange]:
    """The range, zero included, of the value that each layer reads, over `windows` in raw units.

    `inputs` names the value by layer. Raises ExportError where ONNX Runtime refuses the graph or a value is not finite.
    """
    if not inputs:
        return {}
    observed = list(dict.fromkeys(inputs.values()))
    session = _session(proto, observed)
    lowest, highest = np.zeros(len(observed)), np.zeros(len(observed))
    for start in range(0, len(windows), _BATCH_SIZE):
        window = np.ascontiguousarray(windows[start : start + _BATCH_SIZE])
        values = session.run(observed, {"window": window})
        lowest = np.minimum(lowest, [value.min() for value in values])
        highest = np.maximum(highest, [value.max() for value in values])
    if not (np.isfinite(lowest) & np.isfinite(highest)).all():
        raise ExportError("the calibration data make activations that are not finite; expected finite numbers")
    found = {
        name: InputRange(lowest=float(low), highest=float(high))
        for name, low, high in zip(observed, lowest, highest, strict=True)
    }
    return {layer: found[value] for layer, value in inputs.items()}


def _session(proto: onnx.ModelProto, observed: list[str]) -> onnxruntime.InferenceSession:
    """The graph with the observed values as outputs too."""
    watched = onnx.ModelProto()
    watched.CopyFrom(proto)
    known = {output.name for output in watched.graph.output}
    watched.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in observed if name not in known
    )
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    # ONNX Runtime's exceptions have no base of their own.
    except Exception as error:
        raise ExportError(f"ONNX Runtime refuses the graph to be calibrated: {error}") from error
