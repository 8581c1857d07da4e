"""Writes the model version folders that ctest and pytest replay: `python -m tests.native.golden_folders`.

Random weights, exported as trained ones would be. They are kept in the repository, because a bare checkout tests the core
without Python; only a change of the format or of a layer's meaning calls for new ones.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import torch

from offbeat_export import export_checkpoint
from offbeat_training.checkpoint import Checkpoint
from tests.export.checkpoints import lstm_checkpoint, preset_checkpoint, table_checkpoint, variational_checkpoint

FOLDER = Path(__file__).parents[2] / "runtime" / "cpp" / "tests" / "golden"
MODELS = {
    "repeat": lambda: lstm_checkpoint(1),
    "repeat-classifier": lambda: preset_checkpoint(n_classes=3, error="sum_squared"),
    "repeat-forecast": lambda: preset_checkpoint(3, forecasts=True, error="sum_squared"),
    "state": lambda: preset_checkpoint(n_layers=2, bridge="state"),
    "stacked": lambda: preset_checkpoint(1, hidden_size=16, narrow_size=8, error="sum_absolute"),
    "flexible": lambda: preset_checkpoint(bidirectional=True, latent_dim=5, bridge="repeat_state", n_repeats=7),
    "tabular": table_checkpoint,
    "variational": variational_checkpoint,
}


def write_golden_folders(folder: Path) -> None:
    """Replaces what `folder` holds by version 1 of each model."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as exported:
        for name, checkpoint in MODELS.items():
            _write(checkpoint(), Path(exported), name)
        shutil.rmtree(folder, ignore_errors=True)
        for name in MODELS:
            shutil.copytree(Path(exported) / name / "1", folder / name / "1")


def _write(checkpoint: Checkpoint, repository: Path, name: str) -> None:
    export_checkpoint(checkpoint, repository, name=name)


if __name__ == "__main__":
    write_golden_folders(FOLDER)
