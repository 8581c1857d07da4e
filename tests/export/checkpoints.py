"""Checkpoints with random weights: everything an export needs, without training."""

from __future__ import annotations

from typing import Any

import torch

from offbeat.result import Threshold
from offbeat_training.architectures import Architecture, Autoencoder, LSTMAutoencoder, VariationalAutoencoder
from offbeat_training.checkpoint import Checkpoint
from offbeat_training.preprocessing import Normalisation
from offbeat_training.record import WindowSpec

LENGTH = 12
TRAINING: dict[str, Any] = {
    "source": {"name": "generated", "sha256": None, "n_rows": 100},
    "n_training_windows": 80,
    "n_validation_windows": 20,
    "n_epochs": 3,
    "best_epoch": 2,
    "best_validation_loss": 0.5,
    "seed": 0,
    "trained_at": "2025-01-01T00:00:00Z",
    "torch_version": "2.13.0",
    "offbeat_version": "0.1.0",
}


def checkpoint_of(
    model: Architecture, *, threshold: float = 0.8, mean: float | None = None, scale: float = 2.0, seed: int = 0
) -> Checkpoint:
    """A checkpoint of a module as it stands. Its validation windows are random around the normalisation."""
    generator = torch.Generator().manual_seed(seed)
    n_features = model.n_features
    means = torch.randn(n_features, generator=generator) * 10 if mean is None else torch.full((n_features,), mean)
    scales = scale * (0.5 + torch.rand(n_features, generator=generator))
    shape = (20, LENGTH, n_features) if model.has_time else (20, n_features)
    return Checkpoint(
        architecture_kind=model.kind,
        architecture_settings=model.settings(),
        state_dict=model.state_dict(),
        feature_names=tuple(f"sensor {index}" for index in range(n_features)),
        normalisation=Normalisation(mean=means, scale=scales),
        window=WindowSpec(length=LENGTH, stride=1) if model.has_time else None,
        threshold=Threshold(value=threshold, method="percentile", percentile=99.0, n_windows=20),
        training=TRAINING,
        metrics={"roc_auc": 0.99},
        validation_windows=torch.randn(shape, generator=generator) * scales + means,
    )


def lstm_checkpoint(n_features: int = 2, n_layers: int = 1, **options: Any) -> Checkpoint:
    """An LSTMAutoencoder of hidden size 8."""
    torch.manual_seed(n_features * 10 + n_layers)
    return checkpoint_of(LSTMAutoencoder(n_features, hidden_size=8, n_layers=n_layers), **options)


def preset_checkpoint(n_features: int = 2, **settings: Any) -> Checkpoint:
    """An LSTMAutoencoder of hidden size 8, unless the settings say otherwise."""
    torch.manual_seed(len(settings))
    return checkpoint_of(LSTMAutoencoder(n_features, **{"hidden_size": 8, **settings}))


def table_checkpoint(n_features: int = 5, **options: Any) -> Checkpoint:
    """An Autoencoder whose BatchNorms have seen data, so that folding them matters."""
    torch.manual_seed(n_features)
    return checkpoint_of(
        _seen_data(Autoencoder(n_features, hidden_sizes=(16, 8), latent_dim=3, dropout=0.2)), **options
    )


def denoising_checkpoint(n_features: int = 2, linear_dim: int = 6) -> Checkpoint:
    """An Autoencoder of windows whose linear path, network and correction all have something to say."""
    torch.manual_seed(n_features + linear_dim)
    model = Autoencoder(
        n_features, hidden_sizes=(16, 8), latent_dim=3, n_steps=LENGTH, noise=1.0, linear_dim=linear_dim
    )
    torch.nn.init.normal_(model.decoder[-1].weight, std=0.3)
    return checkpoint_of(_seen_data(model))


def variational_checkpoint(n_features: int = 5, **options: Any) -> Checkpoint:
    """A VariationalAutoencoder whose BatchNorms have seen data."""
    torch.manual_seed(n_features)
    model = VariationalAutoencoder(n_features, hidden_sizes=(16, 8), latent_dim=3, n_draws=4)
    return checkpoint_of(_seen_data(model), **options)


def _seen_data(model: Architecture) -> Architecture:
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.3, 3.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
    return model


CHECKPOINTS = {
    "lstm, 1 feature, 1 layer": lambda: lstm_checkpoint(1, 1),
    "lstm, 1 feature, 2 layers": lambda: lstm_checkpoint(1, 2),
    "lstm, 5 features, 1 layer": lambda: lstm_checkpoint(5, 1),
    "lstm, 5 features, 2 layers": lambda: lstm_checkpoint(5, 2),
    "repeat-sigmoid": lambda: preset_checkpoint(output_activation="sigmoid", error="sum_squared"),
    "repeat-classifier": lambda: preset_checkpoint(n_classes=3, error="sum_squared"),
    "repeat-forecast": lambda: preset_checkpoint(3, forecasts=True, error="sum_squared"),
    "state": lambda: preset_checkpoint(n_layers=2, dropout=0.2, bridge="state"),
    "stacked": lambda: preset_checkpoint(1, hidden_size=16, narrow_size=8, error="sum_absolute"),
    "flexible": lambda: preset_checkpoint(bridge="repeat_state", output_activation="tanh"),
    "flexible, bidirectional": lambda: preset_checkpoint(
        3, n_layers=2, n_decoder_layers=3, bidirectional=True, bridge="repeat_state", output_activation="sigmoid"
    ),
    "flexible, bottleneck": lambda: preset_checkpoint(bidirectional=True, latent_dim=5, bridge="repeat_state"),
    "flexible, fewer repeats": lambda: preset_checkpoint(latent_dim=8, bridge="repeat_state", n_repeats=LENGTH - 5),
    "flexible, more repeats": lambda: preset_checkpoint(bridge="repeat_state", n_repeats=LENGTH + 5),
    "repeat, bidirectional, bottleneck": lambda: preset_checkpoint(bidirectional=True, latent_dim=5),
    "table, 5 features": table_checkpoint,
    "variational": variational_checkpoint,
    "denoising": denoising_checkpoint,
    "denoising, no linear path": lambda: denoising_checkpoint(3, 0),
    "table, 1 feature": lambda: table_checkpoint(1),
}
