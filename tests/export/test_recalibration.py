from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import typer
from safetensors.numpy import load as load_safetensors
from typer.testing import CliRunner, Result

from offbeat.backends import create_backend
from offbeat.bundle import Manifest, ModelRepository, ModelVersion
from offbeat.bundle.manifest import FileRecord
from offbeat.config import BackendConfig
from offbeat.data import Dataset, read_dataset
from offbeat.errors import BackendError, ConfigurationError, ExportError, OffbeatError, ParityError
from offbeat.provenance import DataSource
from offbeat.result import Threshold
from offbeat.scorer import Scorer
from offbeat_export import recalibrate_command, recalibration, variant_attempt
from offbeat_export.calibration_errors import calibration_errors
from offbeat_export.exporter import export_checkpoint
from offbeat_export.precision import Precision
from offbeat_export.recalibrate_command import recalibrate as command
from offbeat_export.recalibration import recalibrate
from offbeat_export.torch_program_backend import TorchProgramBackend
from offbeat_export.variant_export import export_variants
from tests.export.checkpoints import LENGTH, lstm_checkpoint, table_checkpoint, variational_checkpoint
from tests.export.variants import fixed_latencies
from tests.export.variants import table as variant_checkpoint

NEW = Threshold(value=float(np.float32(1.37)), method="fixed")
SOURCE = DataSource(name="week.csv", sha256="0" * 64, n_rows=7)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of three models, each of one version."""
    repository = tmp_path_factory.mktemp("exported")
    for name, make in {"series": lstm_checkpoint, "table": table_checkpoint, "draws": variational_checkpoint}.items():
        export_checkpoint(make(), repository, name=name, exporter="classic")
    return repository


@pytest.fixture(scope="module")
def recalibrated(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with a second version of each."""
    repository = Path(shutil.copytree(exported, tmp_path_factory.mktemp("recalibrated") / "models"))
    for name in ("series", "table", "draws"):
        recalibrate(repository / name, NEW, source=SOURCE)
    return repository


@pytest.fixture
def repository(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "models"))


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def pair(recalibrated: Path) -> tuple[ModelVersion, ModelVersion]:
    """A version, and the one that its recalibration wrote."""
    return ModelVersion.open(recalibrated / "series" / "1"), ModelVersion.open(recalibrated / "series" / "2")


def test_every_tensor_of_the_safetensors_file_but_the_threshold_keeps_its_bytes(
    pair: tuple[ModelVersion, ModelVersion],
) -> None:
    old, new = (version.read("model.safetensors") for version in pair)
    assert [index for index in range(len(old)) if old[index] != new[index]]
    assert len(old) == len(new)
    before, after = load_safetensors(old), load_safetensors(new)
    assert {name for name in before if before[name].tobytes() != after[name].tobytes()} == {"threshold"}
    assert after["threshold"] == np.float32(NEW.value)


def test_every_initializer_and_node_of_the_graph_but_the_threshold_stays(
    pair: tuple[ModelVersion, ModelVersion],
) -> None:
    old, new = (onnx.load_from_string(version.read("model.onnx")) for version in pair)
    before, after = ({each.name: each for each in proto.graph.initializer} for proto in (old, new))
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == {"threshold"}
    assert list(old.graph.node) == list(new.graph.node)
    props = {prop.key: prop.value for prop in new.metadata_props}
    assert (props["version"], props["threshold"], new.model_version) == ("2", repr(NEW.value), 2)


def test_every_constant_of_the_torchscript_file_but_the_threshold_keeps_its_bytes(
    pair: tuple[ModelVersion, ModelVersion],
) -> None:
    def constants(version: ModelVersion) -> Counter[bytes]:
        with zipfile.ZipFile(io.BytesIO(version.read("model.pt"))) as archive:
            return Counter(archive.read(name) for name in archive.namelist() if "/constants/" in name)

    old, new = map(constants, pair)
    assert old - new == Counter([np.float32(pair[0].manifest.threshold.value).tobytes()])
    assert new - old == Counter([np.float32(NEW.value).tobytes()])


