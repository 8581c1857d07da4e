"""Linear layers that multiply 8-bit integers, in standard ONNX operators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from offbeat_export.quantised_initializer import NarrowInitializer

_LEVELS = 255
# An activation is stored as q + 128 where the range is taken from the row itself.
_MIDDLE, _LARGEST = 128, 127.0
# Rows of zeros need a scale too; no activation that matters is as small.
_SMALLEST_PEAK = 1e-30
# From this opset on, reductions take their axes as an input.
_OPSET_OF_AXES_INPUT = 18


@dataclass(frozen=True, kw_only=True)
class InputRange:
    """The values that a layer's input took in calibration, zero included."""

    lowest: float
    highest: float

    @property
    def scale(self) -> float:
        """The step between two of 256 levels."""
        return max((self.highest - self.lowest) / _LEVELS, _SMALLEST_PEAK)

    @property
    def zero_point(self) -> int:
        """The level that stands for 0."""
        return int(min(max(round(-self.lowest / self.scale), 0), _LEVELS))


class IntegerProduct:
    """Nodes and initializers in the place of a `Gemm` or `MatMul`: x ≈ q · s, so that x · Wᵀ ≈ (q · Wqᵀ) · s · scale.

    With a range, s and the zero point are constants, and what lies beyond the range saturates. Without one, s is the largest
    |value| along the last axis over 127, taken anew for each row and step: no row depends on another.
    `is_supported` says which nodes it can stand for.
    """

    def __init__(self, node: onnx.NodeProto, weight: NarrowInitializer, opset: int, known: InputRange | None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._node, self._opset = node, opset
        rows_are_outputs = node.op_type == "Gemm" and _attribute(node, "transB", 0) == 1
        values = weight.values.T if rows_are_outputs else weight.values
        assert weight.scale is not None  # noqa: S101  # int8 always has one; for the type checker.
        scale = weight.scale.reshape(-1)
        self.initializers.append(NarrowInitializer(values=values, scale=None).tensor(f"{node.name}.B.int8", "int8"))
        product = self._dynamic(scale) if known is None else self._static(scale, known)
        self._finish(product)

    def _dynamic(self, scale: np.ndarray) -> str:
        x, name = self._node.input[0], self._node.name
        highest = self._reduce("ReduceMax", x)
        lowest = self._reduce("ReduceMin", x)
        self._constant("smallest", np.float32(_SMALLEST_PEAK))
        negative = self._add("Neg", [lowest])
        peak = self._add("Max", [highest, negative, f"{name}.smallest"])
        self._constant("levels", np.float32(_LARGEST))
        inverse = self._add("Div", [f"{name}.levels", peak])
        steps = self._add("Mul", [x, inverse], "scaled")
        accumulated = self._multiply(steps, np.float32(1), _MIDDLE)
        self._constant("scale", (scale / np.float32(_LARGEST)).astype(np.float32))
        unscaled = self._add("Mul", [accumulated, f"{name}.scale"], "rescaled")
        return self._add("Mul", [unscaled, peak], "product")

    def _static(self, scale: np.ndarray, known: InputRange) -> str:
        step = np.float32(known.scale)
        accumulated = self._multiply(self._node.input[0], step, known.zero_point)
        self._constant("scale", (scale * step).astype(np.float32))
        return self._add("Mul", [accumulated, f"{self._node.name}.scale"], "product")

    def _multiply(self, steps: str, step: np.float32, zero_point: int) -> str:
        """Quantises, multiplies integers, and gives the sums as float32."""
        name = self._node.name
        self._constant("step", step)
        self._constant("zero_point", np.uint8(zero_point))
        integers = self._add("QuantizeLinear", [steps, f"{name}.step", f"{name}.zero_point"])
        sums = self._add("MatMulInteger", [integers, f"{name}.B.int8", f"{name}.zero_point"])
        return self._add("Cast", [sums], to=TensorProto.FLOAT)

    def _finish(self, product: str) -> None:
        """Adds the bias, where there is one, and gives the result the node's own name."""
        node = self._node
        if len(node.input) > 2 and node.input[2]:
            self.nodes.append(
                helper.make_node("Add", [product, node.input[2]], list(node.output), name=f"{node.name}/Add")
            )
        else:
            self.nodes[-1].output[0] = node.output[0]

    def _reduce(self, op_type: str, x: str) -> str:
        if self._opset < _OPSET_OF_AXES_INPUT:
            return self._add(op_type, [x], axes=[-1], keepdims=1)
        self._constant("last_axis", np.array([-1], np.int64))
        return self._add(op_type, [x, f"{self._node.name}.last_axis"], keepdims=1)

    def _add(self, op_type: str, inputs: list[str], label: str = "", **attributes: object) -> str:
        output = f"{self._node.name}/{label or op_type}"
        self.nodes.append(helper.make_node(op_type, inputs, [output], name=output, **attributes))
        return output

    def _constant(self, label: str, value: np.ndarray | np.generic) -> None:
        name = f"{self._node.name}.{label}"
        if all(each.name != name for each in self.initializers):
            self.initializers.append(numpy_helper.from_array(np.asarray(value), name))


def is_supported(node: onnx.NodeProto, weight: NarrowInitializer) -> bool:
    """Whether the node is a plain product with a matrix that has one scale for each of its outputs."""
    if node.op_type == "Gemm":
        plain = _attribute(node, "alpha", 1.0) == _attribute(node, "beta", 1.0) == 1.0 and not _attribute(
            node, "transA", 0
        )
        output_axis = 0 if _attribute(node, "transB", 0) else 1
    else:
        plain, output_axis = node.op_type == "MatMul", 1
    shape = weight.values.shape
    if not plain or len(shape) != 2 or weight.scale is None:
        return False
    one_for_each_output = (shape[0], 1) if output_axis == 0 else (1, shape[1])
    return bool(weight.scale.shape == one_for_each_output)


def _attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    for attribute in node.attribute:
        if attribute.name == name:
            return float(helper.get_attribute_value(attribute))
    return default
