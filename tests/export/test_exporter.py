from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import onnx
import pytest
import torch
from torch import nn

from offbeat.bundle import Manifest, ModelRepository, ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import CheckpointError, ConfigurationError, ExportError, ParityError
from offbeat.scorer import Scorer
from offbeat_export import exporter, onnx_choice, parity_folder
from offbeat_export.exporter import export_checkpoint
from offbeat_export.onnx_tracing import OPSETS, Exporter
from offbeat_export.staging import Staging
from tests.export.checkpoints import CHECKPOINTS, LENGTH, lstm_checkpoint, table_checkpoint
from tests.export.scorers import run_onnx

CPU = BackendConfig(device="cpu")


def _listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("make", CHECKPOINTS.values(), ids=CHECKPOINTS.keys())
def test_every_model_is_exported_with_its_parity_and_replays_its_golden_windows(make, tmp_path: Path) -> None:
    report = export_checkpoint(make(), tmp_path, name="model", exporter="classic")
    assert report.folder == tmp_path / "model" / "1"
    version = ModelRepository(tmp_path).open("model")
    for format_name in ("onnx", "torchscript"):
        figures = version.manifest.parity.formats[format_name]
        assert set(figures.outputs) == set(version.manifest.output_names) - {"is_anomaly"}
        assert all(output.max_relative <= 1e-5 for output in figures.outputs.values())
    Scorer.open(version, CPU).close()


def test_the_folder_holds_what_the_design_says_and_nothing_else(tmp_path: Path) -> None:
    export_checkpoint(lstm_checkpoint(), tmp_path / "new" / "models", name="sensors", exporter="classic")
    assert _listing(tmp_path / "new" / "models") == [
        "sensors",
        "sensors/1",
        "sensors/1/golden.npz",
        "sensors/1/manifest.json",
        "sensors/1/model.onnx",
        "sensors/1/model.pt",
        "sensors/1/model.safetensors",
        "sensors/config.pbtxt",
    ]


def test_the_manifest_says_what_the_checkpoint_knows(tmp_path: Path) -> None:
    checkpoint = lstm_checkpoint(2, 1, threshold=0.1)
    checkpoint.save(tmp_path / "model.ckpt")
    report = export_checkpoint(
        tmp_path / "model.ckpt", tmp_path, name="sensors", description="pumps", exporter="classic"
    )
    manifest = ModelVersion.open(report.folder).manifest
    assert manifest == report.manifest
    assert (manifest.name, manifest.version, manifest.description) == ("sensors", 1, "pumps")
    assert manifest.feature_names == ("sensor 0", "sensor 1")
    assert manifest.threshold.value == float(np.float32(0.1))
    assert (manifest.threshold.method, manifest.threshold.percentile) == ("percentile", 99.0)
    assert manifest.architecture.kind == "lstm_autoencoder"
    assert manifest.architecture.n_parameters == sum(each.numel() for each in checkpoint.state_dict.values())
    assert manifest.metrics == {"roc_auc": 0.99}
    assert manifest.training.best_epoch == 2
    assert manifest.window is not None
    assert (manifest.window.length, manifest.window.min_length, manifest.window.is_time_dynamic) == (LENGTH, 1, True)
    assert manifest.normalisation.mean == tuple(checkpoint.normalisation.mean.tolist())


def test_golden_windows_hold_real_random_constant_zero_and_extreme_ones(tmp_path: Path) -> None:
    checkpoint = lstm_checkpoint(2)
    version = ModelVersion.open(export_checkpoint(checkpoint, tmp_path, name="sensors", exporter="classic").folder)
    golden = version.golden()
    assert golden.window.shape == (32, LENGTH, 2)
    np.testing.assert_array_equal(golden.window[:16], checkpoint.validation_windows.numpy()[:16])
    assert any(not window.any() for window in golden.window)
    assert any((window == window[:1]).all() and window.any() for window in golden.window)
    normalised = (golden.window - version.manifest.normalisation.mean) / np.array(version.manifest.normalisation.scale)
    assert np.abs(normalised).max() > 50
    replayed = run_onnx(version.read("model.onnx"), golden.window)
    assert golden.largest_deviation(version.manifest, replayed)[0] <= 1.0


