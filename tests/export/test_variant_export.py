from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest

from offbeat.bundle import ModelRepository, ModelVersion
from offbeat.config import BackendConfig
from offbeat.data import Dataset
from offbeat.errors import BundleError, ConfigurationError, DataError, ExportError
from offbeat.result import FloatArray
from offbeat.scorer import Scorer
from offbeat_export import export_checkpoint, variant_attempt, variant_candidate
from offbeat_export.precision_latency import latencies
from offbeat_export.variant_export import export_variants, find_source
from tests.export.checkpoints import LENGTH, lstm_checkpoint, preset_checkpoint, table_checkpoint
from tests.export.scorers import run_onnx
from tests.export.variants import Float32Versions, dataset_of, fixed_latencies, series, table

CPU = BackendConfig(device="cpu")


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variant_attempt, "latencies", fixed_latencies())


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Float32Versions:
    return Float32Versions(tmp_path_factory.mktemp("float32"))


def _listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("make", [series, table])
def test_every_variant_is_a_smaller_model_beside_its_float32_one_and_every_loader_takes_it(
    make, versions: Float32Versions, tmp_path: Path
) -> None:
    checkpoint = make()
    fp32 = versions.in_repository(tmp_path, checkpoint)
    reports = export_variants(checkpoint, fp32, ("fp32", "fp16", "bf16", "int8"))
    repository = ModelRepository(tmp_path)
    assert repository.names() == ("m", "m-bf16", "m-fp16", "m-int8")
    window = checkpoint.validation_windows.numpy()
    with Scorer.open(fp32, CPU) as scorer:
        expected = scorer.score(window).reconstruction_error
    for report in reports:
        version = repository.open(f"m-{report.precision}")
        assert (version.path, version.manifest, report.refusal) == (report.folder, report.manifest, None)
        assert version.manifest.threshold == fp32.manifest.threshold
        assert (version.manifest.inputs, version.manifest.outputs) == (fp32.manifest.inputs, fp32.manifest.outputs)
        for backend in ("onnxruntime", "eager"):
            with Scorer.open(version, BackendConfig(backend=backend, device="cpu")) as scorer:
                seen = scorer.score(window).reconstruction_error
            np.testing.assert_allclose(seen, expected, rtol=0.05)


def test_a_variant_says_what_it_is_and_where_it_comes_from(versions: Float32Versions, tmp_path: Path) -> None:
    fp32 = versions.in_repository(tmp_path, series())
    (report,) = export_variants(series(), fp32, ("bf16",))
    assert report.folder is not None
    files = ["golden.npz", "manifest.json", "model.onnx", "model.safetensors"]
    assert _listing(tmp_path / "m-bf16") == ["1", *(f"1/{name}" for name in files), "config.pbtxt"]
    assert 'name: "m-bf16"' in (tmp_path / "m-bf16" / "config.pbtxt").read_text()
    properties = {each.key: each.value for each in onnx.load(report.folder / "model.onnx").metadata_props}
    assert (properties["name"], properties["precision"]) == ("m-bf16", "bf16")
    manifest = ModelVersion.open(report.folder).manifest
    record = manifest.precision
    assert record is not None
    assert record == report.record
    assert (record.weights, record.arithmetic, record.integer_quality) == ("bf16", "float32", None)
    assert (record.source.name, record.source.version) == ("m", 1)
    assert record.source.weights_sha256 == fp32.manifest.files["model.safetensors"].sha256
    assert record.size.n_bytes == sum(manifest.files[name].n_bytes for name in ("model.onnx", "model.safetensors"))
    assert record.size.n_bytes < 0.95 * record.size.fp32_n_bytes
    assert record.engines["onnxruntime"].quality.data is None
    with pytest.raises(BundleError, match=r"model\.pt is not in this folder"):
        Scorer.open(ModelVersion.open(report.folder), BackendConfig(backend="torchscript", device="cpu"))


def test_sixteen_bits_keep_float32s_bound_and_int8_has_room_for_integer_engines(
    versions: Float32Versions, tmp_path: Path
) -> None:
    fp16, int8 = export_variants(series(), versions.in_repository(tmp_path, series()), ("fp16", "int8"))
    assert fp16.manifest is not None
    assert int8.manifest is not None
    assert int8.record is not None
    assert fp16.manifest.parity.bound == 1e-5
    assert 1e-5 < int8.manifest.parity.bound < 0.1
    # The file itself computes in float32, and is as near to eager as any float32 file.
    assert int8.record.arithmetic == "float32"
    assert int8.manifest.parity.formats["onnx"].outputs["reconstruction_error"].max_relative <= 1e-5
    assert int8.record.integer_quality is not None
    assert int8.record.integer_quality.rank_correlation > 0.99


