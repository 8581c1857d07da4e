"""What the rewrites of a traced graph look for: who made a value, and what it is known to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray


def producer(value: ir.Value | None, op_type: str) -> ir.Node | None:
    """The node that gives the value, where it is of that operator."""
    node = value.producer() if value is not None else None
    return node if node is not None and node.op_type == op_type else None


def consumer(value: ir.Value) -> ir.Node | None:
    """The only node that reads the value; None where there are several, or where it is an output of the graph."""
    users = value.consumers()
    return users[0] if len(users) == 1 and not value.is_graph_output() else None


def constant(value: ir.Value | None) -> NDArray[np.generic] | None:
    """The value's content where the graph holds it."""
    return None if value is None or value.const_value is None else value.const_value.numpy()


def is_constant(value: ir.Value | None, fill: int) -> bool:
    """Whether the graph holds the value and every element of it is `fill`."""
    content = constant(value)
    return content is not None and bool(np.all(content == fill))


def is_transpose(node: ir.Node | None, *permutation: int) -> bool:
    """Whether the node rearranges axes in exactly this way."""
    return node is not None and node.op_type == "Transpose" and node.attributes["perm"].as_ints() == permutation


def insert_constant(graph: ir.Graph, node: ir.Node, content: NDArray[np.generic] | np.generic) -> ir.Value:
    """Adds a constant before a node and returns it."""
    made = ir.node("Constant", [], attributes={"value": ir.tensor(content)})
    graph.insert_before(node, made)
    made.outputs[0].const_value = ir.tensor(content)
    return made.outputs[0]


def insert_node(
    graph: ir.Graph,
    before: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    *,
    label: str | None = None,
    **attributes: Any,
) -> ir.Value:
    """Adds a node of one output, called by `label` or its operator in the scope of the node behind it; returns the output."""
    name = f"{(before.name or '').rpartition('/')[0]}/{label or op_type}"
    made = ir.node(op_type, inputs, attributes=attributes, name=name)
    graph.insert_before(before, made)
    return made.outputs[0]


def replace(value: ir.Value, replacement: ir.Value) -> None:
    """Has everything that reads a value read another of the same meaning."""
    replacement.shape = value.shape
    if value.type is not None:
        replacement.type = value.type
    ir.convenience.replace_all_uses_with(value, replacement)
