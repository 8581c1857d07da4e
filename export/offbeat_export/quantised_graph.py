"""A graph whose large layers multiply 8-bit integers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx
from onnx import helper, numpy_helper

from offbeat_export.quantised_initializer import NarrowInitializer, narrow
from offbeat_export.quantised_linear import InputRange, IntegerProduct, is_supported
from offbeat_export.quantised_lstm import CONTRIB_DOMAIN, by_row, is_plain
from offbeat_export.variant_onnx import WEIGHT_INPUTS, remove_initializer

_CONTRIB_VERSION = 1
_LINEAR = ("Gemm", "MatMul")
Ranges = Mapping[str, InputRange]
_NO_RANGES: Ranges = {}


def integer_graph(proto: onnx.ModelProto, min_elements: int, ranges: Ranges = _NO_RANGES) -> onnx.ModelProto | None:
    """The graph with every layer whose smallest weight has `min_elements` or more in integers; None where there is none.

    The weights must be int8 rows times scales already, in float32. Linear layers named in `ranges` take their activations'
    scale from there; all others take it row by row. LSTM layers are ONNX Runtime's own operator, of the domain com.microsoft.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    graph = changed.graph
    arrays = {each.name: each for each in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    replaced: set[str] = set()
    for node in graph.node:
        found = _narrow_weights(node, arrays, min_elements)
        new = _in_integers(graph, node, found, _opset(proto), ranges) if found else None
        nodes += [node] if new is None else new
        replaced |= set() if new is None else {node.input[index] for index in WEIGHT_INPUTS[node.op_type]}
    if not replaced:
        return None
    del graph.node[:]
    graph.node.extend(nodes)
    for name in replaced - {name for node in nodes for name in node.input}:
        remove_initializer(graph, name)
    if any(node.op_type == "Scan" for node in nodes) and not any(
        each.domain == CONTRIB_DOMAIN for each in changed.opset_import
    ):
        changed.opset_import.append(helper.make_opsetid(CONTRIB_DOMAIN, _CONTRIB_VERSION))
    return changed


def linear_inputs(proto: onnx.ModelProto, min_elements: int) -> dict[str, str]:
    """The value that each linear layer large enough reads, by the layer's name: what a calibration has to observe."""
    arrays = {each.name: each for each in proto.graph.initializer}
    return {
        node.name: node.input[0]
        for node in proto.graph.node
        if node.op_type in _LINEAR and _narrow_weights(node, arrays, min_elements)
    }


def _narrow_weights(
    node: onnx.NodeProto, arrays: Mapping[str, onnx.TensorProto], min_elements: int
) -> list[NarrowInitializer]:
    """The node's weights in int8; none where it has none, or one that is too small or no such product."""
    if node.op_type not in (*_LINEAR, "LSTM"):
        return []
    names = [node.input[index] for index in WEIGHT_INPUTS[node.op_type]]
    if not all(name in arrays for name in names):
        return []
    weights = [numpy_helper.to_array(arrays[name]) for name in names]
    if max(weight.size for weight in weights) < min_elements or any(weight.ndim < 2 for weight in weights):
        return []
    found = [narrow(weight, "int8", ()) for weight in weights]
    return [each for each in found if each is not None] if None not in found else []


def _in_integers(
    graph: onnx.GraphProto, node: onnx.NodeProto, weights: list[NarrowInitializer], opset: int, ranges: Ranges
) -> list[onnx.NodeProto] | None:
    """Nodes in the place of one, their initializers added to the graph; None where the node is not of the kind."""
    if node.op_type == "LSTM":
        if not is_plain(node) or any(each.scale is None or each.scale.shape[2] != 1 for each in weights):
            return None
        scan, initializers = by_row(node, *weights)
        graph.initializer.extend(initializers)
        return [scan]
    if not is_supported(node, weights[0]):
        return None
    product = IntegerProduct(node, weights[0], opset, ranges.get(node.name))
    graph.initializer.extend(product.initializers)
    return product.nodes


def _opset(proto: onnx.ModelProto) -> int:
    standard: Iterable[int] = (each.version for each in proto.opset_import if each.domain in ("", "ai.onnx"))
    return max(standard)
