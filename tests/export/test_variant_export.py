from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch

from offbeat.backends import Backend
from offbeat.bundle import ModelRepository, ModelVersion
from offbeat.bundle.precision_record import Arithmetic, PrecisionLatency
from offbeat.config import BackendConfig
from offbeat.data import Dataset
from offbeat.errors import BundleError, ConfigurationError, DataError, ExportError
from offbeat.result import FloatArray
from offbeat.scorer import Scorer
from offbeat_export import export_checkpoint, variant_attempt, variant_candidate
from offbeat_export.precision_latency import Latencies, latencies
from offbeat_export.variant_export import VariantReport, export_variants
from offbeat_training.architectures import Autoencoder
from offbeat_training.checkpoint import Checkpoint
from tests.export.checkpoints import LENGTH, checkpoint_of, lstm_checkpoint, preset_checkpoint, table_checkpoint
from tests.export.scorers import run_onnx

CPU = BackendConfig(device="cpu")


def _instead_of_a_clock(**ratios: float) -> Callable[..., dict[Arithmetic, Latencies]]:
    """Latencies by arithmetic, `-` written as `_`: what is tested here does not hang on the machine's speed."""

    def measured(fp32: Backend, contenders: Mapping[Arithmetic, Backend], windows: FloatArray) -> dict:
        figures = {"median_us": 1.0, "fp32_median_us": 1.0}
        return {
            name: (PrecisionLatency(batch=1, ratio=ratios.get(name.replace("-", "_"), 1.0), **figures),)
            for name in contenders
        }

    return measured


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variant_attempt, "latencies", _instead_of_a_clock())


def _series() -> Checkpoint:
    return preset_checkpoint(3, hidden_size=24)


def _table() -> Checkpoint:
    torch.manual_seed(0)
    return checkpoint_of(Autoencoder(8, hidden_sizes=(64, 32), latent_dim=4))


def _export(checkpoint: Checkpoint, repository: Path, *precisions: str, **options) -> dict[str, VariantReport]:
    folder = export_checkpoint(checkpoint, repository, name="m").folder
    reports = export_variants(checkpoint, ModelVersion.open(folder), precisions, **options)
    return {report.precision: report for report in reports}


def _listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("make", [_series, _table], ids=["series", "table"])
def test_every_variant_is_a_smaller_model_beside_its_float32_one_and_every_loader_takes_it(
    make, tmp_path: Path
) -> None:
    checkpoint = make()
    reports = _export(checkpoint, tmp_path, "fp32", "fp16", "bf16", "int8")
    repository = ModelRepository(tmp_path)
    assert repository.names() == ("m", "m-bf16", "m-fp16", "m-int8")
    fp32 = repository.open("m")
    window = checkpoint.validation_windows.numpy()
    with Scorer.open(fp32, CPU) as scorer:
        expected = scorer.score(window).reconstruction_error
    for precision, report in reports.items():
        assert report.refusal is None
        version = repository.open(f"m-{precision}")
        assert version.path == report.folder
        assert version.manifest == report.manifest
        record = version.manifest.precision
        assert record is not None
        assert (record.weights, record.arithmetic) == (precision, "float32")
        assert (record.source.name, record.source.version) == ("m", 1)
        assert record.source.weights_sha256 == fp32.manifest.files["model.safetensors"].sha256
        assert record.size.n_bytes == sum(
            version.manifest.files[n].n_bytes for n in ("model.onnx", "model.safetensors")
        )
        assert record.size.n_bytes < 0.95 * record.size.fp32_n_bytes
        assert record.quality.data is None
        assert version.manifest.threshold == fp32.manifest.threshold
        assert (version.manifest.inputs, version.manifest.outputs) == (fp32.manifest.inputs, fp32.manifest.outputs)
        for backend in ("onnxruntime", "eager"):
            with Scorer.open(version, BackendConfig(backend=backend, device="cpu")) as scorer:
                seen = scorer.score(window).reconstruction_error
            np.testing.assert_allclose(seen, expected, rtol=0.05)


