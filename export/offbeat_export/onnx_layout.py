"""Moves transposes to where they are cheap: recurrent layers compute [time, batch, …], windows are [batch, time, …]."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from offbeat_export.onnx_patterns import (
    constant,
    consumer,
    insert_constant,
    insert_node,
    is_constant,
    is_transpose,
    producer,
    replace,
)

_TIME_FIRST = (1, 0, 2)
_ELEMENTWISE = {"Relu", "Sigmoid", "Tanh"}


def repeat_in_place(graph: ir.Graph) -> None:
    """A vector repeated over [batch, time] and then turned to [time, batch] is repeated over [time, batch] at once."""
    for node in list(graph):
        if (found := _repeated_and_turned(node)) is None:
            continue
        vector, n_steps = found
        shape = _repeats(graph, node, n_steps)
        repeated = insert_node(graph, node, "Expand", [_with_axis_in_front(graph, node, vector), shape], label="Repeat")
        replace(node.outputs[0], repeated)


def _repeats(graph: ir.Graph, before: ir.Node, n_steps: ir.Value | int) -> ir.Value:
    """The shape [steps, 1, 1]."""
    if isinstance(n_steps, int):
        return insert_constant(graph, before, np.array([n_steps, 1, 1]))
    one = insert_constant(graph, before, np.array([1]))
    return insert_node(graph, before, "Concat", [n_steps, one, one], label="Repeat_shape", axis=0)


def _repeated_and_turned(node: ir.Node) -> tuple[ir.Value, ir.Value | int] | None:
    """Vector [batch, size] and steps in Transpose(Expand(Unsqueeze(vector, 1), [1, steps, 1])); None where it is not that."""
    expand = producer(node.inputs[0], "Expand") if is_transpose(node, *_TIME_FIRST) else None
    widened = producer(expand.inputs[0], "Unsqueeze") if expand is not None else None
    if expand is None or widened is None or not is_constant(widened.inputs[1], 1):
        return None
    vector, n_steps = widened.inputs[0], _steps(expand.inputs[1])
    return (vector, n_steps) if vector is not None and n_steps is not None else None


def _steps(shape: ir.Value | None) -> ir.Value | int | None:
    """The number of steps in [1, steps, 1], known or computed; None for any other shape."""
    known = constant(shape)
    if known is not None:
        return int(known[1]) if known.size == 3 and known[0] == known[2] == 1 else None
    target = producer(shape, "Concat")
    if target is None or len(target.inputs) != 3:
        return None
    before, n_steps, behind = target.inputs
    return n_steps if is_constant(before, 1) and is_constant(behind, 1) else None


def _with_axis_in_front(graph: ir.Graph, before: ir.Node, vector: ir.Value) -> ir.Value:
    """[1, batch, size]: the state as the LSTM gave it, where the vector was taken from one."""
    taken = producer(vector, "Gather")
    state = taken.inputs[0] if taken is not None and is_constant(taken.inputs[1], -1) else None
    if state is not None and state.shape is not None and len(state.shape) == 3 and state.shape[0] == 1:
        return state
    return insert_node(graph, before, "Unsqueeze", [vector, insert_constant(graph, before, np.array([0]))])


def turn_late(graph: ir.Graph) -> None:
    """The output layer acts on each step by itself, so the fewer values that it gives are turned, not those that it takes."""
    for node in list(graph):
        if not is_transpose(node, *_TIME_FIRST) or producer(node.inputs[0], "Squeeze") is None:
            continue
        behind = _stepwise(node)
        if not behind or not _narrows(behind):
            continue
        last = behind[-1].outputs[0]
        users = [(user.node, user.idx) for user in last.uses()]
        behind[0].replace_input_with(list(behind[0].inputs).index(node.outputs[0]), node.inputs[0])
        turned = ir.node("Transpose", [last], attributes={"perm": _TIME_FIRST}, name=node.name)
        turned.outputs[0].shape, turned.outputs[0].type = last.shape, last.type
        _clear_shapes(behind)
        graph.insert_after(behind[-1], turned)
        for user, index in users:
            user.replace_input_with(index, turned.outputs[0])


def _stepwise(turned: ir.Node) -> list[ir.Node]:
    """The chain of nodes behind a transpose, each read by the next alone, that treat every step by itself."""
    chain: list[ir.Node] = []
    value = turned.outputs[0]
    while (node := consumer(value)) is not None and _acts_on_steps(node, value):
        chain.append(node)
        value = node.outputs[0]
    return [] if value.is_graph_output() else chain


def _acts_on_steps(node: ir.Node, value: ir.Value) -> bool:
    if node.op_type in _ELEMENTWISE:
        return True
    if node.op_type == "MatMul":
        weight = constant(node.inputs[1])
        return node.inputs[0] is value and weight is not None and weight.ndim == 2
    others = [constant(each) for each in node.inputs if each is not value]
    return node.op_type == "Add" and len(others) == 1 and others[0] is not None and others[0].ndim == 1


def _narrows(chain: list[ir.Node]) -> bool:
    weights = [constant(node.inputs[1]) for node in chain if node.op_type == "MatMul"]
    return len(weights) == 1 and weights[0] is not None and weights[0].shape[0] >= weights[0].shape[1]


def _clear_shapes(chain: list[ir.Node]) -> None:
    """Their axes changed places, so what was inferred of them no longer holds."""
    for node in chain:
        node.outputs[0].shape = None