def test_versions_count_up_and_are_never_overwritten(tmp_path: Path) -> None:
    checkpoint = table_checkpoint()
    assert export_checkpoint(checkpoint, tmp_path, name="t", exporter="classic").manifest.version == 1
    assert export_checkpoint(checkpoint, tmp_path, name="t", version=7, exporter="classic").manifest.version == 7
    assert export_checkpoint(checkpoint, tmp_path, name="t", exporter="classic").manifest.version == 8
    before = (tmp_path / "t" / "7" / "manifest.json").read_bytes()
    with pytest.raises(ExportError, match="version 7 exists; versions are never overwritten"):
        export_checkpoint(checkpoint, tmp_path, name="t", version=7, exporter="classic")
    assert (tmp_path / "t" / "7" / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/tmp/x", "-a", ".hidden", "a\n", "ü", "a" * 129])  # noqa: S108
def test_names_that_could_leave_the_repository_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="name is "):
        export_checkpoint(table_checkpoint(), tmp_path / "models", name=name)
    assert _listing(tmp_path) == []


def test_a_version_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="version is 0"):
        export_checkpoint(table_checkpoint(), tmp_path / "models", name="t", version=0, exporter="classic")


def test_a_file_that_is_no_checkpoint_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match=r"x\.ckpt"):
        export_checkpoint(tmp_path / "x.ckpt", tmp_path / "models", name="t")
    assert _listing(tmp_path) == ["x.ckpt"]


def test_another_shape_under_the_same_name_is_refused(tmp_path: Path) -> None:
    export_checkpoint(table_checkpoint(5), tmp_path, name="t", exporter="classic")
    before = _listing(tmp_path)
    with pytest.raises(ExportError, match="give it another name"):
        export_checkpoint(table_checkpoint(1), tmp_path, name="t", exporter="classic")
    assert _listing(tmp_path) == before


def test_a_configuration_that_the_user_changed_stays(tmp_path: Path) -> None:
    export_checkpoint(table_checkpoint(), tmp_path, name="t", exporter="classic")
    config = tmp_path / "t" / "config.pbtxt"
    config.write_text("# mine\n")
    export_checkpoint(table_checkpoint(), tmp_path, name="t", exporter="classic")
    assert config.read_text() == "# mine\n"
    config.unlink()
    export_checkpoint(table_checkpoint(), tmp_path, name="t", exporter="classic")
    assert config.read_text().startswith("# Written by")


def _defective_onnx(module: nn.Module, manifest: Manifest, exporter_name: Exporter) -> bytes:
    model = onnx.load_from_string(exporter_onnx(module, manifest, exporter_name))
    weight = next(each for each in model.graph.initializer if each.name.endswith((".R", "decoder.8.weight")))
    values = onnx.numpy_helper.to_array(weight) * np.float32(1.001)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    return model.SerializeToString()


def _defective_torchscript(module: nn.Module, manifest: Manifest) -> bytes:
    with torch.no_grad():
        changed = exporter.ScoringModule.of(module.model, module.mean, module.scale * 1.001, module.threshold)
    return exporter_torchscript(changed, manifest)


exporter_onnx, exporter_torchscript = onnx_choice.export_onnx, exporter.export_torchscript