def test_a_variant_explains_itself_and_lists_no_torchscript(tmp_path: Path) -> None:
    report = _export(_series(), tmp_path, "bf16")["bf16"]
    assert _listing(tmp_path / "m-bf16") == [
        "1",
        "1/golden.npz",
        "1/manifest.json",
        "1/model.onnx",
        "1/model.safetensors",
        "config.pbtxt",
    ]
    assert 'name: "m-bf16"' in (tmp_path / "m-bf16" / "config.pbtxt").read_text()
    assert report.folder is not None
    properties = {each.key: each.value for each in onnx.load(report.folder / "model.onnx").metadata_props}
    assert (properties["name"], properties["precision"]) == ("m-bf16", "bf16")
    with pytest.raises(BundleError, match=r"model\.pt is not in this folder"):
        Scorer.open(ModelVersion.open(report.folder), BackendConfig(backend="torchscript", device="cpu"))


def test_sixteen_bit_engines_keep_float32s_bound_and_int8_allows_integer_engines(tmp_path: Path) -> None:
    reports = _export(_series(), tmp_path, "fp16", "int8")
    bounds = {precision: report.manifest.parity.bound for precision, report in reports.items() if report.manifest}
    assert bounds["fp16"] == 1e-5
    assert 1e-5 < bounds["int8"] < 0.1
    golden = ModelVersion.open(tmp_path / "m-int8" / "1").golden()
    assert golden.window.shape == (32, LENGTH, 3)


def test_integers_are_taken_where_they_are_faster_and_the_file_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variant_candidate, "WORTHWHILE_ELEMENTS", 1000)
    monkeypatch.setattr(variant_attempt, "latencies", _instead_of_a_clock(int8_dynamic=0.5))
    report = _export(_series(), tmp_path, "int8")["int8"]
    assert report.folder is not None
    assert report.record is not None
    assert report.record.arithmetic == "int8-dynamic"
    domains = {each.domain for each in onnx.load(report.folder / "model.onnx").opset_import}
    assert domains == {"", "com.microsoft"}
    version = ModelVersion.open(report.folder)
    Scorer.open(version, CPU).close()
    figures = version.manifest.parity.formats["onnx"]
    assert figures.outputs["reconstruction_error"].max_relative <= version.manifest.parity.bound / 2


def test_calibration_data_make_static_scales_in_standard_operators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variant_candidate, "WORTHWHILE_ELEMENTS", 500)
    monkeypatch.setattr(variant_attempt, "latencies", _instead_of_a_clock(int8_dynamic=0.8, int8_static=0.5))
    checkpoint = _table()
    report = _export(checkpoint, tmp_path, "int8", calibration=_dataset(checkpoint))["int8"]
    assert report.folder is not None
    assert report.record is not None
    assert report.record.arithmetic == "int8-static"
    proto = onnx.load(report.folder / "model.onnx")
    assert {each.domain for each in proto.opset_import} == {""}
    assert {"QuantizeLinear", "MatMulInteger"} <= {node.op_type for node in proto.graph.node}
    golden = ModelVersion.open(report.folder).golden()
    np.testing.assert_array_equal(golden.window[:20], checkpoint.validation_windows.numpy())
    outlier = checkpoint.validation_windows.numpy()[:1] * 1e6
    assert run_onnx(proto.SerializeToString(), outlier)["is_anomaly"].all()


def _dataset(checkpoint: Checkpoint, labels: bool = False) -> Dataset:
    normal = checkpoint.validation_windows.numpy()
    values = np.concatenate([normal, normal + 3 * checkpoint.normalisation.scale.numpy()]) if labels else normal
    return Dataset(
        name="given.csv",
        values=values,
        feature_names=checkpoint.feature_names,
        labels=np.arange(len(values)) >= len(normal) if labels else None,
    )


def test_labelled_data_are_judged_and_named(tmp_path: Path) -> None:
    checkpoint = _series()
    report = _export(checkpoint, tmp_path, "int8", labelled=_dataset(checkpoint, labels=True))["int8"]
    assert report.record is not None
    quality = report.record.quality
    assert quality.data is not None
    assert (quality.data.name, quality.unit, quality.n, quality.n_anomalous) == ("given.csv", "window", 40, 20)
    assert quality.decision_agreement > 0.9
    assert quality.fp32_roc_auc > 0.9


def test_what_is_neither_smaller_nor_faster_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    report = _export(table_checkpoint(1), tmp_path, "int8")["int8"]
    assert report.folder is None
    assert report.record is not None
    assert "float32: neither smaller nor faster: " in str(report.refusal)
    assert _listing(tmp_path) == [name for name in _listing(tmp_path) if name == "m" or name.startswith("m/")]


