"""The version folder of a variant while it is put together."""

from __future__ import annotations

import msgspec

from offbeat.backends import Backend, create_backend
from offbeat.bundle import Manifest, ModelVersion
from offbeat.bundle.manifest import MAX_PARITY_BOUND, Parity, PrecisionRecord
from offbeat.bundle.model_version import MODEL_ONNX
from offbeat.config import BackendConfig
from offbeat.errors import BackendError, ConfigurationError
from offbeat.scorer import Scorer
from offbeat_export.parity_report import ParityReport
from offbeat_export.staging import Staging
from offbeat_export.version_draft import VersionDraft

# model.pt is not among a variant's files: TorchScript would hold the same float32 numbers in as many bytes.
_REPLAYED_BACKENDS = ("onnxruntime", "eager")


class VariantFolder:
    """Writes a variant's files into a staging folder, and loads them from there as a server would.

    `manifest` is the draft of it; each call of `write` takes the place of the file of that name.
    """

    def __init__(self, staging: Staging, manifest: Manifest) -> None:
        self._draft = VersionDraft(staging, manifest)

    def write(self, name: str, content: bytes) -> None:
        """Writes one file, which the manifest will list."""
        self._draft.write(name, content)

    def load(self, model_onnx: bytes) -> Backend:
        """ONNX Runtime on a graph, which becomes the folder's for now. Raises BackendError where it refuses the graph."""
        self.write(MODEL_ONNX, model_onnx)
        return create_backend(self._draft.open(), _config("onnxruntime"))

    def finish(self, record: PrecisionRecord, bound: float, report: ParityReport) -> Manifest:
        """Writes the manifest, and replays the golden windows on every backend that always takes a variant.

        Raises BackendError where a backend does not give them again.
        """
        draft = self._draft
        draft.manifest = msgspec.structs.replace(
            draft.manifest, precision=record, parity=Parity(bound=bound, formats={})
        )
        manifest = draft.close((report,))
        opened = draft.open()
        for backend in _REPLAYED_BACKENDS:
            Scorer.open(opened, _config(backend)).close()
        return manifest

    def replayed(self, backend: str) -> Backend | None:
        """Another backend on the finished folder; None where it is not there or does not give the golden outputs again."""
        return replayed(self._draft.open(), backend)


def replayed(version: ModelVersion, backend: str) -> Backend | None:
    """A backend that gives a version's golden outputs; None where it is not there, or does not."""
    try:
        return Scorer.open(version, _config(backend)).backend
    except (ConfigurationError, BackendError):
        return None


def variant_draft(source: Manifest, name: str, version: int) -> Manifest:
    """The manifest of a variant before its files and figures: the float32 model's, under another name."""
    unmeasured = Parity(bound=MAX_PARITY_BOUND, formats={})
    return msgspec.structs.replace(source, name=name, version=version, graph=None, parity=unmeasured, files={})


def _config(backend: str) -> BackendConfig:
    return BackendConfig(backend=backend, device="cpu", n_threads=1)
