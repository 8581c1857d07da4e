from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from offbeat.errors import ConfigurationError, ExportError
from offbeat_export import onnx_choice, onnx_tracing
from offbeat_export.eager import evaluate
from offbeat_export.onnx_choice import OnnxCandidate, onnx_candidates
from offbeat_export.onnx_export import export_onnx
from offbeat_export.onnx_inspection import GraphInspection, inspect_graph
from offbeat_export.onnx_tracing import Exporter, example_window, traced_sizes
from tests.export.checkpoints import CHECKPOINTS, LENGTH, lstm_checkpoint, preset_checkpoint, table_checkpoint
from tests.export.scorers import run_onnx, scorer_of

TRACED = {"batch": 11, "time": 13}
# One of each kind of graph; the classic exporter is tried with all of them in test_onnx_export.py.
VARIED = ("lstm, 5 features, 2 layers", "repeat-classifier", "state", "flexible, bidirectional", "variational")


@pytest.mark.parametrize("case", VARIED)
def test_the_newer_exporters_graph_is_clean_and_scores_as_eager_does(case: str) -> None:
    module, manifest = scorer_of(CHECKPOINTS[case]())
    (candidate,) = onnx_candidates(module, manifest, "dynamo").found
    assert candidate.inspection.findings == ()
    assert candidate.inspection.opset == 18
    generator = np.random.default_rng(0)
    for batch, time in ((1, LENGTH), (5, 3), (7, 4 * LENGTH)):
        sizes = {"batch": batch, "time": time}
        shape = [sizes[axis] if isinstance(axis, str) else axis for axis in manifest.window_shape]
        window = generator.normal(size=shape).astype(np.float32)
        eager, seen = evaluate(module, window, manifest.output_names), run_onnx(candidate.content, window)
        for name in manifest.output_names:
            np.testing.assert_allclose(seen[name], eager[name], rtol=1e-5, atol=1e-5)


def test_weights_of_any_size_are_folded_into_the_nodes_of_the_newer_exporters_graph() -> None:
    small, large = (
        onnx.load_from_string(export_onnx(*scorer_of(preset_checkpoint(2, hidden_size=size)), "dynamo"))
        for size in (8, 96)
    )
    assert [node.op_type for node in large.graph.node] == [node.op_type for node in small.graph.node]


def test_names_of_the_newer_exporters_graph_are_readable_too() -> None:
    module, manifest = scorer_of(lstm_checkpoint(2, 2))
    graph = onnx.load_from_string(export_onnx(module, manifest, "dynamo")).graph
    nodes = [node.name for node in graph.node]
    lstms = [node.name for node in graph.node if node.op_type == "LSTM"]
    assert lstms == ["encoder/LSTM", "encoder/LSTM_1", "decoder/LSTM", "decoder/LSTM_1"]
    values = [name for node in graph.node for name in node.output] + [each.name for each in graph.initializer]
    assert len(set(nodes)) == len(nodes)
    assert len(set(values)) == len(values)
    assert not [name for name in (*nodes, *values) if name.startswith(("node_", "val_", "value_", "/"))]
    assert {"mean", "scale", "threshold", "output.bias", "encoder/LSTM.W", "decoder/LSTM.R"} <= set(values)


@pytest.mark.parametrize("threshold", [0.5, 1.0])
def test_a_threshold_that_equals_a_constant_survives_the_newer_exporter(threshold: float) -> None:
    module, manifest = scorer_of(lstm_checkpoint(1, threshold=threshold, mean=0.0))
    export_onnx(module, manifest, "dynamo")


def test_both_exporters_are_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    module, manifest = scorer_of(CHECKPOINTS["state"]())
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        onnx_candidates(module, manifest)
    assert [str(each.message) for each in seen] == []
    assert capfd.readouterr() == ("", "")


def test_of_two_clean_graphs_the_one_with_fewer_nodes_comes_first_and_the_reason_says_so() -> None:
    module, manifest = scorer_of(lstm_checkpoint(2))
    candidates = onnx_candidates(module, manifest)
    first, second = (each.inspection for each in candidates.found)
    assert first.findings == second.findings == ()
    assert first.n_nodes < second.n_nodes
    record = candidates.record(candidates.found[0])
    assert record.reason == f"{first.n_nodes} nodes, {second.n_nodes} in the other"


def test_an_exporter_that_fails_leaves_the_other_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(onnx_tracing, "_trace_dynamo", fail)
    module, manifest = scorer_of(table_checkpoint())
    candidates = onnx_candidates(module, manifest)
    record = candidates.record(candidates.found[0])
    assert (record.exporter, record.reason) == ("classic", "the other exporter failed")
    assert record.candidates["dynamo"].findings == ("torch's dynamo exporter refuses the model: no such operator",)
    with pytest.raises(ExportError, match="dynamo exporter refuses the model: no such operator"):
        onnx_candidates(module, manifest, "dynamo")


def test_a_choice_that_is_none_is_refused() -> None:
    module, manifest = scorer_of(table_checkpoint())
    with pytest.raises(ConfigurationError, match="exporter is 'latest'; expected auto, classic or dynamo"):
        onnx_candidates(module, manifest, "latest")  # type: ignore[arg-type]


def test_graphs_are_traced_with_primes_that_no_weight_has() -> None:
    module, manifest = scorer_of(lstm_checkpoint(11))
    assert traced_sizes(module, manifest) == {"batch": 13, "time": 17}
    assert example_window(module, manifest).shape == (13, 17, 11)


