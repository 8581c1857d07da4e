"""Readable names for the nodes, values and initializers of a traced graph."""

from __future__ import annotations

import re
from collections.abc import Container

import onnx
import onnx_ir as ir

# Where the model sits inside ScoringModule.
_MODEL_SCOPE = "model"


def rename(model: ir.Model, own_names: Container[str]) -> None:
    """Names nodes by where they stand in the module (`encoder/LSTM`) and initializers by the input they feed.

    Buffers and weights, whose names in the module are `own_names`, keep them without the scorer's prefix (`threshold`,
    `mean`, `output.bias`); the others read `encoder/LSTM.W`. Names of the graph's inputs and outputs are left as they are.
    """
    graph, taken = model.graph, {value.name for value in (*model.graph.inputs, *model.graph.outputs)}
    node_names: set[str | None] = set()
    for node in graph:
        node.name = _free(_node_name(node), node_names)
    for value in list(graph.initializers.values()):
        value.name = _free(_initializer_name(value, own_names), taken)
    for node in graph:
        for index, output in enumerate(node.outputs):
            if not output.is_graph_output():
                suffix = "" if len(node.outputs) == 1 else f".{_formal_name(node, index, is_input=False)}"
                output.name = _free(f"{node.name}{suffix}", taken)


def _node_name(node: ir.Node) -> str:
    """`encoder/LSTM` inside a submodule, `model/Expand` in the model's own forward, `Div` in the scorer's."""
    weight = node.inputs[1].name if node.op_type == "Gemm" and node.inputs[1] is not None else None
    if weight is not None and weight.endswith(".weight"):
        # A Gemm that took in its BatchNorm has lost its scope; its weight still tells it.
        return f"{weight.removeprefix(f'{_MODEL_SCOPE}.').removesuffix('.weight')}/Gemm"
    # The number that a tracer adds to a name that is taken; `_free` counts anew, without gaps.
    parts = [part for part in re.sub(r"(_\d+)+$", "", node.name or node.op_type).split("/") if part]
    # torch repeats the parent in the name of a Sequential's child: encoder/encoder.2/Relu.
    parts = [part for part, child in zip(parts, [*parts[1:], ""], strict=True) if not child.startswith(f"{part}.")]
    return "/".join(parts[1:] if parts[0] == _MODEL_SCOPE and len(parts) > 2 else parts)


def _initializer_name(value: ir.Value, own_names: Container[str]) -> str:
    name = value.name or ""
    if name in own_names:
        return name.removeprefix(f"{_MODEL_SCOPE}.")
    node, index = next(iter(value.uses()))
    return f"{node.name}.{_formal_name(node, index, is_input=True)}"


def _formal_name(node: ir.Node, index: int, *, is_input: bool) -> str:
    """What the ONNX specification calls this input or output of the operator; the last one may repeat."""
    schema = onnx.defs.get_schema(node.op_type)
    formals = schema.inputs if is_input else schema.outputs
    name: str = formals[min(index, len(formals) - 1)].name
    return name if index < len(formals) else f"{name}_{index}"


def _free(name: str, taken: set[str | None]) -> str:
    unique, count = name, 0
    while unique in taken:
        count += 1
        unique = f"{name}_{count}"
    taken.add(unique)
    return unique