@pytest.mark.parametrize("make", [lstm_checkpoint, table_checkpoint])
@pytest.mark.parametrize(
    ("format_name", "place", "function", "defect"),
    [
        ("onnx", onnx_choice, "export_onnx", _defective_onnx),
        ("torchscript", exporter, "export_torchscript", _defective_torchscript),
    ],
)
def test_a_planted_defect_is_refused_and_nothing_is_written(
    make: Callable,
    format_name: str,
    place: ModuleType,
    function: str,
    defect: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(place, function, defect)
    with pytest.raises(ParityError, match=f"{format_name} misses the parity bound"):
        export_checkpoint(
            make(), tmp_path / "models", name="broken", triton_pytorch=tmp_path / "triton", exporter="classic"
        )
    assert _listing(tmp_path) == ["models", "triton"]


def test_where_the_cleaner_graph_misses_the_bound_the_other_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defective(module: nn.Module, manifest: Manifest, exporter_name: Exporter) -> bytes:
        make = _defective_onnx if exporter_name == "dynamo" else exporter_onnx
        return make(module, manifest, exporter_name)

    monkeypatch.setattr(onnx_choice, "export_onnx", defective)
    manifest = export_checkpoint(lstm_checkpoint(2), tmp_path, name="t").manifest
    assert manifest.graph is not None
    assert (manifest.graph.exporter, manifest.opset) == ("classic", OPSETS["classic"])
    assert "the dynamo exporter's graph was refused: onnx misses the parity bound" in manifest.graph.reason


def test_the_manifest_says_which_exporter_wrote_the_graph_and_why(tmp_path: Path) -> None:
    manifest = export_checkpoint(lstm_checkpoint(2), tmp_path, name="t").manifest
    assert manifest.graph is not None
    assert set(manifest.graph.candidates) == {"classic", "dynamo"}
    chosen = manifest.graph.candidates[manifest.graph.exporter]
    assert chosen.opset == manifest.opset
    assert chosen.n_lstm_nodes == 2
    assert chosen.findings == ()
    assert chosen.n_nodes == min(each.n_nodes for each in manifest.graph.candidates.values())
    assert manifest.graph.reason


def test_the_torch_export_program_lies_in_the_folder_with_its_parity(tmp_path: Path) -> None:
    report = export_checkpoint(lstm_checkpoint(3, 2), tmp_path, name="t", exporter="classic", torch_program=True)
    version = ModelVersion.open(report.folder)
    assert "model.pt2" in version.manifest.files
    assert version.manifest.parity.formats["torch-program"].lengths == (1, 2, LENGTH, 4 * LENGTH)
    program = torch.export.load(report.folder / "model.pt2").module()
    golden = version.golden()
    with torch.inference_mode():
        seen = program(torch.from_numpy(golden.window.copy()))
    outputs = dict(zip(version.manifest.output_names, (each.numpy() for each in seen), strict=True))
    assert golden.largest_deviation(version.manifest, outputs)[0] <= 1.0


def test_a_native_core_that_is_not_there_is_told_and_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity_folder, "backend_names", lambda: ("onnxruntime", "torchscript"))
    report = export_checkpoint(table_checkpoint(), tmp_path, name="t", exporter="classic")
    assert report.unmeasured == {"native": "no such backend in this installation"}
    assert set(report.manifest.parity.formats) == {"onnx", "torchscript"}


def test_the_licence_and_the_provenance_are_in_the_manifest_and_in_the_graph_itself(tmp_path: Path) -> None:
    report = export_checkpoint(table_checkpoint(), tmp_path, name="t", licence="Apache-2.0", exporter="classic")
    properties = {each.key: each.value for each in onnx.load(report.folder / "model.onnx").metadata_props}
    assert report.manifest.licence == properties["licence"] == "Apache-2.0"
    assert json.loads(properties["provenance"]) == msgspec.to_builtins(report.manifest.training)


def test_the_same_checkpoint_gives_the_same_files(tmp_path: Path) -> None:
    reports = [
        export_checkpoint(lstm_checkpoint(2), tmp_path / which, name="t", exporter="dynamo", torch_program=True)
        for which in "ab"
    ]
    first, second = ({name: file.sha256 for name, file in report.manifest.files.items()} for report in reports)
    # TorchScript counts the classes it has seen in this process and writes the number down.
    del first["model.pt"], second["model.pt"]
    assert first == second
    assert reports[0].manifest.parity == reports[1].manifest.parity


