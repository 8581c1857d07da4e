from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import offbeat_export
from offbeat.bundle import ModelRepository
from offbeat.errors import MissingExtraError
from offbeat_export.command import export
from tests.export.checkpoints import table_checkpoint


@pytest.fixture
def app() -> typer.Typer:
    application = typer.Typer()
    application.command("export")(export)
    return application


def test_the_command_writes_a_version_and_shows_parity_sizes_and_folder(app: typer.Typer, tmp_path: Path) -> None:
    table_checkpoint().save(tmp_path / "model.ckpt")
    result = CliRunner().invoke(
        app,
        [str(tmp_path / "model.ckpt"), "--model-repository", str(tmp_path / "models"), "--name", "t", "--version", "4"],
        env={"OFFBEAT_DESCRIPTION": "from the environment", "OFFBEAT_LICENCE": "CC0-1.0"},
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    for word in ("Parity", "torchscript", "model.safetensors", f"wrote {tmp_path / 'models' / 't' / '4'}"):
        assert word in result.output
    for word in (
        " s  measuring parity\n",
        "classic exporter: 26 nodes",
        "dynamo exporter: 26 nodes",
        "model.onnx is the ",
    ):
        assert word in result.output
    assert "arning" not in result.output + result.stderr
    assert ModelRepository(tmp_path / "models").open("t", 4).manifest.licence == "CC0-1.0"
    assert ModelRepository(tmp_path / "models").open("t", 4).manifest.description == "from the environment"


def test_help_shows_an_example(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert "offbeat export model.ckpt --model-repository models" in " ".join(result.output.split())


def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith("offbeat_export.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"onnx; pip install 'offbeat\[export\]'"):
        export(tmp_path / "model.ckpt", tmp_path, "t")


def test_importing_the_package_or_its_command_leaves_torch_alone() -> None:
    code = "import sys, offbeat_export, offbeat_export.command; assert not {'torch', 'onnx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_exports_these_names_and_no_others() -> None:
    assert offbeat_export.__all__ == [
        "PARITY_BOUND",
        "ExportReport",
        "ParityReport",
        "ScoringModule",
        "VariantReport",
        "export_checkpoint",
        "export_variants",
        "recalibrate",
    ]
    assert all(getattr(offbeat_export, name) is not None for name in offbeat_export.__all__)
    with pytest.raises(AttributeError, match="no attribute 'handle'"):
        _ = offbeat_export.handle
