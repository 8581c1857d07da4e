"""A new version of a model with another threshold and the same weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path

import msgspec
import numpy as np

from offbeat.backends import create_backend
from offbeat.bundle import Manifest, ModelVersion, open_version
from offbeat.bundle.manifest import Recalibration
from offbeat.bundle.model_version import MODEL_SAFETENSORS, MODEL_TORCHSCRIPT
from offbeat.bundle.precision_record import Arithmetic
from offbeat.config import BackendConfig
from offbeat.errors import ExportError, ParityError
from offbeat.provenance import DataSource
from offbeat.result import FloatArray, Threshold
from offbeat.scorer import Scorer
from offbeat_export.config_pbtxt import config_pbtxt
from offbeat_export.exporter import REPLAYED_BACKENDS
from offbeat_export.parity_folder import measure_folder
from offbeat_export.parity_measurement import measure_parity
from offbeat_export.parity_report import ParityReport
from offbeat_export.recalibrate_files import recalibrated_files
from offbeat_export.safetensors_export import import_safetensors
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.staging import Staging, check_version
from offbeat_export.torch_threads import threads_restored
from offbeat_export.variant_parity import cases_of
from offbeat_export.version_draft import VersionDraft
from offbeat_export.window_source import WindowSource


@dataclass(frozen=True, kw_only=True)
class RecalibrationReport:
    """What was written: the new version's folder and manifest, and the parity measured with the new threshold."""

    folder: Path
    manifest: Manifest
    parity: tuple[ParityReport, ...]


def recalibrate(
    model: ModelVersion | str | os.PathLike[str],
    threshold: Threshold,
    *,
    source: DataSource | None = None,
    version: int | None = None,
    announce: Callable[[str], None] = lambda step: None,
) -> RecalibrationReport:
    """Writes a version of `model` with another threshold beside it, the next free one, or `version`; weights stay, bit for bit.

    `source` is the data that the threshold was taken from. The version appears whole or not at all, after its parity was
    measured and its golden windows were replayed with the new threshold. Raises ParityError, ExportError, BundleError; nothing is written
    then.
    """
    opened = model if isinstance(model, ModelVersion) else open_version(model)
    repository = _repository_of(opened)
    with threads_restored(), Staging(repository, opened.manifest.name, version) as staging:
        announce("writing the threshold")
        draft = VersionDraft(staging, _manifest(opened.manifest, staging.version, threshold, source))
        for name, content in recalibrated_files(opened, draft.manifest).items():
            draft.write(name, content)
        announce("measuring parity")
        reports = _measure(draft.open())
        manifest = draft.close(reports)
        announce("replaying the golden windows")
        _replay(ModelVersion.open(draft.folder))
        folder = staging.publish(config_pbtxt(manifest))
    return RecalibrationReport(folder=folder, manifest=manifest, parity=reports)


def check_place(model: ModelVersion, version: int | None) -> None:
    """Before the data are scored, not after. Raises ExportError where `recalibrate` could not write the version."""
    check_version(_repository_of(model), model.manifest.name, version)


def _repository_of(version: ModelVersion) -> Path:
    """As the path was given, where that names the model and the version; `.` in a version's folder does not."""
    expected = (version.manifest.name, str(version.manifest.version))
    for folder in (version.path, version.path.resolve()):
        if (folder.parent.name, folder.name) == expected:
            return folder.parent.parent
    raise ExportError(f"{version.path}: is not in a model repository; expected a folder …/{'/'.join(expected)}")


def _manifest(origin: Manifest, version: int, threshold: Threshold, source: DataSource | None) -> Manifest:
    """The new manifest, with no files yet and the parity of the old one still in it."""
    recalibration = Recalibration(
        from_version=origin.version,
        source=source,
        recalibrated_at=datetime.now(UTC).isoformat(timespec="seconds"),
        offbeat_version=installed_version("offbeat"),
    )
    as_float32 = msgspec.structs.replace(threshold, value=float(np.float32(threshold.value)))
    return msgspec.structs.replace(origin, version=version, threshold=as_float32, recalibration=recalibration, files={})


def _measure(opened: ModelVersion) -> tuple[ParityReport, ...]:
    """As the version was measured when it was exported, with the golden file's real windows in the place of the checkpoint's."""
    manifest, where = opened.manifest, str(opened.path / MODEL_SAFETENSORS)
    module = import_safetensors(opened.read(MODEL_SAFETENSORS), manifest, where)
    source = WindowSource(manifest, _real_windows(opened))
    if manifest.precision is not None:
        return (_measure_variant(opened, module, source, manifest.precision.arithmetic),)
    parity = measure_folder(opened, module, source)
    parity.check()
    return parity.reports


def _measure_variant(
    opened: ModelVersion, module: ScoringModule, source: WindowSource, arithmetic: Arithmetic
) -> ParityReport:
    """A variant's graph against what its stored weights give in float32, within the bound that its manifest has."""
    manifest = opened.manifest
    with closing(create_backend(opened, _config("onnxruntime"))) as backend:
        (report,) = measure_parity(module, manifest, {"onnx": backend}, cases_of(arithmetic, manifest, source))
    if arithmetic == "float32":
        report.check()
    elif report.worst is not None and not report.worst.relative <= manifest.parity.bound:
        raise ParityError(
            f"onnx differs by {report.worst.relative:.3g} relative in {report.worst.output}, case '{report.worst.case}'; "
            f"expected at most the variant's bound of {manifest.parity.bound:g}"
        )
    return report


def _real_windows(opened: ModelVersion) -> FloatArray:
    """The first half of the golden windows was held out from training; the rest is made up."""
    window = opened.golden().window
    return window[: max(1, len(window) // 2)]


def _replay(opened: ModelVersion) -> None:
    """On every backend whose file the version has: variants have no TorchScript."""
    for backend in REPLAYED_BACKENDS:
        if backend != "torchscript" or MODEL_TORCHSCRIPT in opened.manifest.files:
            Scorer.open(opened, _config(backend)).close()


def _config(backend: str) -> BackendConfig:
    return BackendConfig(backend=backend, device="cpu", n_threads=1)
