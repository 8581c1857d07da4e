"""An LSTM that is fed with zeros: its input product vanishes, so one column of zeros does for all of them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from offbeat_export.onnx_patterns import constant, insert_constant, insert_node, is_constant, is_transpose, producer

_INPUT, _WEIGHT = 0, 1


def narrow_zero_inputs(graph: ir.Graph) -> None:
    """Feeds LSTM nodes whose input is zeros [time, batch, size] with [time, batch, 1], and keeps one column of the weight.

    Zero times any weight is zero, so the outcome is the same to the last bit.
    """
    for node in list(graph):
        weight = constant(node.inputs[_WEIGHT]) if node.op_type == "LSTM" else None
        window = _shaped_like(node.inputs[_INPUT]) if weight is not None else None
        if weight is None or window is None or weight.shape[2] == 1:
            continue
        sizes = [insert_node(graph, node, "Shape", [window], start=axis, end=axis + 1) for axis in (1, 0)]
        shape = insert_node(graph, node, "Concat", [*sizes, insert_constant(graph, node, np.array([1]))], axis=0)
        fill = ir.tensor(np.zeros(1, np.float32))
        zeros = insert_node(graph, node, "ConstantOfShape", [shape], label="Zeros", value=fill)
        node.replace_input_with(_INPUT, zeros)
        node.replace_input_with(_WEIGHT, insert_constant(graph, node, np.ascontiguousarray(weight[:, :, :1])))


def _shaped_like(value: ir.Value | None) -> ir.Value | None:
    """The value [batch, time, size] whose shape the zeros have, turned to [time, batch, size]; None where it is not that."""
    turned = producer(value, "Transpose")
    if turned is None or not is_transpose(turned, 1, 0, 2):
        return None
    filled, expanded = producer(turned.inputs[0], "ConstantOfShape"), producer(turned.inputs[0], "Expand")
    if filled is not None:
        content = filled.attributes.get("value")
        shape = filled.inputs[0] if content is None or not np.any(content.as_tensor().numpy()) else None
    else:
        shape = expanded.inputs[1] if expanded is not None and is_constant(expanded.inputs[0], 0) else None
    measured = producer(shape, "Shape")
    return measured.inputs[0] if measured is not None else None
