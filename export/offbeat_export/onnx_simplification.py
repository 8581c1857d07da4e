"""Takes out of a traced graph what tracing put in: zero initial states, shape arithmetic, folded constants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import common
from onnxscript import optimizer

from offbeat_export.onnx_check import THRESHOLD

_INITIAL_STATES = (5, 6)
# Operators that only rearrange, so that zeros stay zeros.
_REARRANGING = {"Expand", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}


def simplify(model: ir.Model) -> None:
    """Rewrites the graph in place into an equivalent smaller one of the same opset; every output keeps its meaning."""
    with _kept_apart(model.graph, THRESHOLD):
        _fold(model)
        _hand_over_states(model.graph)
        _drop_zero_states(model.graph)
        _simplify_expands(model.graph)
        _fold_static_sizes(model.graph)
        _fold(model)
    common.ClearMetadataAndDocStringPass()(model)


@contextmanager
def _kept_apart(graph: ir.Graph, name: str) -> Iterator[None]:
    """Makes an initializer an input for a while: nothing can fold it, or merge it with a constant that equals it."""
    value = graph.initializers.pop(name)
    graph.inputs.append(value)
    content, value.const_value = value.const_value, None
    yield
    graph.inputs.remove(value)
    value.const_value = content
    graph.initializers[name] = value


def _fold(model: ir.Model) -> None:
    optimizer.optimize_ir(
        model, num_iterations=8, should_fold=lambda node: True if node.op_type == "ConstantOfShape" else None
    )


def _hand_over_states(graph: ir.Graph) -> None:
    """torch stacks the states of all layers, and each layer takes its own out again: Slice(Concat(…), i, i + 1) is its part."""
    for node in graph:
        if node.op_type == "LSTM":
            for index in _INITIAL_STATES:
                if index < len(node.inputs) and (part := _stacked_part(node.inputs[index])) is not None:
                    node.replace_input_with(index, part)


def _stacked_part(value: ir.Value | None) -> ir.Value | None:
    """The one part of a Concat of single states that a Slice along the first axis takes; None where it is not that."""
    sliced = _producer(value, "Slice")
    stacked = _producer(sliced.inputs[0], "Concat") if sliced is not None else None
    if sliced is None or stacked is None or stacked.attributes["axis"].as_int() != 0:
        return None
    if any(part is None or part.shape is None or part.shape[0] != 1 for part in stacked.inputs):
        return None
    start, end = _constant(sliced.inputs[1]), _constant(sliced.inputs[2])
    if (
        start is None
        or end is None
        or not _is_constant(sliced.inputs[3], 0)
        or int(end.item()) - int(start.item()) != 1
    ):
        return None
    return stacked.inputs[int(start.item())]


def _drop_zero_states(graph: ir.Graph) -> None:
    """An LSTM starts from zeros where no initial state is given, so states that are zero need not be computed."""
    for node in graph:
        if node.op_type == "LSTM":
            for index in _INITIAL_STATES:
                if index < len(node.inputs) and _is_zero(node.inputs[index]):
                    node.replace_input_with(index, None)


def _is_zero(value: ir.Value | None) -> bool:
    """Whether the value is zeros, rearranged at most; constants of a known shape have been folded before."""
    producer = value.producer() if value is not None else None
    if producer is None or value is None:
        return False
    if producer.op_type == "ConstantOfShape":
        fill = producer.attributes.get("value")
        return fill is None or not np.any(fill.as_tensor().numpy())
    return producer.op_type in _REARRANGING and _is_zero(producer.inputs[0])


def _fold_static_sizes(graph: ir.Graph) -> None:
    """Replaces Gather(Shape(x), i) by a constant where axis i of x has a known size, as the feature axis has."""
    for node in graph:
        if node.op_type != "Gather" or (size := _static_size(node)) is None:
            continue
        constant = ir.node("Constant", [], attributes={"value": ir.tensor(np.int64(size))})
        graph.insert_before(node, constant)
        ir.convenience.replace_all_uses_with(node.outputs[0], constant.outputs[0])


def _static_size(gather: ir.Node) -> int | None:
    source, index = _producer(gather.inputs[0], "Shape"), _constant(gather.inputs[1])
    measured = source.inputs[0] if source is not None else None
    if measured is None or measured.shape is None or index is None or index.ndim != 0:
        return None
    size = measured.shape[int(index)]
    return size if isinstance(size, int) else None


def _simplify_expands(graph: ir.Graph) -> None:
    """Tensor.expand's −1 (keep this axis) is traced as Where(target = −1, 1, target); Expand keeps an axis given 1."""
    for node in graph:
        if node.op_type == "Expand" and (parts := _kept_axes(node)) is not None:
            pieces = [_ones_for_kept(graph, node, part) for part in parts]
            target = ir.node("Concat", pieces, attributes={"axis": 0}, name=f"{node.name}_shape")
            graph.insert_before(node, target)
            node.replace_input_with(1, target.outputs[0])


def _kept_axes(expand: ir.Node) -> list[ir.Value] | None:
    """The parts of the target's Concat where the pattern is there and every part is −1s or a size; else None."""
    where = _producer(expand.inputs[1], "Where")
    equal = _producer(where.inputs[0], "Equal") if where is not None else None
    if where is None or equal is None or not _is_constant(where.inputs[1], 1):
        return None
    target, marker = equal.inputs
    reshape = _producer(target, "Reshape")
    concat = _producer(reshape.inputs[0] if reshape is not None else target, "Concat")
    if concat is None or where.inputs[2] is not target or not _is_constant(marker, -1):
        return None
    parts = [part for part in concat.inputs if part is not None]
    return parts if all(_is_constant(part, -1) or _is_size(part) for part in parts) else None


def _ones_for_kept(graph: ir.Graph, before: ir.Node, part: ir.Value) -> ir.Value:
    kept = _constant(part)
    if kept is None:
        return part
    ones = ir.node("Constant", [], attributes={"value": ir.tensor(np.ones_like(kept))})
    graph.insert_before(before, ones)
    return ones.outputs[0]


def _producer(value: ir.Value | None, op_type: str) -> ir.Node | None:
    node = value.producer() if value is not None else None
    return node if node is not None and node.op_type == op_type else None


def _constant(value: ir.Value | None) -> NDArray[np.generic] | None:
    return None if value is None or value.const_value is None else value.const_value.numpy()


def _is_constant(value: ir.Value | None, fill: int) -> bool:
    constant = _constant(value)
    return constant is not None and bool(np.all(constant == fill))


def _is_size(value: ir.Value | None) -> bool:
    """Whether the value is read from a shape, so that it cannot be −1."""
    node = value.producer() if value is not None else None
    if node is None:
        return False
    return node.op_type == "Shape" or (node.op_type in ("Gather", "Unsqueeze") and _is_size(node.inputs[0]))
