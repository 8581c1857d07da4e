"""Looks a graph over for what an exporter may have left in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from offbeat_export.onnx_check import THRESHOLD

# Operators that run a subgraph step by step, where a recurrent layer should be one LSTM node.
_LOOPS = ("Loop", "Scan", "If")


@dataclass(frozen=True, kw_only=True)
class GraphInspection:
    """`findings` is a sentence for each defect, empty for a clean graph."""

    opset: int
    n_nodes: int
    n_lstm_nodes: int
    findings: tuple[str, ...]


def inspect_graph(proto: onnx.ModelProto, n_lstm_layers: int, traced: Mapping[str, int]) -> GraphInspection:
    """Counts nodes and finds defects: LSTM layers that are no LSTM nodes, loops, baked sizes, names that dangle.

    `traced` are the sizes that the graph was traced with, by axis; they must be sizes that nothing else in the model has,
    so that a number equal to one of them is a size that tracing left behind.
    """
    n_lstm_nodes = sum(node.op_type == "LSTM" for node in proto.graph.node)
    findings = [*_loops(proto.graph), *_baked_sizes(proto.graph, traced), *_dangling_names(proto.graph)]
    if n_lstm_nodes != n_lstm_layers:
        findings.insert(0, f"{n_lstm_nodes} LSTM nodes for {n_lstm_layers} LSTM layers")
    return GraphInspection(
        opset=next((each.version for each in proto.opset_import if each.domain in ("", "ai.onnx")), 0),
        n_nodes=len(proto.graph.node),
        n_lstm_nodes=n_lstm_nodes,
        findings=tuple(findings),
    )


def _loops(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        if node.op_type in _LOOPS:
            yield f"{node.op_type} node {node.name}"


def _baked_sizes(graph: onnx.GraphProto, traced: Mapping[str, int]) -> Iterator[str]:
    """Numbers that sizes are made of, and inferred shapes, that hold a traced size."""
    for axis, size in traced.items():
        for name, content in _sizes(graph):
            if np.any(content == size):
                yield f"{name} holds {size}, the traced {axis}"
        for value in (*graph.value_info, *graph.output):
            if any(each.dim_value == size for each in value.type.tensor_type.shape.dim):
                yield f"{value.name} has an axis of {size}, the traced {axis}"


def _sizes(graph: onnx.GraphProto) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Integers, and lone floats other than the threshold, in initializers and attributes: a mean divides by its size."""
    for initializer in graph.initializer:
        is_integer = initializer.data_type in (onnx.TensorProto.INT64, onnx.TensorProto.INT32)
        if initializer.name != THRESHOLD and (is_integer or not initializer.dims):
            yield initializer.name, onnx.numpy_helper.to_array(initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type in (onnx.AttributeProto.INT, onnx.AttributeProto.INTS):
                yield f"{node.name}.{attribute.name}", np.array([attribute.i, *attribute.ints])
            elif attribute.type == onnx.AttributeProto.TENSOR:
                yield f"{node.name}.{attribute.name}", onnx.numpy_helper.to_array(attribute.t)


def _dangling_names(graph: onnx.GraphProto) -> Iterator[str]:
    read = {name for node in graph.node for name in node.input if name} | {each.name for each in graph.output}
    made = {name for node in graph.node for name in node.output if name}
    held = {each.name for each in graph.initializer}
    yield from (f"{name} is read and nothing gives it" for name in sorted(read - made - held - _names(graph.input)))
    yield from (f"{name} is held and nothing reads it" for name in sorted((held | _names(graph.input)) - read))
    for node in graph.node:
        if not read & set(node.output):
            yield f"nothing reads what {node.op_type} node {node.name} gives"


def _names(values: list[onnx.ValueInfoProto]) -> set[str]:
    return {value.name for value in values}