_KILLED_EXPORT = """
import sys, time
from pathlib import Path
from offbeat_export import exporter, onnx_choice, parity_folder
from tests.export.checkpoints import table_checkpoint
def stop(*_):
    Path(sys.argv[2]).touch()
    time.sleep(600)
exporter.measure_folder = stop
exporter.export_checkpoint(table_checkpoint(), sys.argv[1], name="t", exporter="classic")
"""


def test_a_killed_export_leaves_the_repository_as_it_was(tmp_path: Path) -> None:
    repository, marker = tmp_path / "models", tmp_path / "reached"
    export_checkpoint(table_checkpoint(), repository, name="t", exporter="classic")
    before = _listing(repository)
    with subprocess.Popen([sys.executable, "-c", _KILLED_EXPORT, str(repository), str(marker)]) as process:
        deadline = time.monotonic() + 200
        while not marker.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        with Staging(repository, "other", None):
            left = [path for path in repository.glob(".offbeat-*/t/2") if path.is_dir()]
            assert len(left) == 1, "a live export's folder must not be taken for a dead one's"
        process.kill()
    assert marker.exists()
    assert [path for path in _listing(repository) if not path.startswith(".")] == before
    assert ModelRepository(repository).names() == ("t",)
    assert ModelRepository(repository).versions("t") == (1,)
    assert export_checkpoint(table_checkpoint(), repository, name="t", exporter="classic").manifest.version == 2
    assert not list(repository.glob(".*"))


def test_exports_at_the_same_time_get_different_versions(tmp_path: Path) -> None:
    folders: list[Path] = []
    meeting = threading.Barrier(8)

    def write() -> None:
        with Staging(tmp_path, "t", None) as staging:
            meeting.wait()
            staging.write("file", str(staging.version).encode())
            folders.append(staging.publish("config"))

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(folder.name) for folder in folders) == list(range(1, 9))
    assert all((folder / "file").read_text() == folder.name for folder in folders)
    assert [path.name for path in tmp_path.iterdir()] == ["t"]
    assert (tmp_path / "t" / "config.pbtxt").read_text() == "config"


def test_a_version_that_another_export_is_writing_is_refused(tmp_path: Path) -> None:
    with Staging(tmp_path, "t", 5):
        with (
            pytest.raises(ExportError, match="version 5 is being written by another export"),
            Staging(tmp_path, "t", 5),
        ):
            pass
        with Staging(tmp_path, "t", None) as staging:
            assert staging.version == 6
        with Staging(tmp_path, "other", 5) as staging:
            assert staging.version == 5


def test_a_version_that_appeared_in_the_meantime_is_not_overwritten(tmp_path: Path) -> None:
    with Staging(tmp_path, "t", 1) as staging:
        staging.write("file", b"ours")
        (tmp_path / "t" / "1").mkdir(parents=True)
        with pytest.raises(ExportError, match="never overwritten"):
            staging.publish("config")
    assert _listing(tmp_path) == ["t", "t/1"]


def test_a_repository_that_cannot_be_written_is_an_export_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"file: cannot be written"):
        export_checkpoint(table_checkpoint(), tmp_path / "file", name="t", exporter="classic")


def test_the_thread_count_of_the_caller_is_kept(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    export_checkpoint(table_checkpoint(), tmp_path, name="t", exporter="classic")
    assert torch.get_num_threads() == 2


def test_each_step_is_announced(tmp_path: Path) -> None:
    steps: list[str] = []
    export_checkpoint(table_checkpoint(), tmp_path, name="t", announce=steps.append, torch_program=True)
    assert steps[0] == "reading the checkpoint"
    expected = {"writing model.onnx (dynamo exporter)", "writing model.pt2", "replaying the golden windows"}
    assert expected <= set(steps)
    assert "measuring parity: mixed, batch 512" in steps
