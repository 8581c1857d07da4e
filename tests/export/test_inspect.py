from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import typer
from typer.testing import CliRunner, Result

from offbeat.cli.inspect import inspect
from offbeat.errors import BundleError, CheckpointError
from offbeat_export.exporter import export_checkpoint
from offbeat_export.graph_products import graph_products
from tests.export.checkpoints import (
    LENGTH,
    lstm_checkpoint,
    preset_checkpoint,
    table_checkpoint,
    variational_checkpoint,
)


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command("inspect")(inspect)
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})


def facts(path: Path) -> dict[str, Any]:
    result = run(path, "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of each kind, and the repository of what was exported from them."""
    folder = tmp_path_factory.mktemp("made")
    for name, make in {"series": lstm_checkpoint, "table": table_checkpoint, "draws": variational_checkpoint}.items():
        make().save(folder / f"{name}.ckpt")
        export_checkpoint(folder / f"{name}.ckpt", folder / "models", name=name, exporter="classic")
    return folder


@pytest.mark.parametrize("name", ["series", "table", "draws"])
def test_a_checkpoint_says_what_the_folder_exported_from_it_says(made: Path, name: str) -> None:
    checkpoint, folder = facts(made / f"{name}.ckpt"), facts(made / "models" / name)
    assert (checkpoint["kind"], folder["kind"]) == ("checkpoint", "version")
    for key in ("architecture", "inputs", "outputs", "feature_names", "window", "normalisation", "threshold"):
        assert checkpoint[key] == folder[key]
    assert checkpoint["training"] == folder["training"]
    assert checkpoint["multiply_adds"] == folder["multiply_adds"]


def test_the_products_of_a_series_model_are_told_for_its_trained_length(made: Path) -> None:
    # 2 features, hidden 8: the encoder, the decoder's recurrence and its repeated input, the output, the error.
    per_step = 4 * 8 * (2 + 8) + 4 * 8 * 8 + 8 * 2 + 2
    products = facts(made / "series.ckpt")["multiply_adds"]
    assert products == {"per_window": 4 * 8 * 8, "per_step": per_step, "n": 4 * 8 * 8 + LENGTH * per_step}
    assert f"{products['n']:,} per window" in run(made / "series.ckpt").stdout


def test_an_onnx_file_explains_itself(made: Path) -> None:
    found = facts(made / "models" / "series" / "1" / "model.onnx")
    folder = facts(made / "models" / "series")
    assert (found["kind"], found["name"], found["version"]) == ("onnx", "series", 1)
    for key in ("inputs", "outputs", "feature_names"):
        assert found[key] == folder[key]
    assert found["threshold"]["value"] == folder["threshold"]["value"]
    assert found["architecture"]["kind"] == folder["architecture"]["kind"]
    shown = run(made / "models" / "series" / "1" / "model.onnx").stdout
    for words in ("2 LSTM", "opset", "per step", "numbers in initializers"):
        assert words in shown


@pytest.mark.parametrize(("name", "n_elements"), [("table", 5), ("draws", 4 * 5)])
def test_graph_and_plan_count_the_same_products_but_for_the_errors(made: Path, name: str, n_elements: int) -> None:
    graph = facts(made / "models" / name / "1" / "model.onnx")["multiply_adds"]
    plan = facts(made / "models" / name)["multiply_adds"]
    assert plan["n"] == graph["per_window"] + n_elements


def test_products_of_an_lstm_are_counted_as_the_graph_makes_them() -> None:
    weights = {"W": (1, 12, 2), "R": (1, 12, 3)}
    nodes = [
        onnx.helper.make_node("Transpose", ["window"], ["steps"], perm=[1, 0, 2]),
        onnx.helper.make_node("LSTM", ["steps", "W", "R"], ["all"], hidden_size=3),
    ]
    initializers = [
        onnx.helper.make_tensor(n, onnx.TensorProto.FLOAT, s, [0.0] * (12 * s[2])) for n, s in weights.items()
    ]
    window = onnx.helper.make_tensor_value_info("window", onnx.TensorProto.FLOAT, ["batch", "time", 2])
    output = onnx.helper.make_tensor_value_info("all", onnx.TensorProto.FLOAT, ["time", 1, "batch", 3])
    graph = onnx.helper.make_graph(nodes, "g", [window], [output], initializers)
    products = graph_products(onnx.helper.make_model(graph))
    assert products is not None
    assert (products.per_window, products.per_step) == (0, 12 * 2 + 12 * 3)


def damaged(content: bytes) -> list[bytes]:
    return [
        b"",
        b"\x08",
        b"PK\x03\x04",
        b"[" * 10_000,
        content[: len(content) // 2],
        np.random.default_rng(0).bytes(200),
    ]


def test_an_onnx_file_that_is_none_is_refused_by_name(made: Path, tmp_path: Path) -> None:
    content = (made / "models" / "table" / "1" / "model.onnx").read_bytes()
    for number, each in enumerate(damaged(content)):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(each)
        result = run(path)
        if result.exception is not None:
            assert isinstance(result.exception, BundleError), result.exception
            assert f"{number}.onnx: " in str(result.exception)
        assert "Traceback" not in result.output


def test_absurd_sizes_in_an_onnx_file_are_told_and_never_made(tmp_path: Path) -> None:
    huge = onnx.TensorProto(name="W", data_type=onnx.TensorProto.FLOAT, dims=[10**9, 10**9])
    node = onnx.helper.make_node("MatMul", ["window", "W"], ["y"])
    window = onnx.helper.make_tensor_value_info("window", onnx.TensorProto.FLOAT, ["batch", 10**9])
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 10**9])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [window], [output], [huge]))
    (tmp_path / "huge.onnx").write_bytes(model.SerializeToString())
    assert "1,000,000,000,000,000,000" in run(tmp_path / "huge.onnx").stdout


def test_a_checkpoint_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(b"no checkpoint")
    result = run(tmp_path / "model.ckpt")
    assert isinstance(result.exception, CheckpointError)
    assert "model.ckpt: " in str(result.exception)


def test_pipes_are_refused_and_never_waited_for(tmp_path: Path) -> None:
    for name in ("pipe.onnx", "pipe.ckpt", "pipe"):
        os.mkfifo(tmp_path / name)
        result = run(tmp_path / name)
        assert isinstance(result.exception, BundleError | CheckpointError)
        assert name in str(result.exception)


def test_every_preset_can_be_inspected_as_a_checkpoint(tmp_path: Path) -> None:
    preset_checkpoint(bidirectional=True, latent_dim=5, bridge="repeat_state").save(tmp_path / "a.ckpt")
    assert facts(tmp_path / "a.ckpt")["multiply_adds"]["n"] > 0
