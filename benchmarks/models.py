"""The models of the design, with random weights: what is timed does not depend on what was learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from offbeat.bundle import ModelRepository, ModelVersion
from offbeat.result import FloatArray, Threshold
from offbeat_export import export_checkpoint
from offbeat_training import Autoencoder, Checkpoint, LSTMAutoencoder
from offbeat_training.architectures import Architecture
from offbeat_training.preprocessing import Normalisation
from offbeat_training.record import WindowSpec

ARCHITECTURES: dict[str, tuple[Callable[[], Architecture], int | None]] = {
    "M1": (lambda: LSTMAutoencoder(n_features=1, hidden_size=32, n_layers=1), 50),
    "M2": (lambda: LSTMAutoencoder(n_features=2, hidden_size=32, n_layers=2, bridge="state"), 60),
    "M3": (lambda: LSTMAutoencoder(n_features=1, hidden_size=64, narrow_size=32, error="sum_absolute"), 140),
    "M4": (lambda: LSTMAutoencoder(n_features=25, hidden_size=256, n_layers=2), 100),
    "M5": (lambda: Autoencoder(n_features=30, hidden_sizes=(128, 64), latent_dim=16), None),
}
_N_VALIDATION_WINDOWS = 32


def random_windows(model: str, n_windows: int, seed: int) -> FloatArray:
    """Standard normal windows of the model's shape, [batch, time, feature] or [batch, feature]."""
    make, length = ARCHITECTURES[model]
    n_features = make().n_features
    shape = (n_windows, n_features) if length is None else (n_windows, length, n_features)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def export_model(model: str, repository: Path) -> ModelVersion:
    """Builds the model with seeded random weights and exports it, as a trained one would be."""
    torch.manual_seed(0)
    make, length = ARCHITECTURES[model]
    export_checkpoint(random_checkpoint(make().eval(), length), repository, name=model)
    return ModelRepository(repository).open(model)


def random_checkpoint(module: Architecture, length: int | None) -> Checkpoint:
    """A checkpoint of a module as it stands, for standard normal windows of `length` steps, or rows where that is None."""
    shape = (_N_VALIDATION_WINDOWS, *(() if length is None else (length,)), module.n_features)
    windows = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    return Checkpoint(
        architecture_kind=module.kind,
        architecture_settings=module.settings(),
        state_dict=module.state_dict(),
        feature_names=tuple(f"feature_{index}" for index in range(module.n_features)),
        normalisation=Normalisation(mean=torch.zeros(module.n_features), scale=torch.ones(module.n_features)),
        window=None if length is None else WindowSpec(length=length, stride=1),
        threshold=Threshold(value=1.0, method="fixed"),
        training=_provenance(),
        metrics={},
        validation_windows=torch.from_numpy(windows),
    )


def _provenance() -> dict[str, object]:
    return {
        "source": {"name": "random weights", "sha256": None, "n_rows": 0},
        "n_training_windows": 0,
        "n_validation_windows": _N_VALIDATION_WINDOWS,
        "n_epochs": 0,
        "best_epoch": 0,
        "best_validation_loss": 1.0,
        "seed": 0,
        "trained_at": "2026-01-01T00:00:00+00:00",
        "torch_version": str(torch.__version__),
        "offbeat_version": "benchmark",
    }
