"""From a checkpoint to a model version folder that every loader accepts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch

from offbeat.backends import create_backend
from offbeat.bundle import Manifest, ModelRepository, ModelVersion
from offbeat.bundle.manifest import FileRecord, Parity
from offbeat.bundle.model_version import GOLDEN, MANIFEST, MODEL_ONNX, MODEL_SAFETENSORS, MODEL_TORCHSCRIPT
from offbeat.config import BackendConfig
from offbeat.errors import ExportError
from offbeat.scorer import Scorer
from offbeat_export.config_pbtxt import config_pbtxt
from offbeat_export.golden import golden_npz
from offbeat_export.manifest_draft import check_identity, draft_manifest
from offbeat_export.onnx_export import export_onnx
from offbeat_export.parity import PARITY_BOUND
from offbeat_export.parity_cases import parity_cases
from offbeat_export.parity_measurement import measure_parity
from offbeat_export.parity_report import ParityReport
from offbeat_export.safetensors_export import export_safetensors
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.staging import Staging
from offbeat_export.torchscript_export import export_torchscript
from offbeat_export.window_source import WindowSource
from offbeat_training.checkpoint import Checkpoint

# The formats whose parity is measured, by the backend that runs them.
MEASURED_BACKENDS = {"onnx": "onnxruntime", "torchscript": "torchscript"}
REPLAYED_BACKENDS = ("onnxruntime", "torchscript", "eager")


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was written: the version's folder, its manifest, and the parity measured on the way."""

    folder: Path
    manifest: Manifest
    parity: tuple[ParityReport, ...]


def export_checkpoint(
    checkpoint: Checkpoint | str | os.PathLike[str],
    repository: str | os.PathLike[str],
    *,
    name: str,
    version: int | None = None,
    description: str = "",
    announce: Callable[[str], None] = lambda step: None,
) -> ExportReport:
    """Writes a checkpoint as the next version of a model, or as `version`, into a repository in Triton's layout.

    The version appears whole or not at all. `announce` is told each step as it begins. Raises ParityError where a
    format misses the parity bound, CheckpointError for a file that is none, ConfigurationError for a name or version
    that cannot be, ExportError otherwise; nothing is written then.
    """
    check_identity(name, version)
    announce("reading the checkpoint")
    loaded = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint.load(Path(checkpoint))
    module = ScoringModule.of_checkpoint(loaded)
    with _threads_restored(), Staging(Path(repository), name, version) as staging:
        draft = draft_manifest(loaded, module, name=name, version=staging.version, description=description)
        _check_tensors(Path(repository), draft)
        files = _write_formats(staging, module, draft, loaded, announce)
        draft = _write_manifest(staging, draft, files, ())
        announce("measuring parity")
        reports = _measure(staging.folder, module, draft, loaded)
        manifest = _write_manifest(staging, draft, files, reports)
        announce("replaying the golden windows")
        _replay(staging.folder)
        folder = staging.publish(config_pbtxt(manifest))
    return ExportReport(folder=folder, manifest=manifest, parity=reports)


@contextmanager
def _threads_restored() -> Iterator[None]:
    """The torch backends set the process's thread count; whoever exports from a training process keeps theirs."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_tensors(repository: Path, draft: Manifest) -> None:
    """A model's versions share one config.pbtxt and one set of clients, so that they must take and give the same."""
    found = ModelRepository(repository)
    if not found.versions(draft.name):
        return
    newest = found.open(draft.name).manifest
    if (newest.inputs, newest.outputs) != (draft.inputs, draft.outputs):
        raise ExportError(
            f"model {draft.name!r} takes {_shapes(newest)} since version {newest.version}; this checkpoint takes "
            f"{_shapes(draft)}: give it another name"
        )


def _shapes(manifest: Manifest) -> str:
    return ", ".join(f"{spec.name} {list(spec.shape)}" for spec in (*manifest.inputs, *manifest.outputs))


def _write_formats(
    staging: Staging, module: ScoringModule, draft: Manifest, checkpoint: Checkpoint, announce: Callable[[str], None]
) -> dict[str, FileRecord]:
    formats: Mapping[str, Callable[[], bytes]] = {
        MODEL_ONNX: lambda: export_onnx(module, draft),
        MODEL_TORCHSCRIPT: lambda: export_torchscript(module, draft),
        MODEL_SAFETENSORS: lambda: export_safetensors(module, draft),
        GOLDEN: lambda: golden_npz(module, _source(draft, checkpoint)),
    }
    files: dict[str, FileRecord] = {}
    for file_name, make in formats.items():
        announce(f"writing {file_name}")
        content = make()
        staging.write(file_name, content)
        files[file_name] = FileRecord(n_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    return files


def _source(draft: Manifest, checkpoint: Checkpoint) -> WindowSource:
    return WindowSource(draft, checkpoint.validation_windows.numpy())


def _write_manifest(
    staging: Staging, draft: Manifest, files: dict[str, FileRecord], reports: tuple[ParityReport, ...]
) -> Manifest:
    formats = {report.format: report.to_manifest() for report in reports}
    manifest = msgspec.structs.replace(draft, files=files, parity=Parity(bound=PARITY_BOUND, formats=formats))
    staging.write(MANIFEST, manifest.to_json())
    return manifest


def _measure(folder: Path, module: ScoringModule, draft: Manifest, checkpoint: Checkpoint) -> tuple[ParityReport, ...]:
    """Measures what will really be loaded: the files on the disk, through the backends that run them."""
    opened = ModelVersion.open(folder)
    with ExitStack() as stack:
        backends = {
            format_name: stack.enter_context(closing(create_backend(opened, _config(backend))))
            for format_name, backend in MEASURED_BACKENDS.items()
        }
        reports = measure_parity(module, draft, backends, parity_cases(draft, _source(draft, checkpoint)))
    for report in reports:
        report.check()
    return reports


def _replay(folder: Path) -> None:
    opened = ModelVersion.open(folder)
    for backend in REPLAYED_BACKENDS:
        Scorer.open(opened, _config(backend)).close()


def _config(backend: str) -> BackendConfig:
    return BackendConfig(backend=backend, device="cpu", n_threads=1)
