"""A new version of a model with another threshold and the same weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path

import msgspec
import numpy as np

from offbeat.backends import create_backend
from offbeat.bundle import Manifest, ModelVersion, open_version
from offbeat.bundle.manifest import FileRecord, Parity, Recalibration
from offbeat.bundle.model_version import MANIFEST, MODEL_SAFETENSORS
from offbeat.config import BackendConfig
from offbeat.errors import ExportError
from offbeat.provenance import DataSource
from offbeat.result import FloatArray, Threshold
from offbeat.scorer import Scorer
from offbeat_export.config_pbtxt import config_pbtxt
from offbeat_export.exporter import MEASURED_BACKENDS, REPLAYED_BACKENDS
from offbeat_export.parity_cases import parity_cases
from offbeat_export.parity_measurement import measure_parity
from offbeat_export.parity_report import ParityReport
from offbeat_export.recalibrate_files import recalibrated_files
from offbeat_export.safetensors_export import import_safetensors
from offbeat_export.staging import Staging
from offbeat_export.torch_threads import threads_restored
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
        draft = _draft(opened.manifest, staging.version, threshold, source)
        contents = recalibrated_files(opened, draft)
        for name, content in contents.items():
            staging.write(name, content)
        draft = msgspec.structs.replace(draft, files={name: _record(each) for name, each in contents.items()})
        staging.write(MANIFEST, draft.to_json())
        announce("measuring parity")
        reports = _measure(ModelVersion.open(staging.folder))
        manifest = msgspec.structs.replace(draft, parity=_parity(draft, reports))
        staging.write(MANIFEST, manifest.to_json())
        announce("replaying the golden windows")
        _replay(ModelVersion.open(staging.folder))
        folder = staging.publish(config_pbtxt(manifest))
    return RecalibrationReport(folder=folder, manifest=manifest, parity=reports)


def _repository_of(version: ModelVersion) -> Path:
    folder, manifest = version.path.resolve(), version.manifest
    expected = Path(manifest.name) / str(manifest.version)
    if Path(folder.parent.name) / folder.name != expected:
        raise ExportError(f"{version.path}: is not in a model repository; expected a folder …/{expected}")
    return folder.parent.parent


def _draft(origin: Manifest, version: int, threshold: Threshold, source: DataSource | None) -> Manifest:
    """The new manifest, with the files and the parity of the old one still in it."""
    recalibration = Recalibration(
        from_version=origin.version,
        source=source,
        recalibrated_at=datetime.now(UTC).isoformat(timespec="seconds"),
        offbeat_version=installed_version("offbeat"),
    )
    as_float32 = msgspec.structs.replace(threshold, value=float(np.float32(threshold.value)))
    return msgspec.structs.replace(origin, version=version, threshold=as_float32, recalibration=recalibration)


def _record(content: bytes) -> FileRecord:
    return FileRecord(n_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _measure(opened: ModelVersion) -> tuple[ParityReport, ...]:
    """As an export does, with the golden file's real windows in the place of the checkpoint's."""
    manifest, where = opened.manifest, str(opened.path / MODEL_SAFETENSORS)
    module = import_safetensors(opened.read(MODEL_SAFETENSORS), manifest, where)
    formats = {name: MEASURED_BACKENDS[name] for name in manifest.parity.formats if name in MEASURED_BACKENDS}
    with ExitStack() as stack:
        backends = {
            name: stack.enter_context(closing(create_backend(opened, _config(backend))))
            for name, backend in formats.items()
        }
        source = WindowSource(manifest, _real_windows(opened))
        reports = measure_parity(module, manifest, backends, parity_cases(manifest, source))
    for report in reports:
        report.check()
    return reports


def _real_windows(opened: ModelVersion) -> FloatArray:
    """The first half of the golden windows was held out from training; the rest is made up."""
    window = opened.golden().window
    return window[: max(1, len(window) // 2)]


def _parity(draft: Manifest, reports: tuple[ParityReport, ...]) -> Parity:
    return msgspec.structs.replace(draft.parity, formats={report.format: report.to_manifest() for report in reports})


def _replay(opened: ModelVersion) -> None:
    for backend in REPLAYED_BACKENDS:
        Scorer.open(opened, _config(backend)).close()


def _config(backend: str) -> BackendConfig:
    return BackendConfig(backend=backend, device="cpu", n_threads=1)
