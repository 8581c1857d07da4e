"""A version folder while it is put together: its files and its manifest, before anybody can see them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from offbeat.bundle import Manifest, ModelVersion
from offbeat.bundle.manifest import FileRecord, GraphRecord
from offbeat.bundle.model_version import MANIFEST, MODEL_ONNX
from offbeat_export.onnx_choice import OnnxCandidate
from offbeat_export.parity_report import ParityReport
from offbeat_export.staging import Staging


class VersionDraft:
    """Writes files into a staging folder and keeps `manifest` true to them."""

    def __init__(self, staging: Staging, manifest: Manifest) -> None:
        self._staging = staging
        self.manifest = manifest

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._staging.folder

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, in the place of an earlier one."""
        self._staging.write(name, content)
        record = FileRecord(n_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        self._replace(files=self.manifest.files | {name: record})

    def write_onnx(self, candidate: OnnxCandidate, graph: GraphRecord) -> None:
        """Writes `model.onnx`, and where it comes from."""
        self.write(MODEL_ONNX, candidate.content)
        self._replace(opset=candidate.inspection.opset, graph=graph)

    def open(self) -> ModelVersion:
        """The folder as every loader will see it. Raises BundleError."""
        self._staging.write(MANIFEST, self.manifest.to_json())
        return ModelVersion.open(self.folder)

    def close(self, reports: Iterable[ParityReport]) -> Manifest:
        """Writes the manifest with the parity of the formats that are in the folder, and returns it."""
        formats = {report.format: report.to_manifest() for report in reports}
        self._replace(parity=msgspec.structs.replace(self.manifest.parity, formats=formats))
        self._staging.write(MANIFEST, self.manifest.to_json())
        return self.manifest

    def _replace(self, **fields: object) -> None:
        self.manifest = msgspec.structs.replace(self.manifest, **fields)
