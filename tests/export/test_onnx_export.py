from __future__ import annotations

import json

import msgspec
import numpy as np
import onnx
import pytest
import torch

from offbeat.errors import ExportError
from offbeat_export.eager import evaluate
from offbeat_export.onnx_check import check_onnx
from offbeat_export.onnx_export import export_onnx
from offbeat_export.onnx_tracing import EXPORTERS, OPSETS, Exporter
from offbeat_training.checkpoint import Checkpoint
from tests.export.checkpoints import CHECKPOINTS, LENGTH, lstm_checkpoint, table_checkpoint
from tests.export.scorers import SERIES_OUTPUTS, run_onnx, scorer_of


def _graph(content: bytes) -> onnx.GraphProto:
    return onnx.load_from_string(content).graph


def _initializer(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    (found,) = [each for each in model.graph.initializer if each.name == name]
    return found


@pytest.mark.parametrize("make", CHECKPOINTS.values(), ids=CHECKPOINTS.keys())
def test_the_graph_scores_any_batch_as_eager_does(make) -> None:
    module, manifest = scorer_of(make())
    content = export_onnx(module, manifest)
    generator = np.random.default_rng(0)
    for batch in (1, 2, 5, 512):
        shape = (batch, *(size if isinstance(size, int) else LENGTH for size in manifest.window_shape[1:]))
        window = generator.normal(size=shape).astype(np.float32)
        eager, seen = evaluate(module, window, manifest.output_names), run_onnx(content, window)
        assert tuple(seen) == manifest.output_names
        for name in manifest.output_names:
            assert seen[name].shape == eager[name].shape
            np.testing.assert_allclose(seen[name], eager[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_steps", [1, 2, LENGTH - 1, 4 * LENGTH])
def test_the_graph_scores_any_number_of_steps_as_eager_does(n_steps: int) -> None:
    module, manifest = scorer_of(lstm_checkpoint(3, 2))
    content = export_onnx(module, manifest)
    window = np.random.default_rng(1).normal(size=(3, n_steps, 3)).astype(np.float32)
    eager, seen = evaluate(module, window, manifest.output_names), run_onnx(content, window)
    assert seen["step_error"].shape == (3, n_steps)
    for name in manifest.output_names:
        np.testing.assert_allclose(seen[name], eager[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_means_over_thousands_of_steps_keep_their_digits(exporter: Exporter) -> None:
    module, manifest = scorer_of(lstm_checkpoint(1, mean=0.0))
    assert manifest.window is not None
    long = msgspec.structs.replace(manifest, window=msgspec.structs.replace(manifest.window, length=4096))
    # The terms of a constant window all round the same way.
    window = np.broadcast_to(np.linspace(1, 9, 48, dtype=np.float32)[:, None, None], (48, 4096, 1)).copy()
    eager = evaluate(module, window, manifest.output_names)
    seen = run_onnx(export_onnx(module, long, exporter), window)
    plain = run_onnx(export_onnx(module, manifest, exporter), window)
    for name in ("reconstruction_error", "feature_error"):
        np.testing.assert_allclose(seen[name], eager[name], rtol=1e-6)
    assert not np.allclose(plain["feature_error"], eager["feature_error"], rtol=3e-6, atol=0.0)


def test_outputs_carry_the_axes_of_the_manifest() -> None:
    module, manifest = scorer_of(lstm_checkpoint(2))
    graph = _graph(export_onnx(module, manifest))
    axes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert axes == {
        "window": ["batch", "time", 2],
        "reconstruction_error": ["batch"],
        "anomaly_score": ["batch"],
        "is_anomaly": ["batch"],
        "feature_error": ["batch", 2],
        "step_error": ["batch", "time"],
        "reconstruction": ["batch", "time", 2],
    }
    assert tuple(value.name for value in graph.output) == SERIES_OUTPUTS


def test_lstm_layers_are_single_nodes_without_computed_initial_states() -> None:
    module, manifest = scorer_of(lstm_checkpoint(2, 2))
    graph = _graph(export_onnx(module, manifest))
    lstms = [node for node in graph.node if node.op_type == "LSTM"]
    assert [node.name for node in lstms] == ["encoder/LSTM", "encoder/LSTM_1", "decoder/LSTM", "decoder/LSTM_1"]
    assert all(len([name for name in node.input if name]) == 4 for node in lstms)
    left_by_tracing = {"ConstantOfShape", "Slice", "Constant", "Identity"}
    assert not left_by_tracing & {node.op_type for node in graph.node}
    assert len(graph.node) <= 40


def test_where_and_equal_do_nothing_but_make_errors_that_are_no_number_infinite() -> None:
    module, manifest = scorer_of(lstm_checkpoint(2, 2))
    nodes = _graph(export_onnx(module, manifest)).node
    guards = [node for node in nodes if node.op_type == "Where"]
    assert {node.output[0] for node in guards} == {"reconstruction_error", "feature_error", "step_error"}
    compared = {node.output[0]: list(node.input) for node in nodes if node.op_type == "Equal"}
    assert len(compared) == len(guards)
    assert all(compared[node.input[0]] == [node.input[1], node.input[1]] for node in guards)


def _lstm_inputs(checkpoint: Checkpoint) -> dict[str, list[str]]:
    module, manifest = scorer_of(checkpoint)
    graph = _graph(export_onnx(module, manifest))
    return {node.name: list(node.input) for node in graph.node if node.op_type == "LSTM"}


def test_a_decoder_that_starts_from_the_encoders_states_takes_them_from_its_nodes() -> None:
    inputs = _lstm_inputs(CHECKPOINTS["state"]())
    assert inputs["decoder/LSTM"][5:] == ["encoder/LSTM.Y_h", "encoder/LSTM.Y_c"]
    assert inputs["decoder/LSTM_1"][5:] == ["encoder/LSTM_1.Y_h", "encoder/LSTM_1.Y_c"]


def test_only_the_first_decoder_layer_of_the_flexible_design_has_an_initial_state() -> None:
    inputs = _lstm_inputs(CHECKPOINTS["flexible, bidirectional"]())
    assert [name for name, given in inputs.items() if len(given) > 4] == ["decoder/LSTM"]
    assert list(inputs) == ["encoder/LSTM", "encoder/LSTM_1", "decoder/LSTM", "decoder/LSTM_1", "decoder/LSTM_2"]


def test_bidirectional_layers_are_bidirectional_nodes() -> None:
    module, manifest = scorer_of(CHECKPOINTS["flexible, bidirectional"]())
    graph = _graph(export_onnx(module, manifest))
    directions = {
        node.name: attribute.s.decode()
        for node in graph.node
        for attribute in node.attribute
        if attribute.name == "direction"
    }
    assert directions == {"encoder/LSTM": "bidirectional", "encoder/LSTM_1": "bidirectional"}


def test_the_four_layers_of_the_stacked_design_are_four_nodes() -> None:
    names = ["encoder/LSTM", "encoder_narrow/LSTM", "decoder_narrow/LSTM", "decoder/LSTM"]
    assert list(_lstm_inputs(CHECKPOINTS["stacked"]())) == names


@pytest.mark.parametrize(
    ("case", "time", "extra"),
    [
        ("repeat-classifier", LENGTH, {"class_probability": ["batch", 3]}),
        ("repeat-forecast", LENGTH, {"forecast": ["batch", LENGTH, 3]}),
        ("stacked", LENGTH, {"step_error": ["batch", LENGTH]}),
        ("flexible", "time", {"step_error": ["batch", "time"]}),
        ("flexible, fewer repeats", LENGTH, {"step_error": ["batch", LENGTH - 5]}),
        ("flexible, fewer repeats", LENGTH, {"reconstruction": ["batch", LENGTH - 5, 2]}),
        ("flexible, more repeats", LENGTH, {"step_error": ["batch", LENGTH]}),
    ],
)
def test_time_is_dynamic_unless_the_number_of_repeats_is_fixed_or_the_error_is_a_sum(
    case: str, time: object, extra: dict
) -> None:
    _, manifest = scorer_of(CHECKPOINTS[case]())
    assert manifest.window is not None
    assert manifest.window.is_time_dynamic == (time == "time")
    assert manifest.inputs[0].shape[1] == time
    shapes = {output.name: list(output.shape) for output in manifest.outputs}
    assert shapes | extra == shapes


def test_the_probabilities_of_the_classes_sum_to_one() -> None:
    module, manifest = scorer_of(CHECKPOINTS["repeat-classifier"]())
    window = np.random.default_rng(0).normal(size=(5, LENGTH, 2)).astype(np.float32)
    probability = run_onnx(export_onnx(module, manifest), window)["class_probability"]
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, rtol=1e-6)
    assert (probability > 0).all()


def test_a_forecast_is_in_raw_units_and_sees_nothing_later_than_its_step() -> None:
    checkpoint = CHECKPOINTS["repeat-forecast"]()
    module, manifest = scorer_of(checkpoint)
    content = export_onnx(module, manifest)
    window = checkpoint.validation_windows[:4].numpy()
    forecast = run_onnx(content, window)["forecast"]
    changed = window.copy()
    changed[:, 7:] += 10.0
    np.testing.assert_allclose(run_onnx(content, changed)["forecast"][:, :7], forecast[:, :7], rtol=1e-6)
    with torch.inference_mode():
        normalised = (checkpoint.validation_windows[:4] - module.mean) / module.scale
        expected = module.model.forecast(normalised)[1] * module.scale + module.mean
    np.testing.assert_allclose(forecast, expected.numpy(), rtol=1e-5, atol=1e-5)


def test_error_std_is_the_spread_of_the_error_over_the_draws() -> None:
    checkpoint = CHECKPOINTS["variational"]()
    module, manifest = scorer_of(checkpoint)
    seen = run_onnx(export_onnx(module, manifest), checkpoint.validation_windows.numpy())
    with torch.inference_mode():
        normalised = (checkpoint.validation_windows - module.mean) / module.scale
        errors = (module.model.draws(normalised) - normalised).square().mean(dim=2)
    np.testing.assert_allclose(seen["reconstruction_error"], errors.mean(dim=0).numpy(), rtol=1e-5)
    np.testing.assert_allclose(seen["error_std"], errors.std(dim=0, correction=0).numpy(), rtol=1e-4)


def test_batch_normalisation_is_folded_into_the_layer_before_it() -> None:
    module, manifest = scorer_of(table_checkpoint())
    graph = _graph(export_onnx(module, manifest))
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    assert [node.name for node in graph.node if node.op_type == "Gemm"] == [
        "encoder.0/Gemm",
        "encoder.4/Gemm",
        "encoder.8/Gemm",
        "decoder.0/Gemm",
        "decoder.4/Gemm",
        "decoder.8/Gemm",
    ]


def test_every_name_in_the_graph_is_used_once_and_readable() -> None:
    module, manifest = scorer_of(lstm_checkpoint(2, 2))
    graph = _graph(export_onnx(module, manifest))
    nodes = [node.name for node in graph.node]
    values = [name for node in graph.node for name in node.output] + [each.name for each in graph.initializer]
    for names in (nodes, values):
        assert len(set(names)) == len(names)
        assert not [name for name in names if "onnx::" in name or name.startswith("/") or name.isdecimal()]
    assert {"mean", "scale", "threshold", "output.bias", "encoder/LSTM.W", "decoder/LSTM.R"} <= set(values)


# 0.5 and 1 are constants of the score itself, which a threshold of that size must not be merged with.
@pytest.mark.parametrize("threshold", [0.5, 1.0, 0.8])
def test_changing_the_one_threshold_changes_score_and_decision_and_nothing_else(threshold: float) -> None:
    module, manifest = scorer_of(lstm_checkpoint(2, threshold=threshold))
    content = export_onnx(module, manifest)
    window = np.random.default_rng(2).normal(size=(50, LENGTH, 2)).astype(np.float32)
    before = run_onnx(content, window)
    model = onnx.load_from_string(content)
    moved = np.float32(np.median(before["reconstruction_error"]))
    _initializer(model, "threshold").CopyFrom(onnx.numpy_helper.from_array(np.array(moved), "threshold"))
    after = run_onnx(model.SerializeToString(), window)
    np.testing.assert_array_equal(after["is_anomaly"], before["reconstruction_error"] > moved)
    np.testing.assert_allclose(
        after["anomaly_score"], np.clip(before["reconstruction_error"] / moved / 2, 0, 1), rtol=1e-6
    )
    for name in ("reconstruction_error", "feature_error", "step_error", "reconstruction"):
        np.testing.assert_array_equal(after[name], before[name])


def test_the_file_explains_itself() -> None:
    module, manifest = scorer_of(lstm_checkpoint(2))
    model = onnx.load_from_string(export_onnx(module, manifest))
    properties = {each.key: each.value for each in model.metadata_props}
    assert properties["name"] == "sensors"
    assert properties["version"] == "3"
    assert np.float32(properties["threshold"]) == np.float32(0.8)
    assert json.loads(properties["feature_names"]) == ["sensor 0", "sensor 1"]
    assert (model.producer_name, model.model_version, model.doc_string) == ("offbeat", 3, "for the tests")
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSETS["classic"])]


def test_the_same_checkpoint_gives_the_same_bytes() -> None:
    module, manifest = scorer_of(lstm_checkpoint(2))
    assert export_onnx(module, manifest) == export_onnx(module, manifest)


def test_a_second_meaning_of_the_threshold_is_refused() -> None:
    module, manifest = scorer_of(table_checkpoint())
    model = onnx.load_from_string(export_onnx(module, manifest))
    model.graph.node.append(onnx.helper.make_node("Neg", ["threshold"], ["unused"]))
    with pytest.raises(ExportError, match="reads threshold in"):
        check_onnx(model, manifest)
    (initializer,) = [each for each in model.graph.initializer if each.name == "threshold"]
    initializer.CopyFrom(onnx.numpy_helper.from_array(np.array(7.0, np.float32), "threshold"))
    with pytest.raises(ExportError, match="expected one scalar"):
        check_onnx(model, manifest)


def test_operators_and_data_from_elsewhere_are_refused() -> None:
    module, manifest = scorer_of(table_checkpoint())
    content = export_onnx(module, manifest)
    model = onnx.load_from_string(content)
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(ExportError, match=r"operators of com\.microsoft"):
        check_onnx(model, manifest)
    model = onnx.load_from_string(content)
    del model.graph.node[0]
    with pytest.raises(ExportError, match="ONNX checker"):
        check_onnx(model, manifest)


def test_tracing_leaves_the_module_as_it_was() -> None:
    module, manifest = scorer_of(table_checkpoint())
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    export_onnx(module, manifest)
    assert not module.training
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