def test_what_detects_worse_is_refused_with_its_figures_and_nothing_of_it_stays(tmp_path: Path) -> None:
    checkpoint = _table()
    source = ModelVersion.open(export_checkpoint(checkpoint, tmp_path, name="m").folder)
    # Of many rows the two hundred whose errors are nearest to each other: rounding changes their order, and labels follow it.
    drawn = np.random.default_rng(0).standard_normal((20_000, 8)).astype(np.float32)
    with Scorer.open(source, CPU) as scorer:
        errors = scorer.score(drawn).reconstruction_error
        values = drawn[np.argsort(errors)[10_000:10_200]]
        errors = scorer.score(values).reconstruction_error
    alike = Dataset(
        name="alike", values=values, feature_names=checkpoint.feature_names, labels=errors > np.median(errors)
    )
    before = _listing(tmp_path)
    (report,) = export_variants(checkpoint, source, ("int8",), labelled=alike, max_quality_loss=0.0)
    assert report.record is not None
    assert report.record.quality.fp32_roc_auc == 1.0
    assert report.record.quality.roc_auc_loss > 0
    assert "float32: ROC-AUC falls by 0." in str(report.refusal)
    assert _listing(tmp_path) == before
    (allowed,) = export_variants(checkpoint, source, ("int8",), labelled=alike)
    assert allowed.folder is not None


def test_a_weight_that_float16_cannot_hold_refuses_that_variant_alone(tmp_path: Path) -> None:
    checkpoint = _series()
    checkpoint.state_dict["output.weight"][0, 0] = 7e4
    reports = _export(checkpoint, tmp_path, "fp16", "bf16", max_quality_loss=1.0)
    assert reports["fp16"].refusal == ("output.weight holds 70000; expected at most 65504, the largest fp16")
    assert reports["bf16"].folder is not None


def test_variants_take_their_float32_versions_number_where_that_is_newer(tmp_path: Path) -> None:
    checkpoint = _series()
    first = ModelVersion.open(export_checkpoint(checkpoint, tmp_path, name="m", version=3).folder)
    assert [export_variants(checkpoint, first, ("bf16",))[0].folder for _ in range(2)] == [
        tmp_path / "m-bf16" / "3",
        tmp_path / "m-bf16" / "4",
    ]
    assert export_variants(checkpoint, first, ("bf16",), version=9)[0].folder == tmp_path / "m-bf16" / "9"
    with pytest.raises(ExportError, match="version 9 exists"):
        export_variants(checkpoint, first, ("bf16",), version=9)


def test_a_version_of_other_weights_is_no_source(tmp_path: Path) -> None:
    source = ModelVersion.open(export_checkpoint(_series(), tmp_path, name="m").folder)
    with pytest.raises(ExportError, match="its weights are not the checkpoint's"):
        export_variants(lstm_checkpoint(3), source, ("int8",))


def test_data_and_losses_that_do_not_fit_are_refused_first(tmp_path: Path) -> None:
    checkpoint = _series()
    source = ModelVersion.open(export_checkpoint(checkpoint, tmp_path, name="m").folder)
    with pytest.raises(ConfigurationError, match=r"max_quality_loss is 1\.5; expected 0 to 1"):
        export_variants(checkpoint, source, ("int8",), max_quality_loss=1.5)
    with pytest.raises(DataError, match="no labels"):
        export_variants(checkpoint, source, ("int8",), labelled=_dataset(checkpoint))
    long = msgspec.structs.replace(_dataset(checkpoint), values=np.zeros((4, LENGTH + 1, 3), np.float32))
    with pytest.raises(DataError, match=r"expected \[12, 3\], as trained"):
        export_variants(checkpoint, source, ("int8",), calibration=long)
    assert ModelRepository(tmp_path).names() == ("m",)


def test_latencies_are_taken_in_turns_and_beside_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    class Sleepless:
        description = ""

        def __init__(self, name: str) -> None:
            self.name = name

        def run(self, window: FloatArray, outputs: object) -> dict:
            calls.append(f"{self.name} {len(window)}")
            return {}

        def close(self) -> None: ...

    monkeypatch.setattr("offbeat_export.precision_latency.SECONDS", 0.0)
    measured = latencies(Sleepless("fp32"), {"float32": Sleepless("own")}, np.zeros((64, 2), np.float32))
    assert [figures.batch for figures in measured["float32"]] == [1, 64]
    assert calls[:8] == ["fp32 1", "fp32 1", "own 1", "own 1"] * 2
    assert calls.count("own 64") == calls.count("fp32 64") == 10
    assert all(figures.ratio > 0 for figures in measured["float32"])
