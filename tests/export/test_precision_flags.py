from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from offbeat.bundle import ModelRepository
from offbeat.errors import ConfigurationError, DataError, ExportError
from offbeat_export import variant_attempt
from offbeat_export.command import export
from offbeat_export.precision_flags import PrecisionFlags
from tests.export.variants import Float32Versions, dataset_of, fixed_latencies, series


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr(variant_attempt, "latencies", fixed_latencies())
    application = typer.Typer()
    application.command("export")(export)
    return application


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    series().save(tmp_path / "model.ckpt")
    return tmp_path / "model.ckpt"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Float32Versions:
    return Float32Versions(tmp_path_factory.mktemp("float32"))


@pytest.fixture
def exported(checkpoint: Path, versions: Float32Versions) -> Path:
    """The checkpoint, and its float32 version in the repository beside it."""
    versions.in_repository(checkpoint.parent / "models", series())
    return checkpoint


def _invoke(app: typer.Typer, checkpoint: Path, *arguments: object):
    words = [
        checkpoint,
        "--model-repository",
        checkpoint.parent / "models",
        "--name",
        "m",
        "--exporter",
        "classic",
        *arguments,
    ]
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "120"})


def _npz(folder: Path) -> Path:
    labelled = dataset_of(series(), labels=True)
    assert labelled.labels is not None
    np.savez(folder / "data.npz", x=labelled.values, y=labelled.labels.astype(int), normal=labelled.values[:20])
    return folder / "data.npz"


def test_the_command_writes_float32_and_its_variants_and_shows_their_figures(
    app: typer.Typer, checkpoint: Path
) -> None:
    data = _npz(checkpoint.parent)
    labels = (
        "--labelled",
        data,
        "--key",
        "x",
        "--label-column",
        "y",
        "--calibration",
        data,
        "--calibration-key",
        "normal",
    )
    result = _invoke(app, checkpoint, "--precision", "fp32,bf16", "--precision", "int8", *labels)
    assert result.exit_code == 0, result.output
    for words in ("40 windows of data.npz, 20 anomalous", "m-bf16", "onnxruntime: ROC-AUC", "m-int8/1"):
        assert words in result.output
    repository = ModelRepository(checkpoint.parent / "models")
    assert repository.names() == ("m", "m-bf16", "m-int8")


def test_a_variant_alone_needs_a_float32_version_of_the_same_weights(app: typer.Typer, checkpoint: Path) -> None:
    result = _invoke(app, checkpoint, "--precision", "bf16")
    assert isinstance(result.exception, ExportError)
    assert "export fp32 too" in str(result.exception)
    assert not (checkpoint.parent / "models").exists()


def test_a_variant_of_a_version_that_is_there_writes_no_other(app: typer.Typer, exported: Path) -> None:
    result = _invoke(app, exported, "--precision", "bf16")
    assert result.exit_code == 0, result.output
    repository = ModelRepository(exported.parent / "models")
    assert (repository.versions("m"), repository.versions("m-bf16")) == ((1,), (1,))


def test_a_refused_variant_ends_the_command_with_its_figures_and_leaves_the_others(
    app: typer.Typer, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variant_attempt, "refusal", lambda record: "too slow" if record.weights == "int8" else None)
    result = _invoke(app, exported, "--precision", "bf16,int8")
    assert isinstance(result.exception, ExportError)
    assert str(result.exception) == "m-int8 is refused: float32: too slow"
    assert "refused" in result.output
    assert ModelRepository(exported.parent / "models").names() == ("m", "m-bf16")


def test_flags_that_contradict_each_other_are_refused() -> None:
    path = Path("labelled.csv")
    with pytest.raises(ConfigurationError, match="labelled is given, label_column is not"):
        PrecisionFlags(precision=("int8",), labelled=path)
    with pytest.raises(ConfigurationError, match="label_column is given, labelled is not"):
        PrecisionFlags(precision=("int8",), label_column="y")
    for field in ("labelled", "calibration"):
        given = {field: path} | ({"label_column": "y"} if field == "labelled" else {})
        with pytest.raises(
            ConfigurationError, match=f"{field} is 'labelled.csv'; expected none where fp32 is the only"
        ):
            PrecisionFlags(**given)


def test_a_file_that_is_not_there_is_named_before_anything_is_written(app: typer.Typer, exported: Path) -> None:
    result = _invoke(app, exported, "--precision", "int8", "--calibration", exported.parent / "none.csv")
    assert isinstance(result.exception, DataError)
    assert "none.csv" in str(result.exception)
    assert ModelRepository(exported.parent / "models").names() == ("m",)
