from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from offbeat.bundle import ModelVersion
from offbeat.cli.diff import diff
from offbeat.cli.inspect import inspect
from offbeat.result import FloatArray, Threshold
from offbeat.scorer import load
from offbeat_export import variant_attempt
from offbeat_export.exporter import export_checkpoint
from offbeat_export.recalibration import recalibrate
from offbeat_export.variant_export import export_variants
from tests.export.checkpoints import LENGTH, lstm_checkpoint
from tests.export.variants import fixed_latencies, table
from tests.runtime import folders


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command("diff")(diff)
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})


def facts(*arguments: object) -> dict[str, Any]:
    return json.loads(run(*arguments, "--json").stdout)


def windows_of(data: Path) -> FloatArray:
    values = np.loadtxt(data, delimiter=",", skiprows=1, dtype=np.float32)
    return np.stack([values[start : start + LENGTH] for start in range(len(values) - LENGTH + 1)])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = torch.randn((60, 2), generator=torch.Generator().manual_seed(1)) * 3
    path = tmp_path_factory.mktemp("data") / "data.csv"
    path.write_text("sensor 0,sensor 1\n" + "\n".join(f"{a:.4f},{b:.4f}" for a, b in values.tolist()))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Versions of one model: 1; 2 the same again; 3 with a threshold amid the data; 4 with one number of a weight changed."""
    repository = tmp_path_factory.mktemp("models")
    checkpoint = lstm_checkpoint(2)
    for _ in range(2):
        export_checkpoint(checkpoint, repository, name="m", exporter="classic")
    with load(repository / "m") as scorer:
        median = float(np.median(scorer.score(windows_of(data)).reconstruction_error))
    recalibrate(repository / "m" / "1", Threshold(value=median, method="fixed"))
    weights = {name: tensor.clone() for name, tensor in checkpoint.state_dict.items()}
    weights["output.bias"][1] += 0.25
    metrics = {**checkpoint.metrics, "roc_auc": 0.5}
    changed = replace(checkpoint, state_dict=weights, metrics=metrics)
    export_checkpoint(changed, repository, name="m", exporter="classic")
    export_checkpoint(lstm_checkpoint(2, 2), repository, name="deep", exporter="classic")
    return repository / "m"


def test_the_same_checkpoint_exported_twice_is_equal(model: Path, data: Path) -> None:
    result = run(model / "1", model / "2", "--data", data)
    assert result.exit_code == 0, result.output
    assert "equal" in result.stdout.splitlines()[-1]
    found = facts(model / "1", model / "2", "--data", data)
    assert found["is_equal"]
    assert found["fields"] == []
    assert "version" in {each["field"] for each in found["provenance"]}
    assert found["scores"]["n_decisions"] == found["scores"]["max_error"] == 0


def test_a_recalibration_changes_the_threshold_and_no_weight(model: Path, data: Path) -> None:
    result = run(model / "1", model / "3", "--data", data)
    assert result.exit_code == 1
    found = facts(model / "1", model / "3", "--data", data)
    assert {each["field"].split(".")[0] for each in found["fields"]} == {"threshold"}
    assert {each["change"] for each in found["weights"]["tensors"]} == {"equal"}
    assert found["scores"]["max_error"] == 0
    assert found["scores"]["max_score"] > 0
    assert (
        f"{len(found['weights']['tensors'])} of {len(found['weights']['tensors'])} tensors are equal" in result.stdout
    )


def test_one_changed_number_is_found_in_its_tensor_and_in_the_scores(model: Path, data: Path) -> None:
    found = facts(model / "1", model / "4", "--data", data)
    assert run(model / "1", model / "4").exit_code == 1
    (changed,) = [each for each in found["weights"]["tensors"] if each["change"] != "equal"]
    assert (changed["name"], changed["n_changed"], changed["shape"]) == ("output.bias", 1, [2])
    assert changed["max_absolute"] == pytest.approx(0.25, rel=1e-6)
    assert [each["field"] for each in found["fields"]] == ["metrics.roc_auc"]
    assert found["scores"]["max_error"] > 0


def test_score_differences_and_decisions_are_those_of_the_scorers(model: Path, data: Path) -> None:
    windows, results = windows_of(data), []
    for version in ("1", "3"):
        with load(model / version) as scorer:
            results.append(scorer.score(windows))
    first, second = results
    found = facts(model / "1", model / "3", "--data", data)["scores"]
    assert found["n_windows"] == len(windows)
    assert found["max_score"] == pytest.approx(float(np.abs(first.anomaly_score - second.anomaly_score).max()))
    differ = np.flatnonzero(first.is_anomaly != second.is_anomaly)
    assert found["n_decisions"] == differ.size > 0
    assert [each["window"] for each in found["decisions"]] == differ[:100].tolist()


def test_another_architecture_is_told_by_its_fields_its_plan_and_its_tensors(model: Path) -> None:
    found = facts(model / "1", model.parent / "deep")
    assert "architecture.settings.n_layers" in {each["field"] for each in found["fields"]}
    assert not found["weights"]["is_plan_equal"]
    changes = {each["name"]: each["change"] for each in found["weights"]["tensors"]}
    assert changes["encoder.weight_ih_l1"] == "only in B"
    assert "the layer plans differ" in run(model / "1", model.parent / "deep").stdout


def test_a_variant_is_inspected_with_its_figures_and_its_integers_are_told_to_be_another_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variant_attempt, "latencies", fixed_latencies())
    checkpoint = table()
    fp32 = ModelVersion.open(export_checkpoint(checkpoint, tmp_path, name="m", exporter="classic").folder)
    export_variants(checkpoint, fp32, ("int8",))
    found = facts(tmp_path / "m", tmp_path / "m-int8")
    changes = {each["name"]: each["change"] for each in found["weights"]["tensors"]}
    assert changes["encoder.0.weight"] == "another type"
    assert changes["encoder.0.bias"] == "equal"
    assert run(tmp_path / "m", tmp_path / "m-int8").exit_code == 1
    app = typer.Typer()
    app.command("inspect")(inspect)
    shown = CliRunner().invoke(app, [str(tmp_path / "m-int8")], env={"COLUMNS": "200"}).stdout
    for words in ("weights in int8", "of the size of m version 1", "on onnxruntime", "ROC-AUC"):
        assert words in shown


def test_without_safetensors_only_the_graphs_file_is_compared(tmp_path: Path) -> None:
    first, second = folders.write_version(tmp_path / "a"), folders.write_version(tmp_path / "b")
    assert "model.onnx is the same file" in run(first, second).stdout
    assert run(first, second).exit_code == 0
    third = folders.write_version(tmp_path / "c", onnx=folders.onnx_bytes(threshold=1.25))
    result = run(first, third)
    assert "model.onnx is another file" in result.stdout
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{model}/1", "absent"), "absent: no such folder"),
        (("{model}/1", "{model}/2", "--data", "absent.csv"), "absent.csv: no such file"),
        (("{model}/1", "{other}", "--data", "{data}"), "no window is both's"),
        (("{model}/1", "{model}/2", "--data", "{data}", "--backend", "tpu"), "backend is 'tpu'"),
    ],
)
def test_what_cannot_be_compared_is_exit_code_2(
    model: Path, data: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    other = folders.write_version(tmp_path)
    result = run(*(each.format(model=model, other=other, data=data) for each in arguments))
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
