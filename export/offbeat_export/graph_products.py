"""How many products the matrix operators of an ONNX graph make."""

from __future__ import annotations

import math

import onnx

from offbeat.bundle.multiply_adds import MultiplyAdds

# Lengths at which products are counted; what they grow by is the share of one step.
_LENGTHS = (2, 3)
_MATRIX_PRODUCTS = {"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"}
# What stands in them runs as often as the data say.
_CONTROL_FLOW = {"Loop", "Scan", "If"}
_TIME = "time"

Shapes = dict[str, tuple[int, ...]]


def graph_products(proto: onnx.ModelProto) -> MultiplyAdds | None:
    """Products of LSTM, Gemm and MatMul nodes for a batch of one, as they stand in the graph.

    An LSTM that is given the same input at each step multiplies it at each step, and so it is counted. None where shapes
    cannot be inferred, or where the graph has loops.
    """
    first, second = (_products(proto, length) for length in _LENGTHS)
    if first is None or second is None:
        return None
    per_step = (second - first) // (_LENGTHS[1] - _LENGTHS[0])
    return MultiplyAdds(per_window=first - _LENGTHS[0] * per_step, per_step=per_step)


def _products(proto: onnx.ModelProto, length: int) -> int | None:
    if any(node.op_type in _CONTROL_FLOW for node in proto.graph.node):
        return None
    shapes = _shapes(proto, length)
    total = 0
    for node in proto.graph.node:
        try:
            total += _node_products(node, shapes)
        except (KeyError, IndexError):
            return None
    return total


def _node_products(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Raises KeyError for a shape that is not known."""
    if node.op_type == "LSTM":
        n_steps, n_rows, _ = shapes[node.input[0]]
        return n_steps * n_rows * (math.prod(shapes[node.input[1]]) + math.prod(shapes[node.input[2]]))
    if node.op_type in _MATRIX_PRODUCTS:
        is_transposed = any(each.name == "transA" and each.i for each in node.attribute)
        return math.prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if is_transposed else -1]
    return 0


def _shapes(proto: onnx.ModelProto, length: int) -> Shapes:
    """Shapes of all values whose every axis is known, for one window of so many steps."""
    sized = onnx.ModelProto()
    sized.CopyFrom(proto)
    for value in sized.graph.input:
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_value = length if axis.dim_param == _TIME else 1
    # Declared axes of the outputs would stand against the sizes that are inferred.
    for value in sized.graph.output:
        value.type.tensor_type.ClearField("shape")
    del sized.graph.value_info[:]
    try:
        sized = onnx.shape_inference.infer_shapes(sized, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        return {}
    values = (*sized.graph.input, *sized.graph.output, *sized.graph.value_info)
    known = {value.name: tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim) for value in values}
    return {name: shape for name, shape in known.items() if all(shape)} | {
        each.name: tuple(each.dims) for each in sized.graph.initializer
    }
