"""An LSTM node that multiplies 8-bit integers: ONNX Runtime's DynamicQuantizeLSTM, one row of the batch at a time."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from offbeat_export.quantised_initializer import NarrowInitializer

CONTRIB_DOMAIN = "com.microsoft"
# Inputs of LSTM.
_X, _W, _R, _B, _LENGTHS, _INITIAL_STATES, _PEEPHOLES = 0, 1, 2, 3, 4, (5, 6), 7
# What the contributed operator has no word for: it is always time first, as 0 says.
_LAYOUT = "layout"
# Where the batch stands in X and the states, and in the outputs Y, Y_h, Y_c.
_INPUT_BATCH_AXIS, _OUTPUT_BATCH_AXES = 1, (2, 1, 1)


def by_row(
    node: onnx.NodeProto, weight: NarrowInitializer, recurrent: NarrowInitializer
) -> tuple[onnx.NodeProto, list[onnx.TensorProto]]:
    """A `Scan` over the rows of the batch in the node's place, and the initializers that it reads.

    DynamicQuantizeLSTM takes one scale for all the numbers it quantises at a step: in a batch, a row with an outlier would
    leave the other rows no bits. Row by row no score depends on its batch-mates, and large layers are still faster than
    float32's.
    """
    sequences = [node.input[_X], *(node.input[index] for index in _INITIAL_STATES if _has_input(node, index))]
    outputs = [(index, name) for index, name in enumerate(node.output) if name]
    scan = helper.make_node(
        "Scan",
        sequences,
        [name for _, name in outputs],
        name=f"{node.name}/Scan",
        num_scan_inputs=len(sequences),
        scan_input_axes=[_INPUT_BATCH_AXIS] * len(sequences),
        scan_output_axes=[_OUTPUT_BATCH_AXES[index] for index, _ in outputs],
        body=_body(node),
    )
    return scan, [*_integers(node, "W", weight), *_integers(node, "R", recurrent), *_axes(node)]


def is_plain(node: onnx.NodeProto) -> bool:
    """Whether the operator knows all that the node asks for: time first, no sequence lengths, no peepholes."""
    is_time_first = all(attribute.i == 0 for attribute in node.attribute if attribute.name == _LAYOUT)
    has_others = _has_input(node, _LENGTHS) or _has_input(node, _PEEPHOLES)
    return is_time_first and not has_others and _has_input(node, _B)


def _body(node: onnx.NodeProto) -> onnx.GraphProto:
    """One row: its inputs get a batch axis of 1, and the outputs lose it."""
    name = node.name
    batched: dict[int, str] = {}
    nodes, inputs, outputs = [], [], []
    for index in (_X, *_INITIAL_STATES):
        if _has_input(node, index):
            row, batched[index] = f"{name}/row.{index}", f"{name}/batch.{index}"
            inputs.append(_float_info(row))
            nodes.append(helper.make_node("Unsqueeze", [row, f"{name}.axis_1"], [batched[index]]))
    results = [f"{name}/result.{index}" if output else "" for index, output in enumerate(node.output)]
    nodes.append(_dynamic_lstm(node, batched, results))
    for index, result in enumerate(results):
        if result:
            axis = f"{name}.axis_{_OUTPUT_BATCH_AXES[index]}"
            nodes.append(helper.make_node("Squeeze", [result, axis], [f"{result}.row"]))
            outputs.append(_float_info(f"{result}.row"))
    return helper.make_graph(nodes, f"{name}/row", inputs, outputs)


def _dynamic_lstm(node: onnx.NodeProto, batched: dict[int, str], results: list[str]) -> onnx.NodeProto:
    name = node.name
    hidden, cell = (batched.get(index, "") for index in _INITIAL_STATES)
    quantisation = [f"{name}.{part}.{field}" for part in ("W", "R") for field in ("scale", "zero_point")]
    integer = helper.make_node(
        "DynamicQuantizeLSTM",
        [batched[_X], f"{name}.W.int8", f"{name}.R.int8", node.input[_B], "", hidden, cell, "", *quantisation],
        results,
        name=f"{name}/DynamicQuantizeLSTM",
        domain=CONTRIB_DOMAIN,
    )
    integer.attribute.extend(attribute for attribute in node.attribute if attribute.name != _LAYOUT)
    return integer


def _integers(node: onnx.NodeProto, part: str, found: NarrowInitializer) -> list[onnx.TensorProto]:
    """Values as [direction, input, 4 · hidden], scale and zero point as [direction, 4 · hidden]."""
    assert found.scale is not None  # noqa: S101  # int8 always has one; for the type checker.
    scale = np.ascontiguousarray(found.scale[:, :, 0])
    transposed = NarrowInitializer(values=found.values.transpose(1, 2), scale=None)
    return [
        transposed.tensor(f"{node.name}.{part}.int8", "int8"),
        numpy_helper.from_array(scale, f"{node.name}.{part}.scale"),
        numpy_helper.from_array(_zeros(scale), f"{node.name}.{part}.zero_point"),
    ]


def _zeros(like: NDArray[np.float32]) -> NDArray[np.int8]:
    return torch.zeros(like.shape, dtype=torch.int8).numpy()


def _axes(node: onnx.NodeProto) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(np.array([axis], np.int64), f"{node.name}.axis_{axis}") for axis in (1, 2)]


def _float_info(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def _has_input(node: onnx.NodeProto, index: int) -> bool:
    return index < len(node.input) and bool(node.input[index])
