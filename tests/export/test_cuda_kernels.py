"""That a GPU computes the whole graph: ONNX Runtime moves what CUDA has no kernel for to the CPU, with a copy each way.

A copy is slow, and a graph with one cannot be captured. `cuda_kernels_1.31.json` is what onnxruntime-gpu 1.31.1 registers for CUDA,
from its `get_all_opkernel_def()`: by operator the first and last version, and the types of each type constraint, as far as they are
types of these graphs. That the build itself places these graphs as this test says was seen with it, without a GPU.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

from offbeat.backends.onnx_outputs import keep_outputs
from offbeat.result import DEFAULT_OUTPUTS
from offbeat_export.onnx_export import export_onnx
from tests.export.checkpoints import CHECKPOINTS
from tests.export.scorers import scorer_of

KERNELS = json.loads(Path(__file__).with_name("cuda_kernels_1.31.json").read_text())
TYPE_NAMES = {onnx.TensorProto.FLOAT: "float", onnx.TensorProto.BOOL: "bool", onnx.TensorProto.INT64: "int64"}


def element_types(model: onnx.ModelProto) -> dict[str, str]:
    """The type of every value."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    found = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        found[value.name] = value.type.tensor_type.elem_type
    return {name: TYPE_NAMES.get(number, str(number)) for name, number in found.items()}


def constrained(node: onnx.NodeProto, opset: int, types: dict[str, str]) -> dict[str, str]:
    """The type that a node gives to each type constraint of its operator."""
    schema = onnx.defs.get_schema(node.op_type, opset)
    pairs = [*zip(schema.inputs, node.input, strict=False), *zip(schema.outputs, node.output, strict=False)]
    return {parameter.type_str: types[name] for parameter, name in pairs if name}


def has_kernel(node: onnx.NodeProto, opset: int, types: dict[str, str]) -> bool:
    version = onnx.defs.get_schema(node.op_type, opset).since_version
    wanted = constrained(node, opset, types)
    return any(
        first <= version <= (last or version)
        and all(wanted.get(name, allowed[0]) in allowed for name, allowed in rules.items())
        for first, last, rules in KERNELS.get(node.op_type, ())
    )


def copies(content: bytes) -> Iterator[str]:
    """What would go over the CPU, or from it to the GPU: operators without a kernel, and numbers made of a shape, which the CPU knows."""
    model = onnx.load_from_string(content)
    (opset,) = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    types, constants = element_types(model), {tensor.name for tensor in model.graph.initializer}
    on_cpu: set[str] = set()
    for node in model.graph.node:
        if not has_kernel(node, opset, types):
            yield f"{node.op_type} {constrained(node, opset, types)}"
        needs = {name for name in node.input if name} - constants
        if node.op_type == "Constant":
            constants |= set(node.output)
        # ConstantOfShape reads its shape on the CPU and fills memory of the GPU.
        elif node.op_type == "Shape" or (needs and needs <= on_cpu and node.op_type != "ConstantOfShape"):
            on_cpu |= set(node.output)
            yield from (f"{node.op_type} of a shape" for name in node.output if types[name] != "int64")


@pytest.mark.parametrize("make", CHECKPOINTS.values(), ids=CHECKPOINTS.keys())
def test_what_a_service_asks_for_is_computed_on_the_gpu_alone(make: Any) -> None:
    module, manifest = scorer_of(make())
    assert not list(copies(keep_outputs(export_onnx(module, manifest), DEFAULT_OUTPUTS)))


def test_the_number_of_steps_that_another_output_divides_by_is_copied() -> None:
    module, manifest = scorer_of(CHECKPOINTS["state"]())
    assert list(copies(export_onnx(module, manifest))) == ["Cast of a shape"]


def test_an_operator_without_a_kernel_is_found() -> None:
    window = onnx.helper.make_tensor_value_info("window", onnx.TensorProto.FLOAT, ["batch", 2, 2])
    found = onnx.helper.make_tensor_value_info("found", onnx.TensorProto.FLOAT, ["batch"])
    node = onnx.helper.make_node("Det", ["window"], ["found"])
    graph = onnx.helper.make_graph([node], "graph", [window], [found])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    assert list(copies(model.SerializeToString())) == ["Det {'T': 'float'}"]
