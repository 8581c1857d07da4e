"""What the tests of single formats share: the eager scorer of a checkpoint, its draft manifest, ONNX Runtime."""

from __future__ import annotations

import onnxruntime as ort
from numpy.typing import NDArray

from offbeat.bundle import Manifest
from offbeat.result import FloatArray
from offbeat_export.eager import Outputs
from offbeat_export.manifest_draft import draft_manifest
from offbeat_export.scoring_module import ScoringModule
from offbeat_training.checkpoint import Checkpoint

SERIES_OUTPUTS = (
    "reconstruction_error",
    "anomaly_score",
    "is_anomaly",
    "feature_error",
    "step_error",
    "reconstruction",
)


def scorer_of(checkpoint: Checkpoint) -> tuple[ScoringModule, Manifest]:
    """The eager scorer and the manifest before files and parity."""
    module = ScoringModule.of_checkpoint(checkpoint)
    return module, draft_manifest(checkpoint, module, name="sensors", version=3, description="for the tests")


def run_onnx(content: bytes, window: FloatArray) -> Outputs:
    """All outputs of a graph from ONNX Runtime on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    arrays: list[NDArray] = session.run(names, {"window": window})
    return dict(zip(names, arrays, strict=True))
