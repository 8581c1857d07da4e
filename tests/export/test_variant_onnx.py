from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import pytest

from offbeat.bundle import Manifest
from offbeat.bundle.precision_record import WeightPrecision
from offbeat.result import FloatArray
from offbeat_export.eager import evaluate
from offbeat_export.onnx_check import check_onnx
from offbeat_export.onnx_export import export_onnx
from offbeat_export.quantised_graph import integer_graph, linear_inputs
from offbeat_export.quantised_ranges import input_ranges
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.variant_onnx import store_weights
from offbeat_export.variant_weights import QuantisedWeights, quantise_weights, with_weights
from tests.export.checkpoints import CHECKPOINTS, LENGTH
from tests.export.scorers import run_onnx, scorer_of

# int8 on all; 16 bits on one of each kind of layer and of folding.
_SIXTEEN_BITS_TRIED = ("lstm, 5 features, 2 layers", "flexible, bidirectional", "table, 5 features", "variational")
_CASES = [(name, "int8") for name in CHECKPOINTS] + [
    (name, bits) for name in _SIXTEEN_BITS_TRIED for bits in ("fp16", "bf16")
]


@cache
def _rounded(make, precision: WeightPrecision) -> tuple[ScoringModule, Manifest, QuantisedWeights, onnx.ModelProto]:
    module, manifest = scorer_of(make())
    weights = quantise_weights(module, manifest, precision)
    rounded = with_weights(module, weights)
    return rounded, manifest, weights, onnx.load_from_string(export_onnx(rounded, manifest))


def _windows(manifest: Manifest, n: int = 6, scale: float = 3.0) -> FloatArray:
    shape = (n, *(size if isinstance(size, int) else LENGTH for size in manifest.window_shape[1:]))
    values = np.random.default_rng(0).standard_normal(shape) * scale
    return np.asarray(np.array(manifest.normalisation.mean) + values, np.float32)


@pytest.mark.parametrize(("name", "precision"), _CASES)
def test_narrow_weights_in_the_file_compute_what_eager_computes_with_them(
    name: str, precision: WeightPrecision
) -> None:
    module, manifest, weights, proto = _rounded(CHECKPOINTS[name], precision)
    stored = store_weights(proto, precision, weights.values())
    check_onnx(stored, manifest)
    window = _windows(manifest)
    eager, seen = evaluate(module, window, manifest.output_names), run_onnx(stored.SerializeToString(), window)
    for output in manifest.output_names:
        np.testing.assert_allclose(seen[output], eager[output], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
@pytest.mark.parametrize("name", ["lstm, 5 features, 2 layers", "table, 5 features"])
def test_every_weight_that_gets_smaller_is_stored_so(name: str, precision: WeightPrecision) -> None:
    _, _, weights, proto = _rounded(CHECKPOINTS[name], precision)
    stored = store_weights(proto, precision, weights.values())
    wide = {each.name for each in stored.graph.initializer if each.data_type == onnx.TensorProto.FLOAT}
    read = {name for node in stored.graph.node if node.op_type in ("LSTM", "MatMul", "Gemm") for name in node.input[1:]}
    left = [name for name in wide & read if len(_dims(stored, name)) == 2 and min(_dims(stored, name)) > 4]
    assert left == []


def _dims(proto: onnx.ModelProto, name: str) -> list[int]:
    return next(list(each.dims) for each in proto.graph.initializer if each.name == name)


@pytest.mark.parametrize("make", CHECKPOINTS.values(), ids=CHECKPOINTS.keys())
def test_integer_layers_are_near_to_eager_and_keep_rows_apart(make) -> None:
    module, manifest, _, proto = _rounded(make, "int8")
    graph = integer_graph(proto, 1)
    assert graph is not None
    assert all(node.op_type not in ("LSTM", "Gemm") for node in graph.graph.node)
    check_onnx(graph, manifest, domains=("com.microsoft",))
    content, window = graph.SerializeToString(), _windows(manifest)
    seen = run_onnx(content, window)
    expected = evaluate(module, window, manifest.output_names)["reconstruction_error"]
    assert (np.abs(seen["reconstruction_error"] - expected) <= 0.03 * np.maximum(1, expected)).all()
    # An outlier in a batch-mate is where one scale for the whole batch would show.
    crowded = window.copy()
    crowded[0] *= 1e5
    for name, values in run_onnx(content, crowded).items():
        np.testing.assert_array_equal(values[1:], seen[name][1:], err_msg=name)
    alone = np.concatenate([run_onnx(content, row[None])["reconstruction_error"] for row in window])
    np.testing.assert_allclose(alone, seen["reconstruction_error"], rtol=1e-6)


def test_static_scales_come_from_the_calibration_windows_and_saturate_beyond() -> None:
    module, manifest, _, proto = _rounded(CHECKPOINTS["table, 5 features"], "int8")
    inputs = linear_inputs(proto, 1)
    window = _windows(manifest, 64)
    ranges = input_ranges(proto, inputs, window)
    assert set(ranges) == set(inputs)
    assert all(each.lowest <= 0 <= each.highest for each in ranges.values())
    graph = integer_graph(proto, 1, ranges)
    assert graph is not None
    check_onnx(graph, manifest)
    assert "ReduceMax" not in {node.op_type for node in graph.graph.node}
    seen = run_onnx(graph.SerializeToString(), window)["reconstruction_error"]
    expected = evaluate(module, window, manifest.output_names)["reconstruction_error"]
    assert (np.abs(seen - expected) <= 0.05 * np.maximum(1, expected)).all()
    far = run_onnx(graph.SerializeToString(), window * 1e4)
    assert np.isfinite(far["reconstruction_error"]).all()
    assert far["is_anomaly"].all()


def test_small_layers_stay_in_float32() -> None:
    _, _, _, proto = _rounded(CHECKPOINTS["lstm, 5 features, 2 layers"], "int8")
    assert integer_graph(proto, 10**6) is None
    some = integer_graph(proto, 4 * 8 * 8)
    assert some is not None
    assert {"Scan", "MatMul"} <= {node.op_type for node in some.graph.node}
