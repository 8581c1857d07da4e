"""Takes out of a traced graph what tracing put in: zero initial states, shape arithmetic, folded constants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript import optimizer

from offbeat_export.onnx_check import THRESHOLD
from offbeat_export.onnx_layout import repeat_in_place, turn_late
from offbeat_export.onnx_patterns import constant, insert_constant, is_constant, producer
from offbeat_export.onnx_reduction import correct_means
from offbeat_export.onnx_states import drop_zero_states, hand_over_states, join_directions
from offbeat_export.onnx_zero_input import narrow_zero_inputs

# The newer exporter brings an LSTM's weights into ONNX's order of gates by nodes; weights of any size are to be folded.
_MAX_FOLDED_BYTES = 2**31
# Means over fewer steps than these are exact enough as they are.
_LONG = 1024


def simplify(model: ir.Model, n_steps: int = 0) -> None:
    """Rewrites the graph in place into an equivalent smaller one of the same opset; every output keeps its meaning.

    `n_steps` are the most that parity is measured with; means over many are made exact, by a few nodes more.
    """
    with _kept_apart(model.graph, THRESHOLD):
        _fold(model)
        hand_over_states(model.graph)
        drop_zero_states(model.graph)
        join_directions(model.graph)
        _simplify_expands(model.graph)
        _fold_static_sizes(model.graph)
        _fold(model)
        _square(model.graph)
        narrow_zero_inputs(model.graph)
        repeat_in_place(model.graph)
        turn_late(model.graph)
        _fold(model)
        if n_steps >= _LONG:
            correct_means(model.graph)
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
        model,
        num_iterations=8,
        input_size_limit=_MAX_FOLDED_BYTES,
        output_size_limit=_MAX_FOLDED_BYTES,
        should_fold=lambda node: True if node.op_type == "ConstantOfShape" else None,
    )


def _fold_static_sizes(graph: ir.Graph) -> None:
    """Replaces Gather(Shape(x), i) by a constant where axis i of x has a known size, as the feature axis has."""
    for node in graph:
        if node.op_type != "Gather" or (size := _static_size(node)) is None:
            continue
        ir.convenience.replace_all_uses_with(node.outputs[0], insert_constant(graph, node, np.int64(size)))


def _static_size(gather: ir.Node) -> int | None:
    source, index = producer(gather.inputs[0], "Shape"), constant(gather.inputs[1])
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
    where = producer(expand.inputs[1], "Where")
    equal = producer(where.inputs[0], "Equal") if where is not None else None
    if where is None or equal is None or not is_constant(where.inputs[1], 1):
        return None
    target, marker = equal.inputs
    reshape = producer(target, "Reshape")
    concat = producer(reshape.inputs[0] if reshape is not None else target, "Concat")
    if concat is None or where.inputs[2] is not target or not is_constant(marker, -1):
        return None
    parts = [part for part in concat.inputs if part is not None]
    return parts if all(is_constant(part, -1) or _is_size(part) for part in parts) else None


def _ones_for_kept(graph: ir.Graph, before: ir.Node, part: ir.Value) -> ir.Value:
    kept = constant(part)
    return part if kept is None else insert_constant(graph, before, np.ones_like(kept))


def _square(graph: ir.Graph) -> None:
    """Pow(x, 2) takes ONNX Runtime two to three hundredths of a whole small model longer than Mul(x, x)."""
    for node in graph:
        if node.op_type == "Pow" and is_constant(node.inputs[1], 2):
            node.op_type, node.name = "Mul", f"{(node.name or '').rpartition('/')[0]}/Mul"
            node.replace_input_with(1, node.inputs[0])


def _is_size(value: ir.Value | None) -> bool:
    """Whether the value is read from a shape, so that it cannot be −1."""
    node = value.producer() if value is not None else None
    if node is None:
        return False
    return node.op_type == "Shape" or (node.op_type in ("Gather", "Unsqueeze") and _is_size(node.inputs[0]))
