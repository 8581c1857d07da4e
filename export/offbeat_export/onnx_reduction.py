"""Means over long windows: ONNX Runtime adds term by term, and over thousands of steps loses digits that eager keeps."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from offbeat_export.onnx_patterns import constant, insert_constant, insert_node

_TIME = 1


def correct_means(graph: ir.Graph) -> None:
    """Adds to each mean over time the mean of what is left, mean(x) + mean(x − mean(x)), which is exact to the last digits.

    The terms of a constant window all round the same way: over 4,096 steps the mean was 1.4e-5 away from eager's.
    """
    for node in list(graph):
        value = node.inputs[0] if node.op_type == "ReduceMean" else None
        if value is None or value.shape is None or len(value.shape) != 3 or _TIME not in (axes := _axes(node)):
            continue
        kept = _mean(graph, node, value, axes, keepdims=1)
        rest = insert_node(graph, node, "Sub", [value, kept])
        correction = _mean(graph, node, rest, axes, keepdims=0)
        squeezed = insert_node(graph, node, "Squeeze", [kept, insert_constant(graph, node, np.array(axes))])
        _become_sum(node, squeezed, correction)


def _mean(graph: ir.Graph, before: ir.Node, value: ir.Value, axes: list[int], keepdims: int) -> ir.Value:
    """With axes as the node behind it has them: an attribute, or from opset 18 on an input."""
    if "axes" in before.attributes:
        return insert_node(graph, before, "ReduceMean", [value], axes=axes, keepdims=keepdims)
    return insert_node(
        graph, before, "ReduceMean", [value, insert_constant(graph, before, np.array(axes))], keepdims=keepdims
    )


def _become_sum(node: ir.Node, first: ir.Value, second: ir.Value) -> None:
    """The node keeps its output, which may be the graph's, and adds two values from now on."""
    scope = (node.name or "").rpartition("/")[0]
    node.op_type, node.name = "Add", f"{scope}/Add"
    node.attributes.clear()
    node.resize_inputs(2)
    node.replace_input_with(0, first)
    node.replace_input_with(1, second)


def _axes(node: ir.Node) -> list[int]:
    if "axes" in node.attributes:
        return list(node.attributes["axes"].as_ints())
    axes = constant(node.inputs[1]) if len(node.inputs) > 1 else None
    return [] if axes is None else [int(axis) for axis in axes]
