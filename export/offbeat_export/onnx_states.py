"""The states of recurrent layers in a traced graph: from layer to layer without detours, and none where they are zero."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from offbeat_export.onnx_patterns import (
    constant,
    insert_constant,
    insert_node,
    is_constant,
    is_transpose,
    producer,
    replace,
)

_INITIAL_STATES = (5, 6)
# Operators that only rearrange, so that zeros stay zeros.
_REARRANGING = {"Expand", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}


def hand_over_states(graph: ir.Graph) -> None:
    """torch stacks the states of all layers, and each layer takes its own out again: Slice(Concat(…), i, i + 1) is its part.

    So is the last of them, Gather(Concat(…), −1), where it is a single state.
    """
    for node in graph:
        if node.op_type == "LSTM":
            for index in _INITIAL_STATES:
                if index < len(node.inputs) and (part := _stacked_part(node.inputs[index])) is not None:
                    node.replace_input_with(index, part)
        elif node.op_type == "Gather" and is_constant(node.inputs[1], -1) and (last := _last_part(node)) is not None:
            node.replace_input_with(0, last)


def drop_zero_states(graph: ir.Graph) -> None:
    """An LSTM starts from zeros where no initial state is given, so states that are zero need not be computed."""
    for node in graph:
        if node.op_type == "LSTM":
            for index in _INITIAL_STATES:
                if index < len(node.inputs) and _is_zero(node.inputs[index]):
                    node.replace_input_with(index, None)


def join_directions(graph: ir.Graph) -> None:
    """An LSTM gives [time, direction, batch, size]; the newer exporter computes the shape that joins direction and size.

    With one direction its axis is left out instead; with two, the shape is written down: [as it is, as it is, the rest].
    """
    for node in graph:
        turned = producer(node.inputs[0], "Transpose") if node.op_type == "Reshape" else None
        if turned is None or not is_transpose(turned, 0, 2, 1, 3) or producer(turned.inputs[0], "LSTM") is None:
            continue
        if not _joins_the_last_axes(node):
            continue
        if _n_directions(turned.inputs[0]) == 2:
            node.replace_input_with(1, insert_constant(graph, node, np.array([0, 0, -1])))
        else:
            axes = insert_constant(graph, node, np.array([1]))
            replace(node.outputs[0], insert_node(graph, node, "Squeeze", [turned.inputs[0], axes]))


def _joins_the_last_axes(reshape: ir.Node) -> bool:
    """Whether the shape is computed as the first axis, the second, and a third number, which can only be the rest."""
    target = producer(reshape.inputs[1], "Concat")
    if target is None or len(target.inputs) != 3:
        return False
    return all(_is_axis(part, reshape.inputs[0], index) for index, part in enumerate(target.inputs[:2]))


def _is_axis(size: ir.Value | None, of: ir.Value | None, index: int) -> bool:
    taken = producer(size, "Slice")
    if taken is None or not is_constant(taken.inputs[1], index):
        return False
    measured = producer(taken.inputs[0], "Shape")
    return measured is not None and measured.inputs[0] is of


def _n_directions(value: ir.Value | None) -> int:
    node = producer(value, "LSTM")
    direction = node.attributes.get("direction") if node is not None else None
    return 2 if direction is not None and direction.as_string() == "bidirectional" else 1


def _stacked_part(value: ir.Value | None) -> ir.Value | None:
    """The one part of a Concat of single states that a Slice along the first axis takes; None where it is not that."""
    sliced = producer(value, "Slice")
    parts = _single_states(sliced.inputs[0]) if sliced is not None else None
    if sliced is None or parts is None:
        return None
    start, end = constant(sliced.inputs[1]), constant(sliced.inputs[2])
    if start is None or end is None or not is_constant(sliced.inputs[3], 0) or int(end.item()) - int(start.item()) != 1:
        return None
    return parts[int(start.item())]


def _last_part(gather: ir.Node) -> ir.Value | None:
    parts = _single_states(gather.inputs[0])
    axis = gather.attributes.get("axis")
    return parts[-1] if parts is not None and (axis is None or axis.as_int() == 0) else None


def _single_states(value: ir.Value | None) -> list[ir.Value | None] | None:
    """The parts of a Concat along the first axis, where each has one entry there."""
    stacked = producer(value, "Concat")
    if stacked is None or stacked.attributes["axis"].as_int() != 0:
        return None
    parts = list(stacked.inputs)
    return None if any(part is None or part.shape is None or part.shape[0] != 1 for part in parts) else parts


def _is_zero(value: ir.Value | None) -> bool:
    """Whether the value is zeros, rearranged at most."""
    if value is None:
        return False
    if is_constant(value, 0):
        return True
    made_by = value.producer()
    if made_by is None:
        return False
    if made_by.op_type == "ConstantOfShape":
        fill = made_by.attributes.get("value")
        return fill is None or not np.any(fill.as_tensor().numpy())
    return made_by.op_type in _REARRANGING and _is_zero(made_by.inputs[0])