class _BakedDivisor(torch.nn.Module):
    """Divides by the traced number of steps, which a tracer writes down as a constant."""

    def __init__(self, scorer: torch.nn.Module) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(self, window: torch.Tensor) -> tuple[torch.Tensor, ...]:
        error, *others = self.scorer(window)
        return error * (float(len(window[0])) / LENGTH), *others


def test_a_size_that_a_tracer_bakes_in_is_found_in_a_real_export(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, manifest = scorer_of(lstm_checkpoint(2))
    baked = _BakedDivisor(scorer).eval()
    monkeypatch.setattr(onnx_choice, "traced_sizes", lambda *_: traced_sizes(scorer, manifest))
    monkeypatch.setattr(onnx_tracing, "traced_sizes", lambda *_: TRACED | {"time": 13 * LENGTH})
    monkeypatch.setattr("offbeat_export.onnx_export.check_onnx", lambda *_: None)
    monkeypatch.setattr("offbeat_export.onnx_simplification.THRESHOLD", "scorer.threshold")
    (candidate,) = onnx_candidates(baked, manifest, "classic").found
    assert any("holds 13, the traced time" in finding for finding in candidate.inspection.findings)


def _model(change: Callable[[onnx.ModelProto], object] = lambda model: None) -> onnx.ModelProto:
    """A clean graph with one LSTM node, changed."""
    nodes = [
        helper.make_node("LSTM", ["window", "W", "R"], ["Y"], "lstm", hidden_size=4),
        helper.make_node("Reshape", ["Y", "shape"], ["out"], "reshape"),
    ]
    initializers = {
        "W": np.zeros((1, 16, 2), np.float32),
        "R": np.zeros((1, 16, 4), np.float32),
        "shape": np.array([0, -1, 4]),
    }
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, ["time", "batch", 2])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["time", "batch", 4])],
        [numpy_helper.from_array(content, name) for name, content in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    change(model)
    return model


def _constant(name: str, content: object) -> Callable[[onnx.ModelProto], object]:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(content), name))
        model.graph.node.append(helper.make_node("Add", ["out", name], ["sum"], "add"))
        model.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, None))

    return change


def test_a_clean_graph_has_no_findings() -> None:
    inspection = inspect_graph(_model(), 1, TRACED)
    assert (inspection.opset, inspection.n_nodes, inspection.n_lstm_nodes) == (17, 2, 1)
    assert inspection.findings == ()


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (_constant("steps", np.array([1, 13, 1])), "steps holds 13, the traced time"),
        (_constant("count", np.float32(13.0)), "count holds 13, the traced time"),
        (_constant("batch", np.array([11])), "batch holds 11, the traced batch"),
        (
            lambda model: model.graph.node.append(helper.make_node("Neg", ["Y"], ["unread"], "neg")),
            "nothing reads what Neg node neg gives",
        ),
        (
            lambda model: model.graph.initializer.append(numpy_helper.from_array(np.zeros(3), "left")),
            "left is held and nothing reads it",
        ),
        (lambda model: model.graph.node[1].input.__setitem__(0, "gone"), "gone is read and nothing gives it"),
        (
            lambda model: model.graph.node.append(helper.make_node("Loop", ["", "", "out"], ["looped"], "steps")),
            "Loop node steps",
        ),
        (
            lambda model: model.graph.value_info.append(
                helper.make_tensor_value_info("Y", TensorProto.FLOAT, [13, 1, "batch", 4])
            ),
            "Y has an axis of 13, the traced time",
        ),
        (lambda model: setattr(model.graph.node[0], "op_type", "GRU"), "0 LSTM nodes for 1 LSTM layers"),
    ],
)
def test_each_defect_is_found(change: Callable[[onnx.ModelProto], object], finding: str) -> None:
    assert finding in inspect_graph(_model(change), 1, TRACED).findings


def test_a_threshold_or_a_weight_that_equals_a_traced_size_is_no_finding() -> None:
    def weights(model: onnx.ModelProto) -> None:
        _constant("threshold", np.float32(13.0))(model)
        model.graph.node.append(helper.make_node("Mul", ["sum", "bias"], ["product"], "mul"))
        model.graph.initializer.append(numpy_helper.from_array(np.full(4, 13.0, np.float32), "bias"))
        model.graph.output.append(helper.make_tensor_value_info("product", TensorProto.FLOAT, None))

    assert inspect_graph(_model(weights), 1, TRACED).findings == ()


def test_fewer_defects_go_before_fewer_nodes_and_those_before_an_older_opset(monkeypatch: pytest.MonkeyPatch) -> None:
    def best(**graphs: tuple[int, int, int]) -> str:
        """Of graphs with so many defects and nodes, and of that opset."""

        def candidate(module: object, manifest: object, exporter: Exporter) -> OnnxCandidate:
            n_findings, n_nodes, opset = graphs[exporter]
            findings = ("a defect",) * n_findings
            inspection = GraphInspection(opset=opset, n_nodes=n_nodes, n_lstm_nodes=0, findings=findings)
            return OnnxCandidate(exporter=exporter, content=b"", inspection=inspection)

        monkeypatch.setattr(onnx_choice, "_candidate", candidate)
        return onnx_candidates(*scorer_of(table_checkpoint())).found[0].exporter

    assert best(classic=(1, 5, 17), dynamo=(0, 9, 18)) == "dynamo"
    assert best(classic=(0, 9, 17), dynamo=(0, 5, 18)) == "dynamo"
    assert best(classic=(0, 9, 18), dynamo=(0, 9, 17)) == "dynamo"
    assert best(classic=(0, 9, 17), dynamo=(0, 9, 18)) == "classic"
