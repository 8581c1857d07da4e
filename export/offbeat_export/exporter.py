"""From a checkpoint to a model version folder that every loader accepts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from offbeat.backends import Backend
from offbeat.bundle import Manifest, ModelRepository, ModelVersion
from offbeat.bundle.model_version import GOLDEN, MODEL_SAFETENSORS, MODEL_TORCHSCRIPT
from offbeat.config import BackendConfig
from offbeat.errors import BackendError, ExportError, ParityError
from offbeat.scorer import Scorer
from offbeat_export.config_pbtxt import config_pbtxt
from offbeat_export.golden import golden_npz
from offbeat_export.manifest_draft import check_identity, draft_manifest
from offbeat_export.onnx_choice import ExporterChoice, OnnxCandidate, OnnxCandidates, onnx_candidates
from offbeat_export.parity_folder import MEASURED_BACKENDS, FolderParity, measure_folder
from offbeat_export.parity_report import ParityReport, UndeterminedError
from offbeat_export.safetensors_export import export_safetensors
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.staging import Staging
from offbeat_export.torch_program_export import MODEL_TORCH_PROGRAM, export_torch_program
from offbeat_export.torch_threads import threads_restored
from offbeat_export.torchscript_export import export_torchscript
from offbeat_export.triton_pytorch import (
    TRITON_MODEL,
    TritonPyTorchBackend,
    export_triton_pytorch,
    triton_name,
    triton_pytorch_config,
)
from offbeat_export.version_draft import VersionDraft
from offbeat_export.window_source import WindowSource
from offbeat_training.checkpoint import Checkpoint

__all__ = ["MEASURED_BACKENDS", "REPLAYED_BACKENDS", "ExportReport", "export_checkpoint"]

REPLAYED_BACKENDS = ("onnxruntime", "torchscript", "eager")
Announce = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was written: the version's folder, its manifest, and the parity measured on the way.

    `unmeasured` formats are those that could not be measured here, with why. `triton_folder` is the version in the
    repository for Triton's PyTorch backend, where one was asked for.
    """

    folder: Path
    manifest: Manifest
    parity: tuple[ParityReport, ...]
    unmeasured: Mapping[str, str]
    triton_folder: Path | None = None


def export_checkpoint(
    checkpoint: Checkpoint | str | os.PathLike[str],
    repository: str | os.PathLike[str],
    *,
    name: str,
    version: int | None = None,
    description: str = "",
    licence: str = "",
    exporter: ExporterChoice = "auto",
    torch_program: bool = False,
    triton_pytorch: str | os.PathLike[str] | None = None,
    announce: Announce = lambda step: None,
) -> ExportReport:
    """Writes a checkpoint as the next version of a model, or as `version`, into a repository in Triton's layout.

    The version appears whole or not at all. `exporter` is torch's that writes `model.onnx`; by default the one whose graph
    is cleaner. `torch_program` adds `model.pt2`. `triton_pytorch` is another repository, to which the same version is written
    for Triton's PyTorch backend, under the name with `-pytorch` behind it. `announce` is told each step as it begins.

    Raises ParityError where a format misses a parity bound, CheckpointError for a file that is none, ConfigurationError for a
    name, version or exporter that cannot be, ExportError otherwise; nothing is written then.

    A model that scores windows of any length in principle is written for the trained length alone where its recurrence
    amplifies rounding so much that eager float32 itself does not determine the error of longer windows to the bound.
    """
    check_identity(name if triton_pytorch is None else triton_name(name), version)
    announce("reading the checkpoint")
    loaded = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint.load(Path(checkpoint))
    module = ScoringModule.of_checkpoint(loaded)
    export = partial(
        _export,
        loaded,
        module,
        Path(repository),
        name=name,
        version=version,
        description=description,
        licence=licence,
        exporter=exporter,
        torch_program=torch_program,
        triton_pytorch=triton_pytorch,
        announce=announce,
    )
    try:
        return export()
    except UndeterminedError as error:
        window = loaded.window
        if window is None or not module.model.is_time_dynamic or error.n_steps == window.length:
            raise
        announce(f"exporting for {window.length} steps alone, since {error.n_steps} are beyond float32")
        module.model.is_time_dynamic = False
        return export()