def test_integers_are_taken_where_they_are_faster_and_the_file_says_so(
    versions: Float32Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variant_candidate, "WORTHWHILE_ELEMENTS", 1000)
    monkeypatch.setattr(variant_attempt, "latencies", fixed_latencies(int8_dynamic=0.5))
    (report,) = export_variants(series(), versions.in_repository(tmp_path, series()), ("int8",))
    assert report.folder is not None
    assert report.record is not None
    assert report.record.arithmetic == "int8-dynamic"
    assert {each.domain for each in onnx.load(report.folder / "model.onnx").opset_import} == {"", "com.microsoft"}
    version = ModelVersion.open(report.folder)
    Scorer.open(version, CPU).close()
    figures = version.manifest.parity.formats["onnx"]
    assert figures.outputs["reconstruction_error"].max_relative <= version.manifest.parity.bound / 2


def test_calibration_data_make_static_scales_in_standard_operators(
    versions: Float32Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variant_candidate, "WORTHWHILE_ELEMENTS", 500)
    monkeypatch.setattr(variant_attempt, "latencies", fixed_latencies(int8_dynamic=0.8, int8_static=0.5))
    source, window = versions.in_repository(tmp_path, table()), table().validation_windows.numpy()
    (report,) = export_variants(table(), source, ("int8",), calibration=dataset_of(table()))
    assert report.folder is not None
    assert report.record is not None
    assert report.record.arithmetic == "int8-static"
    proto = onnx.load(report.folder / "model.onnx")
    assert {each.domain for each in proto.opset_import} == {""}
    assert {"QuantizeLinear", "MatMulInteger"} <= {node.op_type for node in proto.graph.node}
    np.testing.assert_array_equal(ModelVersion.open(report.folder).golden().window[:20], window)
    assert run_onnx(proto.SerializeToString(), window[:1] * 1e6)["is_anomaly"].all()


def test_labelled_data_are_judged_and_named(versions: Float32Versions, tmp_path: Path) -> None:
    source, labelled = versions.in_repository(tmp_path, series()), dataset_of(series(), labels=True)
    (report,) = export_variants(series(), source, ("int8",), labelled=labelled)
    assert report.record is not None
    quality = report.record.engines["onnxruntime"].quality
    assert quality.data is not None
    assert (quality.data.name, quality.unit, quality.n, quality.n_anomalous) == ("given.csv", "window", 40, 20)
    assert quality.decision_agreement > 0.9
    assert quality.fp32_roc_auc > 0.9


def test_what_is_neither_smaller_nor_faster_is_refused_and_nothing_is_written(
    versions: Float32Versions, tmp_path: Path
) -> None:
    checkpoint = table_checkpoint(1)
    source = versions.in_repository(tmp_path, checkpoint)
    before = _listing(tmp_path)
    (report,) = export_variants(checkpoint, source, ("int8",))
    assert (report.folder, report.manifest) == (None, None)
    assert report.record is not None
    assert "float32: neither smaller nor faster: " in str(report.refusal)
    assert _listing(tmp_path) == before


def test_what_detects_worse_is_refused_with_its_figures_and_nothing_of_it_stays(
    versions: Float32Versions, tmp_path: Path
) -> None:
    source = versions.in_repository(tmp_path, table())
    # Of many rows the two hundred whose errors are nearest to each other: rounding changes their order, and labels follow it.
    drawn = np.random.default_rng(0).standard_normal((20_000, 8)).astype(np.float32)
    with Scorer.open(source, CPU) as scorer:
        errors = scorer.score(drawn).reconstruction_error
        values = drawn[np.argsort(errors)[10_000:10_200]]
        errors = scorer.score(values).reconstruction_error
    names, labels = table().feature_names, errors > np.median(errors)
    alike = Dataset(name="alike", values=values, feature_names=names, labels=labels)
    before = _listing(tmp_path)
    (report,) = export_variants(table(), source, ("int8",), labelled=alike, max_quality_loss=0.0)
    assert report.record is not None
    quality = report.record.engines["onnxruntime"].quality
    assert quality.fp32_roc_auc == 1.0
    assert quality.roc_auc_loss > 0
    assert "float32: ROC-AUC on onnxruntime falls by 0." in str(report.refusal)
    assert _listing(tmp_path) == before
    (allowed,) = export_variants(table(), source, ("int8",), labelled=alike)
    assert allowed.folder is not None


