"""What every `model.onnx` must be before it is written."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from offbeat.bundle.manifest import Manifest
from offbeat.errors import ExportError

THRESHOLD = "threshold"
# The score divides by the threshold and the decision compares with it; anything else would be a second meaning.
_THRESHOLD_USERS = ("Div", "Greater")


def check_onnx(proto: onnx.ModelProto, manifest: Manifest, domains: Collection[str] = ()) -> None:
    """Raises ExportError, saying what was seen, unless the graph is self-contained, standard and has one threshold.

    `domains` are those whose operators are allowed beside the standard ones.
    """
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"model.onnx does not pass the ONNX checker: {error}") from error
    _check_operators(proto, domains)
    _check_storage(proto)
    _check_threshold(proto, manifest.threshold.value)


def _check_operators(proto: onnx.ModelProto, domains: Collection[str]) -> None:
    used = {opset.domain for opset in proto.opset_import} | {node.domain for node in proto.graph.node}
    if foreign := sorted(used - {"", "ai.onnx", *domains}):
        raise ExportError(f"model.onnx uses operators of {', '.join(foreign)}; expected standard ones only")
    if proto.functions:
        raise ExportError(f"model.onnx holds {len(proto.functions)} functions; expected plain nodes")


def _check_storage(proto: onnx.ModelProto) -> None:
    outside = [each.name for each in proto.graph.initializer if each.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        raise ExportError(f"model.onnx keeps {', '.join(outside)} in other files; expected all data inside")


def _check_threshold(proto: onnx.ModelProto, value: float) -> None:
    """One initializer holds the threshold and feeds both score and decision, so that changing it alone recalibrates."""
    found = [onnx.numpy_helper.to_array(each) for each in proto.graph.initializer if each.name == THRESHOLD]
    if len(found) != 1 or found[0].shape != () or float(found[0]) != value:
        raise ExportError(f"model.onnx has initializers {THRESHOLD} {found}; expected one scalar, {value!r}")
    users = sorted(node.op_type for node in proto.graph.node if THRESHOLD in node.input)
    if tuple(users) != _THRESHOLD_USERS:
        raise ExportError(
            f"model.onnx reads {THRESHOLD} in {users}; expected one Div for the score and one Greater for the decision"
        )
