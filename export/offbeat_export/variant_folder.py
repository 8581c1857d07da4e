"""The version folder of a variant while it is put together."""

from __future__ import annotations

import hashlib

import msgspec

from offbeat.backends import Backend, create_backend
from offbeat.bundle import Manifest, ModelVersion
from offbeat.bundle.manifest import MAX_PARITY_BOUND, FileRecord, Parity, PrecisionRecord
from offbeat.bundle.model_version import MANIFEST, MODEL_ONNX
from offbeat.config import BackendConfig
from offbeat.scorer import Scorer
from offbeat_export.parity_report import ParityReport
from offbeat_export.staging import Staging

# model.pt is not among a variant's files: TorchScript would hold the same float32 numbers in as many bytes.
_REPLAYED_BACKENDS = ("onnxruntime", "eager")


class VariantFolder:
    """Writes a variant's files into a staging folder, and loads them from there as a server would.

    `draft` is the manifest without files; each call of `write` takes the place of the file of that name.
    """

    def __init__(self, staging: Staging, draft: Manifest) -> None:
        self._staging = staging
        self._draft = draft
        self._files: dict[str, FileRecord] = {}

    def write(self, name: str, content: bytes) -> None:
        """Writes one file; `finish` lists it."""
        self._staging.write(name, content)
        self._files[name] = FileRecord(n_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    def n_bytes(self, *names: str) -> int:
        """Size of the files named, together."""
        return sum(self._files[name].n_bytes for name in names)

    def load(self, model_onnx: bytes) -> Backend:
        """ONNX Runtime on a graph, which becomes the folder's for now. Raises BackendError where it refuses the graph."""
        self.write(MODEL_ONNX, model_onnx)
        self._write_manifest(self._draft)
        return create_backend(ModelVersion.open(self._staging.folder), _config("onnxruntime"))

    def finish(self, model_onnx: bytes, record: PrecisionRecord, bound: float, report: ParityReport) -> Manifest:
        """Writes the graph that was chosen and the manifest, and replays the golden windows on every backend.

        Raises BackendError where a backend does not give them again.
        """
        self.write(MODEL_ONNX, model_onnx)
        parity = Parity(bound=bound, formats={"onnx": report.to_manifest()})
        manifest = self._write_manifest(msgspec.structs.replace(self._draft, precision=record, parity=parity))
        opened = ModelVersion.open(self._staging.folder)
        for backend in _REPLAYED_BACKENDS:
            Scorer.open(opened, _config(backend)).close()
        return manifest

    def _write_manifest(self, manifest: Manifest) -> Manifest:
        listed = msgspec.structs.replace(manifest, files=self._files)
        self._staging.write(MANIFEST, listed.to_json())
        return listed


def variant_draft(source: Manifest, name: str, version: int) -> Manifest:
    """The manifest of a variant before its files and figures: the float32 model's, under another name."""
    unmeasured = Parity(bound=MAX_PARITY_BOUND, formats={})
    return msgspec.structs.replace(source, name=name, version=version, parity=unmeasured, files={})


def _config(backend: str) -> BackendConfig:
    return BackendConfig(backend=backend, device="cpu", n_threads=1)
