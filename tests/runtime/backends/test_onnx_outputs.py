from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from offbeat.backends.onnx_outputs import keep_outputs
from offbeat.errors import BundleError
from offbeat.result import DEFAULT_OUTPUTS
from tests.runtime import folders


def test_the_outputs_kept_are_the_same_and_nothing_else_is_computed() -> None:
    content = keep_outputs(folders.onnx_bytes(), DEFAULT_OUTPUTS)
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert [output.name for output in model.graph.output] == list(DEFAULT_OUTPUTS)
    # No Shape, no Cast of it: what would be computed on the CPU, and copied to the device, is gone.
    assert {node.op_type for node in model.graph.node} == {"Sub", "Div", "Mul", "ReduceMean", "Clip", "Greater"}
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    windows = folders.random_windows(5)
    expected = folders.expected_outputs(windows)
    for name, got in zip(DEFAULT_OUTPUTS, session.run(None, {"window": windows}), strict=True):
        np.testing.assert_allclose(got, expected[name], rtol=1e-5)


def test_all_outputs_kept_are_the_same_bytes() -> None:
    assert keep_outputs(folders.onnx_bytes(), folders.OUTPUTS) == folders.onnx_bytes()


def test_a_model_with_subgraphs_is_left_alone() -> None:
    branch = helper.make_graph(
        [helper.make_node("Neg", ["window"], ["branch"])],
        "branch",
        [],
        [helper.make_tensor_value_info("branch", TensorProto.FLOAT, ["batch"])],
    )
    nodes = [helper.make_node("If", ["condition"], ["either"], then_branch=branch, else_branch=branch)]
    inputs = [
        helper.make_tensor_value_info("window", TensorProto.FLOAT, ["batch"]),
        helper.make_tensor_value_info("condition", TensorProto.BOOL, []),
    ]
    outputs = [helper.make_tensor_value_info("either", TensorProto.FLOAT, ["batch"])]
    content = helper.make_model(helper.make_graph(nodes, "scorer", inputs, outputs)).SerializeToString()
    assert keep_outputs(content, ("other",)) == content


@pytest.mark.parametrize("content", [folders.onnx_bytes()[:-1], b"\xff", b"\x0b", b"\x3a\x05\x0a", b"\x80" * 11])
def test_bytes_that_are_no_onnx_file_are_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="of an ONNX file"):
        keep_outputs(content, DEFAULT_OUTPUTS)
