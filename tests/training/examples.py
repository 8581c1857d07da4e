"""Small data sets and checkpoints that the tests of the training room share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from offbeat.data import Dataset
from offbeat.result import Threshold
from offbeat_training import Autoencoder, Checkpoint, LSTMAutoencoder
from offbeat_training.preprocessing import Normalisation
from offbeat_training.record import WindowSpec

TRAINING: dict[str, Any] = {
    "source": {"name": "example", "sha256": None, "n_rows": 100},
    "n_training_windows": 80,
    "n_validation_windows": 20,
    "n_epochs": 5,
    "best_epoch": 3,
    "best_validation_loss": 0.25,
    "seed": 7,
    "trained_at": "2026-01-01T00:00:00+00:00",
    "torch_version": "2.13.0",
    "offbeat_version": "0.1.0",
}


def series_checkpoint(**changes: Any) -> Checkpoint:
    """A checkpoint of a small LSTM with random weights, some of its fields changed."""
    torch.manual_seed(0)
    model = LSTMAutoencoder(3, hidden_size=5, n_layers=2, dropout=0.1)
    checkpoint = Checkpoint(
        architecture_kind=model.kind,
        architecture_settings=model.settings(),
        state_dict=model.state_dict(),
        feature_names=("a", "b", "c"),
        normalisation=Normalisation(mean=torch.tensor([1.0, 2.0, 3.0]), scale=torch.tensor([0.5, 1.0, 4.0])),
        window=WindowSpec(length=6, stride=2),
        threshold=Threshold(value=1.5, method="percentile", percentile=95.0, n_windows=20),
        training=TRAINING,
        metrics={"training_seconds": 1.25},
        validation_windows=torch.randn(4, 6, 3),
    )
    return replace(checkpoint, **changes)


def tabular_checkpoint() -> Checkpoint:
    """The same for rows of a table."""
    model = Autoencoder(3, hidden_sizes=(8, 4), latent_dim=2)
    return series_checkpoint(
        architecture_kind=model.kind,
        architecture_settings=model.settings(),
        state_dict=model.state_dict(),
        window=None,
        validation_windows=torch.randn(4, 3),
    )


def waves(n_rows: int = 400, n_features: int = 2) -> Dataset:
    """A noisy sine of period 25 in each feature."""
    random = np.random.default_rng(3)
    time = np.arange(n_rows)[:, None] + 7 * np.arange(n_features)
    values = 10 + 3 * np.sin(2 * np.pi * time / 25) + random.normal(0, 0.3, (n_rows, n_features))
    names = tuple(f"feature_{index}" for index in range(n_features))
    return Dataset(name="waves", values=values.astype(np.float32), feature_names=names)


def table(n_rows: int = 300) -> Dataset:
    """Four columns that follow one hidden cause."""
    random = np.random.default_rng(4)
    cause = random.normal(0, 1, (n_rows, 1))
    values = cause @ np.array([[1.0, -2.0, 0.5, 30.0]]) + random.normal(0, 0.1, (n_rows, 4))
    return Dataset(name="table", values=values.astype(np.float32), feature_names=("a", "b", "c", "d"))