def _export(
    loaded: Checkpoint,
    module: ScoringModule,
    repository: Path,
    *,
    name: str,
    version: int | None,
    description: str,
    licence: str,
    exporter: ExporterChoice,
    torch_program: bool,
    triton_pytorch: str | os.PathLike[str] | None,
    announce: Announce,
) -> ExportReport:
    with threads_restored(), ExitStack() as stack:
        staging = stack.enter_context(Staging(repository, name, version))
        triton = None
        if triton_pytorch is not None:
            triton = stack.enter_context(Staging(Path(triton_pytorch), triton_name(name), staging.version))
        manifest = draft_manifest(
            loaded, module, name=name, version=staging.version, description=description, licence=licence
        )
        check_tensors(repository, manifest)
        draft = VersionDraft(staging, manifest)
        candidates = onnx_candidates(module, manifest, exporter, announce)
        _write_formats(draft, module, loaded, torch_program=torch_program, announce=announce)
        others: dict[str, Backend] = {}
        if triton is not None:
            others["triton-pytorch"] = _write_triton(triton, module, manifest, announce)
        parity = _measure(draft, candidates, module, loaded, others, announce)
        manifest = draft.close(report for report in parity.reports if report.format not in others)
        announce("replaying the golden windows")
        _replay(draft.folder)
        triton_folder = None if triton is None else triton.publish(triton_pytorch_config(manifest))
        folder = staging.publish(config_pbtxt(manifest))
    return ExportReport(
        folder=folder,
        manifest=manifest,
        parity=parity.reports,
        unmeasured=parity.unmeasured,
        triton_folder=triton_folder,
    )


def check_tensors(repository: Path, draft: Manifest) -> None:
    """Raises ExportError for another shape: a model's versions share one config.pbtxt and one set of clients."""
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
    draft: VersionDraft, module: ScoringModule, checkpoint: Checkpoint, *, torch_program: bool, announce: Announce
) -> None:
    """Writes every file but `model.onnx`, of which there may be two to choose from."""
    manifest = draft.manifest
    formats: dict[str, Callable[[], bytes]] = {
        MODEL_TORCHSCRIPT: lambda: export_torchscript(module, manifest),
        MODEL_SAFETENSORS: lambda: export_safetensors(module, manifest),
        GOLDEN: lambda: golden_npz(module, _source(manifest, checkpoint)),
    }
    if torch_program:
        formats[MODEL_TORCH_PROGRAM] = lambda: export_torch_program(module, manifest)
    for file_name, make in formats.items():
        announce(f"writing {file_name}")
        draft.write(file_name, make())


def _write_triton(triton: Staging, module: ScoringModule, manifest: Manifest, announce: Announce) -> Backend:
    announce("writing model.pt for Triton's PyTorch backend")
    content = export_triton_pytorch(module, manifest)
    triton.write(TRITON_MODEL, content)
    return TritonPyTorchBackend(content, manifest)


def _source(manifest: Manifest, checkpoint: Checkpoint) -> WindowSource:
    return WindowSource(manifest, checkpoint.validation_windows.numpy())


def _measure(
    draft: VersionDraft,
    candidates: OnnxCandidates,
    module: ScoringModule,
    checkpoint: Checkpoint,
    others: Mapping[str, Backend],
    announce: Announce,
) -> FolderParity:
    """Measures the folder with the cleanest graph, and with the next one where that misses a bound. Raises ParityError."""

    def measured(candidate: OnnxCandidate, reason: str) -> FolderParity:
        draft.write_onnx(candidate, candidates.record(candidate, reason))
        source = _source(draft.manifest, checkpoint)
        parity = measure_folder(
            draft.open(), module, source, others, lambda case: announce(f"measuring parity: {case}")
        )
        parity.check()
        return parity

    *first, last = candidates.found
    reason = ""
    for candidate in first:
        try:
            return measured(candidate, reason)
        except (ParityError, BackendError) as error:
            reason = f"the {candidate.exporter} exporter's graph was refused: {error}"
    return measured(last, reason)


def _replay(folder: Path) -> None:
    opened = ModelVersion.open(folder)
    for backend in REPLAYED_BACKENDS:
        Scorer.open(opened, BackendConfig(backend=backend, device="cpu", n_threads=1)).close()