@pytest.mark.parametrize("name", ["series", "table", "draws"])
@pytest.mark.parametrize("backend", ["onnxruntime", "torchscript", "eager"])
def test_every_backend_decides_by_the_new_threshold_and_gives_the_same_errors_bit_for_bit(
    recalibrated: Path, name: str, backend: str
) -> None:
    found = ModelRepository(recalibrated)
    old, new = (found.open(name, version) for version in (1, 2))
    window = old.golden().window
    config = BackendConfig(backend=backend, device="cpu")
    before, after = (create_backend(each, config).run(window, each.manifest.output_names) for each in (old, new))
    for output in set(before) - {"anomaly_score", "is_anomaly"}:
        assert before[output].tobytes() == after[output].tobytes()
    error = after["reconstruction_error"]
    np.testing.assert_array_equal(after["is_anomaly"], error > np.float32(NEW.value))
    np.testing.assert_allclose(after["anomaly_score"], np.clip(error / (2 * NEW.value), 0, 1), rtol=1e-6)
    assert (after["is_anomaly"] != before["is_anomaly"]).any()


def test_the_manifest_says_where_the_threshold_and_the_weights_come_from(
    pair: tuple[ModelVersion, ModelVersion],
) -> None:
    old, new = (version.manifest for version in pair)
    assert new.threshold == NEW
    assert new.recalibration is not None
    assert (new.recalibration.from_version, new.recalibration.source) == (1, SOURCE)
    assert (new.training, new.architecture, new.normalisation) == (old.training, old.architecture, old.normalisation)
    assert new.parity.formats.keys() == old.parity.formats.keys()
    assert old.recalibration is None


def test_a_recalibrated_version_can_be_recalibrated(repository: Path) -> None:
    recalibrate(repository / "table", NEW)
    again = recalibrate(repository / "table", Threshold(value=0.25, method="fixed"), version=9).manifest
    assert again.recalibration is not None
    assert (again.version, again.recalibration.from_version, again.threshold.value) == (9, 2, 0.25)


def test_a_torch_export_program_is_rewritten_too(tmp_path: Path) -> None:
    export_checkpoint(table_checkpoint(), tmp_path, name="m", exporter="classic", torch_program=True)
    opened = ModelVersion.open(recalibrate(tmp_path / "m", NEW).folder)
    window = opened.golden().window
    seen = TorchProgramBackend(opened, BackendConfig(device="cpu")).run(window, opened.manifest.output_names)
    assert opened.golden().largest_deviation(opened.manifest, seen)[0] <= 1
    np.testing.assert_array_equal(seen["is_anomaly"], seen["reconstruction_error"] > np.float32(NEW.value))


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_variant_keeps_its_weights_its_precision_and_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    monkeypatch.setattr(variant_attempt, "latencies", fixed_latencies())
    checkpoint = variant_checkpoint()
    fp32 = ModelVersion.open(export_checkpoint(checkpoint, tmp_path, name="m", exporter="classic").folder)
    export_variants(checkpoint, fp32, (precision,))
    old = ModelRepository(tmp_path).open(f"m-{precision}")
    new = ModelVersion.open(recalibrate(old, NEW).folder)
    assert new.manifest.precision == old.manifest.precision
    assert new.manifest.parity.bound == old.manifest.parity.bound
    props = {prop.key: prop.value for prop in onnx.load_from_string(new.read("model.onnx")).metadata_props}
    assert (props["precision"], props["threshold"], props["version"]) == (precision, repr(NEW.value), "2")
    before, after = old.read("model.safetensors"), new.read("model.safetensors")
    assert sum(a != b for a, b in zip(before, after, strict=True)) <= 4
    with Scorer.open(new, BackendConfig(device="cpu")) as scorer:
        result = scorer.score(checkpoint.validation_windows.numpy())
    np.testing.assert_array_equal(result.is_anomaly, result.reconstruction_error > np.float32(NEW.value))


def test_versions_are_never_overwritten_and_the_users_configuration_stays(repository: Path) -> None:
    (repository / "table" / "config.pbtxt").write_text("# mine")
    before = listing(repository)
    with pytest.raises(ExportError, match="version 1 exists; versions are never overwritten"):
        recalibrate(repository / "table", NEW, version=1)
    assert listing(repository) == before
    recalibrate(repository / "table", NEW)
    assert before.items() < listing(repository).items()


