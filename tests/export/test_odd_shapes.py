"""Shapes at the ends of what a model can be. benchmarks/exports tries the slow ones, with 4,096 steps and at full size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.scorer import Scorer
from offbeat_export.exporter import export_checkpoint
from offbeat_training.architectures import Autoencoder
from offbeat_training.checkpoint import Checkpoint
from offbeat_training.record import WindowSpec
from tests.export.checkpoints import checkpoint_of, preset_checkpoint


def _of_one_step() -> Checkpoint:
    checkpoint = preset_checkpoint(1)
    windows = checkpoint.validation_windows[:, :1].contiguous()
    return replace(checkpoint, window=WindowSpec(length=1, stride=1), validation_windows=windows)


def _rows(n_features: int, **settings: object) -> Checkpoint:
    torch.manual_seed(0)
    return checkpoint_of(Autoencoder(n_features, **settings).eval())  # type: ignore[arg-type]


ODD: dict[str, Callable[[], Checkpoint]] = {
    "1 feature, 1 step": _of_one_step,
    "166 features": lambda: preset_checkpoint(166),
    "166 features, zero input": lambda: preset_checkpoint(166, bridge="state"),
    "hidden 1": lambda: preset_checkpoint(2, hidden_size=1),
    "hidden 129": lambda: preset_checkpoint(3, hidden_size=129),
    "five layers": lambda: preset_checkpoint(2, n_layers=5),
    "bidirectional, bottleneck": lambda: preset_checkpoint(4, bidirectional=True, latent_dim=7, bridge="repeat_state"),
    "row of 1 feature, hidden 1": lambda: _rows(1, hidden_sizes=(1,), latent_dim=1),
    # So many errors, added one after the other, lose more digits than a backend may.
    "row of 4,000 features": lambda: _rows(4000, hidden_sizes=(8,), latent_dim=4),
    "row, no hidden layer": lambda: _rows(7, hidden_sizes=(), latent_dim=3),
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD.keys())
def test_odd_shapes_export_and_replay_on_every_backend(make: Callable[[], Checkpoint], tmp_path: Path) -> None:
    report = export_checkpoint(make(), tmp_path, name="odd", exporter="classic")
    assert report.manifest.graph is not None
    assert report.manifest.graph.candidates["classic"].findings == ()
    version = ModelVersion.open(report.folder)
    for backend in ("onnxruntime", "torchscript", "eager"):
        Scorer.open(version, BackendConfig(backend=backend, device="cpu")).close()
