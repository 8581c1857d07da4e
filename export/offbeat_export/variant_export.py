"""From a float32 version and its checkpoint to variants of lower precision, each measured before it is written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from offbeat.backends import create_backend
from offbeat.bundle import Manifest, ModelRepository, ModelVersion
from offbeat.bundle.model_version import MODEL_SAFETENSORS
from offbeat.bundle.precision_record import WeightPrecision
from offbeat.config import BackendConfig
from offbeat.data import Dataset
from offbeat.errors import DataError, ExportError, require
from offbeat.result import FloatArray
from offbeat_export.config_pbtxt import config_pbtxt
from offbeat_export.exporter import check_tensors
from offbeat_export.manifest_draft import check_identity
from offbeat_export.onnx_tracing import Exporter
from offbeat_export.precision import MAX_QUALITY_LOSS, Precision, parse_precisions, variant_name
from offbeat_export.quality_data import labelled_data, model_windows, planted_anomalies
from offbeat_export.quality_measurement import line_errors
from offbeat_export.safetensors_export import export_safetensors
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.staging import Staging, check_version
from offbeat_export.torch_threads import threads_restored
from offbeat_export.variant_attempt import VariantAttempt, VariantReport
from offbeat_export.variant_candidate import VariantSource
from offbeat_export.variant_folder import VariantFolder, replayed, variant_draft
from offbeat_export.variant_judgement import Float32Model
from offbeat_export.variant_weights import quantise_weights, with_weights
from offbeat_training.checkpoint import Checkpoint

_CPU = BackendConfig(backend="onnxruntime", device="cpu", n_threads=1)


def export_variants(
    checkpoint: Checkpoint | str | os.PathLike[str],
    source: ModelVersion,
    precisions: Iterable[Precision],
    *,
    labelled: Dataset | None = None,
    calibration: Dataset | None = None,
    max_quality_loss: float = MAX_QUALITY_LOSS,
    version: int | None = None,
    announce: Callable[[str], None] = lambda step: None,
) -> tuple[VariantReport, ...]:
    """Writes a checkpoint in lower precisions, each a model `<name>-<precision>` beside `source`, its float32 version.

    A variant that is neither smaller nor faster, that loses more than `max_quality_loss` of ROC-AUC, or whose engine is too
    far from its own eager run, is refused: nothing of it is written, and its report says why. Quality is judged on
    `labelled` data, or on anomalies planted in held-out windows. With normal `calibration` data, large linear layers of int8
    may get static scales. `version` is the source's number, or the next free one where that is larger, unless given.
    fp32 among the precisions is passed over. Raises ExportError where the checkpoint is not the source's, DataError for data
    that do not fit, ConfigurationError for a loss that is no share and for an unknown precision, and what writing a version raises.
    """
    require(0 <= max_quality_loss <= 1, "max_quality_loss", max_quality_loss, "0 to 1")
    loaded = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint.load(Path(checkpoint))
    chosen = tuple(precisions)
    parse_precisions(chosen)
    variants = [each for each in chosen if each != "fp32"]
    module, normal, manifest = ScoringModule.of_checkpoint(loaded), loaded.validation_windows.numpy(), source.manifest
    _check_source(module, source)
    for each in variants:
        check_version(*_place(source, each, version))
    data = planted_anomalies(normal, manifest) if labelled is None else labelled_data(labelled, manifest)
    with threads_restored(), ExitStack() as stack:
        announce("judging float32")
        backend = stack.enter_context(closing(create_backend(source, _CPU)))
        native = replayed(source, "native")
        if native is not None:
            stack.enter_context(closing(native))
        fp32 = Float32Model(
            version=source,
            module=module,
            backend=backend,
            native=native,
            normal=normal,
            data=data,
            errors=line_errors(backend, data),
            calibration=None if calibration is None else _calibration_windows(calibration, manifest, normal),
            max_quality_loss=max_quality_loss,
        )
        return tuple(_export(fp32, each, version, announce) for each in variants)


def find_source(checkpoint: Checkpoint, repository: str | os.PathLike[str], name: str) -> ModelVersion:
    """The newest float32 version of a model that was exported from the checkpoint. Raises ExportError where there is none."""
    module, path = ScoringModule.of_checkpoint(checkpoint), Path(repository)
    versions = ModelRepository(path).versions(name) if path.is_dir() else ()
    for number in reversed(versions):
        version = ModelRepository(path).open(name, number)
        if _has_weights_of(version, module):
            return version
    raise ExportError(
        f"{path / name}: no version with the checkpoint's weights among {', '.join(map(str, versions)) or 'none'}; "
        "expected one to measure beside: export fp32 too"
    )


def _check_source(module: ScoringModule, source: ModelVersion) -> None:
    if not _has_weights_of(source, module):
        raise ExportError(f"{source.path}: its weights are not the checkpoint's; expected the version exported from it")


def _has_weights_of(version: ModelVersion, module: ScoringModule) -> bool:
    recorded = version.manifest.files.get(MODEL_SAFETENSORS)
    if recorded is None or version.manifest.precision is not None:
        return False
    return recorded.sha256 == hashlib.sha256(export_safetensors(module, version.manifest)).hexdigest()


def _calibration_windows(calibration: Dataset, manifest: Manifest, normal: FloatArray) -> FloatArray:
    """The calibration data and the held-out windows: the golden windows of static scales are among those."""
    windows, _ = model_windows(calibration, manifest)
    if windows.shape[1:] != normal.shape[1:]:
        raise DataError(
            f"{calibration.name}: windows of shape {list(windows.shape[1:])}; expected {list(normal.shape[1:])}, as trained"
        )
    return np.concatenate([windows, normal])


def _export(
    fp32: Float32Model, precision: WeightPrecision, version: int | None, announce: Callable[[str], None]
) -> VariantReport:
    manifest = fp32.version.manifest
    repository, name, number = _place(fp32.version, precision, version)
    try:
        weights = quantise_weights(fp32.module, manifest, precision)
    except ExportError as error:
        return VariantReport(precision=precision, name=name, refusal=str(error))
    with (
        Staging(repository, name, number) as staging,
        ExitStack() as stack,
    ):
        draft = variant_draft(manifest, name, staging.version)
        check_tensors(repository, draft)
        source = VariantSource(
            module=with_weights(fp32.module, weights),
            manifest=draft,
            weights=weights,
            precision=precision,
            exporter=_exporter(manifest),
        )
        report = VariantAttempt(fp32, source, VariantFolder(staging, draft), stack).run(announce)
        if report.manifest is None:
            return report
        return replace(report, folder=staging.publish(config_pbtxt(report.manifest)))


def _exporter(manifest: Manifest) -> Exporter:
    return "dynamo" if manifest.graph is not None and manifest.graph.exporter == "dynamo" else "classic"


def _place(source: ModelVersion, precision: Precision, version: int | None) -> tuple[Path, str, int]:
    """Repository, name and number of a variant: the float32 version's own number, unless the variant has that or a later one:
    what is newer must have the greater. Raises ConfigurationError.
    """
    repository, name = source.path.parent.parent, variant_name(source.manifest.name, precision)
    check_identity(name, version)
    later = (each + 1 for each in ModelRepository(repository).versions(name))
    return repository, name, version or max(source.manifest.version, *later, 1)