def test_a_weight_that_float16_cannot_hold_refuses_that_variant_alone(
    versions: Float32Versions, tmp_path: Path
) -> None:
    checkpoint = preset_checkpoint(3, hidden_size=24)
    checkpoint.state_dict["output.weight"][0, 0] = 7e4
    source = versions.in_repository(tmp_path, checkpoint)
    fp16, bf16 = export_variants(checkpoint, source, ("fp16", "bf16"), max_quality_loss=1.0)
    assert fp16.refusal == "output.weight holds 70000; expected at most 65504, the largest fp16"
    assert bf16.folder is not None


def test_variants_take_their_float32_versions_number_or_a_newer_one(versions: Float32Versions, tmp_path: Path) -> None:
    source = versions.in_repository(tmp_path, series())
    folders = [export_variants(series(), source, ("bf16",))[0].folder for _ in range(2)]
    assert folders == [tmp_path / "m-bf16" / "1", tmp_path / "m-bf16" / "2"]
    assert export_variants(series(), source, ("bf16",), version=9)[0].folder == tmp_path / "m-bf16" / "9"
    with pytest.raises(ExportError, match="version 9 exists"):
        export_variants(series(), source, ("bf16",), version=9)


def test_a_variant_is_measured_beside_the_newest_version_of_the_same_weights(
    versions: Float32Versions, tmp_path: Path
) -> None:
    source = versions.in_repository(tmp_path, series())
    export_checkpoint(preset_checkpoint(3, hidden_size=24, bridge="state"), tmp_path, name="m", exporter="classic")
    assert find_source(series(), tmp_path, "m").path == source.path
    with pytest.raises(ExportError, match=r"no version with the checkpoint's weights among 1, 2; .*export fp32 too"):
        find_source(lstm_checkpoint(3), tmp_path, "m")
    with pytest.raises(ExportError, match=r"no version with the checkpoint's weights among none; "):
        find_source(series(), tmp_path, "absent")
    with pytest.raises(ExportError, match="its weights are not the checkpoint's"):
        export_variants(lstm_checkpoint(3), source, ("int8",))


def test_data_and_losses_that_do_not_fit_are_refused_first(versions: Float32Versions, tmp_path: Path) -> None:
    checkpoint, source = series(), versions.in_repository(tmp_path, series())
    with pytest.raises(ConfigurationError, match=r"max_quality_loss is 1\.5; expected 0 to 1"):
        export_variants(checkpoint, source, ("int8",), max_quality_loss=1.5)
    with pytest.raises(ConfigurationError, match="precision is 'fp8'; expected some of fp32, fp16, bf16, int8"):
        export_variants(checkpoint, source, ("fp8",))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no labels"):
        export_variants(checkpoint, source, ("int8",), labelled=dataset_of(checkpoint))
    long = msgspec.structs.replace(dataset_of(checkpoint), values=np.zeros((4, LENGTH + 1, 3), np.float32))
    with pytest.raises(DataError, match=r"expected \[12, 3\], as trained"):
        export_variants(checkpoint, source, ("int8",), calibration=long)
    assert ModelRepository(tmp_path).names() == ("m",)


class Sleepless:
    """A backend that only notes its calls."""

    description = ""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self._calls = name, calls

    def run(self, window: FloatArray, outputs: object) -> dict:
        self._calls.append(f"{self.name} {len(window)}")
        return {}

    def close(self) -> None: ...


def test_latencies_are_taken_in_turns_and_beside_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr("offbeat_export.precision_latency.SECONDS", 0.0)
    measured = latencies(Sleepless("fp32", calls), {"float32": Sleepless("own", calls)}, np.zeros((64, 2), np.float32))
    assert [figures.batch for figures in measured["float32"]] == [1, 64]
    assert calls[:8] == ["fp32 1", "fp32 1", "own 1", "own 1"] * 2
    assert calls.count("own 64") == calls.count("fp32 64") == 10
    assert all(figures.ratio > 0 for figures in measured["float32"])
