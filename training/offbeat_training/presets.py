"""Presets: what a name on the command line stands for."""

from __future__ import annotations

from offbeat_training.architectures import Architecture, Autoencoder, LSTMAutoencoder
from offbeat_training.config import TrainingConfig


def build_preset(config: TrainingConfig, n_features: int) -> Architecture:
    """A new module as the preset says, with the configuration's own sizes where it names them.

    `repeat`: an LSTMAutoencoder, hidden size 64, one layer each side, no dropout. `tabular`: an Autoencoder of two
    blocks, the first 128 wide and each further one half of that, latent dimension 32, dropout 0.2.
    """
    if config.preset == "tabular":
        return Autoencoder(
            n_features,
            hidden_sizes=_halving(config.hidden_size or 128, config.num_layers or 2),
            latent_dim=config.latent_dim or 32,
            dropout=0.2 if config.dropout is None else config.dropout,
        )
    return LSTMAutoencoder(
        n_features,
        hidden_size=config.hidden_size or 64,
        n_layers=config.num_layers or 1,
        dropout=config.dropout or 0.0,
    )


def _halving(first: int, n_layers: int) -> list[int]:
    return [max(1, first >> layer) for layer in range(n_layers)]
