"""What `offbeat inspect` says of a checkpoint: the facts of the folder that it would become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from offbeat.bundle.multiply_adds import count_multiply_adds
from offbeat_export.layer_plan import plan_layers
from offbeat_export.manifest_draft import draft_manifest
from offbeat_export.scoring_module import ScoringModule
from offbeat_training.checkpoint import Checkpoint

# A checkpoint has none of these yet.
_OF_A_FOLDER = ("schema_version", "name", "version", "files", "parity", "opset", "recalibration")


def inspect_checkpoint(path: Path) -> dict[str, Any]:
    """The facts of a checkpoint, as plain values; nothing in the file is run. Raises CheckpointError."""
    checkpoint = Checkpoint.load(path)
    module = ScoringModule.of_checkpoint(checkpoint)
    manifest = draft_manifest(checkpoint, module, name="checkpoint", version=1, description="")
    facts = {name: value for name, value in msgspec.to_builtins(manifest).items() if name not in _OF_A_FOLDER}
    products = count_multiply_adds(plan_layers(module.model, manifest).to_json(), str(path))
    n_steps = 1 if manifest.window is None else manifest.window.length
    return facts | {
        "kind": "checkpoint",
        "path": str(path),
        "multiply_adds": msgspec.to_builtins(products) | {"n": products.of(n_steps)},
        "training_config": dict(checkpoint.training_config),
        "n_kept_windows": len(checkpoint.validation_windows),
    }