def test_a_format_that_is_not_rewritten_right_is_never_published(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing(repository)

    def stale(version: ModelVersion, manifest: object) -> dict[str, bytes]:
        """The graph keeps the old threshold."""
        return files(version, manifest) | {"model.onnx": version.read("model.onnx")}

    files = recalibration.recalibrated_files
    monkeypatch.setattr(recalibration, "recalibrated_files", stale)
    with pytest.raises(ParityError, match="onnx"):
        recalibrate(repository / "table", NEW)
    assert listing(repository) == before


def test_golden_windows_that_do_not_replay_are_never_published(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing(repository)

    def spoilt(version: ModelVersion, manifest: Manifest) -> dict[str, bytes]:
        """The golden reconstruction is another model's."""
        rewritten = files(version, manifest)
        arrays = dict(np.load(io.BytesIO(rewritten["golden.npz"])))
        arrays["reconstruction"] += 1000
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return rewritten | {"golden.npz": buffer.getvalue()}

    files = recalibration.recalibrated_files
    monkeypatch.setattr(recalibration, "recalibrated_files", spoilt)
    with pytest.raises(BackendError, match="reconstruction is off by"):
        recalibrate(repository / "table", NEW)
    assert listing(repository) == before


def test_what_looks_like_a_dead_export_and_is_none_stops_nothing_and_stays(repository: Path, tmp_path: Path) -> None:
    (repository / ".offbeat-file").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (repository / ".offbeat-link").symlink_to(tmp_path / "elsewhere")
    recalibrate(repository / "table", NEW)
    assert (repository / ".offbeat-file").exists()
    assert (tmp_path / "elsewhere").exists()


def test_a_file_that_may_hold_a_threshold_of_its_own_is_refused(repository: Path) -> None:
    opened = ModelVersion.open(repository / "table" / "1")
    (opened.path / "model.plan").write_bytes(b"")
    opened.manifest.files["model.plan"] = FileRecord(n_bytes=0, sha256=hashlib.sha256(b"").hexdigest())
    (opened.path / "manifest.json").write_bytes(opened.manifest.to_json())
    with pytest.raises(ExportError, match=r"model\.plan may hold the threshold"):
        recalibrate(opened.path, NEW)


def test_the_new_folder_is_told_as_the_model_was(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    assert "wrote table/2" in run("table", "--threshold", 0.5).output
    monkeypatch.chdir(repository / "table" / "2")
    assert f"wrote {repository.resolve() / 'table' / '3'}" in run(".", "--threshold", 0.5).output


def test_a_folder_outside_a_repository_is_refused(repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "table" / "1", tmp_path / "copy")
    with pytest.raises(ExportError, match=r"not in a model repository; expected a folder …/table/1"):
        recalibrate(tmp_path / "copy", NEW)


def test_errors_of_labelled_data_are_those_of_its_windows(repository: Path) -> None:
    values = np.random.default_rng(0).normal(size=(LENGTH + 9, 2)).astype(np.float32)
    labels = np.zeros(len(values), np.bool_)
    labels[-1] = True
    dataset = Dataset(name="d", values=values, feature_names=("sensor 0", "sensor 1"), labels=labels)
    with Scorer.open(ModelVersion.open(repository / "series" / "1")) as scorer:
        errors = calibration_errors(scorer, dataset)
        windows = np.stack([values[start : start + LENGTH] for start in range(10)])
        expected = scorer.score(windows).reconstruction_error
    np.testing.assert_array_equal(np.concatenate([errors.normal, errors.anomalous]), expected)
    assert (errors.normal.size, errors.anomalous.size) == (9, 1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Rows for the table, the last five of them far out and labelled."""
    path = tmp_path / "new.csv"
    values = np.random.default_rng(1).normal(size=(200, 5))
    values[-5:] += 500
    lines = [",".join(f"{value:.4f}" for value in row) + f",{int(i >= 195)}" for i, row in enumerate(values)]
    path.write_text("\n".join([",".join([*(f"sensor {i}" for i in range(5)), "fault"]), *lines]))
    return path


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command("recalibrate")(command)
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})


@pytest.mark.parametrize(
    ("flags", "method", "facts"),
    [
        ((), "percentile", {"percentile": 99.0}),
        (("--percentile", 90), "percentile", {"percentile": 90.0}),
        (("--false-alarm-rate", 0.05), "conformal", {"false_alarm_rate": 0.05}),
        (("--threshold-method", "pot"), "pot", {}),
        (("--threshold-method", "best-f1"), "best-f1", {"f1": 1.0}),
    ],
)
def test_the_command_chooses_by_the_models_method_or_by_the_one_asked_for(
    repository: Path, data: Path, flags: tuple[object, ...], method: str, facts: dict[str, float]
) -> None:
    result = run(repository / "table", data, "--label-column", "fault", *flags)
    assert result.exit_code == 0, result.output
    manifest = ModelRepository(repository).open("table").manifest
    assert (manifest.version, manifest.threshold.method) == (2, method)
    assert facts.items() <= {name: getattr(manifest.threshold, name) for name in facts}.items()
    assert manifest.recalibration is not None
    assert manifest.recalibration.source is not None
    assert manifest.recalibration.source.sha256 == read_dataset(data).sha256
    with Scorer.open(ModelVersion.open(repository / "table" / "1")) as scorer:
        errors = scorer.score(read_dataset(data).values[:, :5]).reconstruction_error
    assert (errors[195:] > manifest.threshold.value).all()
    if method == "percentile":
        expected = np.float32(np.percentile(errors[:195].astype(np.float64), manifest.threshold.percentile))
        assert manifest.threshold.value == expected
    for words in ("flagged of 195 normal windows", "weights unchanged", "wrote"):
        assert words in result.output


def test_a_fixed_threshold_needs_no_data(repository: Path) -> None:
    result = run(repository / "table", "--threshold", 0.5)
    assert result.exit_code == 0, result.output
    manifest = ModelRepository(repository).open("table").manifest
    assert (manifest.threshold.value, manifest.threshold.method) == (0.5, "fixed")
    assert manifest.recalibration is not None
    assert manifest.recalibration.source is None


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "data is not given; expected a file, which threshold_method percentile needs"),
        (("--threshold", 0.5, "--percentile", 99), "percentile is 99.0; expected none with threshold_method fixed"),
        (("--threshold", 0.5, "--false-alarm-rate", 0.1), "false_alarm_rate is 0.1; expected none"),
        (("--threshold", -1), "threshold is -1.0; expected a positive"),
        (("--percentile", 101), "percentile is 101.0; expected above 0"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(repository: Path, flags: tuple[object, ...], words: str) -> None:
    before = listing(repository)
    result = run(repository / "table", *flags)
    assert isinstance(result.exception, OffbeatError)
    assert words in str(result.exception)
    assert listing(repository) == before


def test_a_fixed_threshold_is_no_method_to_repeat(repository: Path, data: Path) -> None:
    assert run(repository / "table", "--threshold", 0.5).exit_code == 0
    before = listing(repository)
    for given in ((), (data,)):
        result = run(repository / "table", *given)
        assert isinstance(result.exception, ConfigurationError)
        assert "the model's threshold is fixed (0.5)" in str(result.exception)
        assert "--percentile, --false-alarm-rate, --threshold-method or --threshold" in str(result.exception)
    assert listing(repository) == before
    assert run(repository / "table", data, "--percentile", 90).exit_code == 0


def test_threads_of_the_process_stay_as_they_were(repository: Path) -> None:
    torch.set_num_threads(2)
    recalibrate(repository / "table", NEW)
    assert torch.get_num_threads() == 2


def test_a_version_that_cannot_be_written_is_refused_before_the_data_are_scored(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scored(*_: object) -> None:
        raise AssertionError("the data were scored")

    monkeypatch.setattr(recalibrate_command, "_score", scored)
    names = ModelRepository(exported).open("table", 1).manifest.feature_names
    (tmp_path / "data.csv").write_text(
        ",".join(names) + "\n" + "\n".join(",".join("1" for _ in names) for _ in range(50))
    )
    app = typer.Typer()
    app.command("recalibrate")(command)
    flags = [str(exported / "table"), str(tmp_path / "data.csv"), "--version", "1", "--percentile", "99"]
    result = CliRunner().invoke(app, flags)
    assert isinstance(result.exception, ExportError)
    assert "version 1 exists; versions are never overwritten" in str(result.exception)
