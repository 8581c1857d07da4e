"""The autoencoder of tables: dense layers to a latent vector and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from offbeat.errors import require
from offbeat_training.architectures.base import Architecture, Setting, require_dense_settings
from offbeat_training.architectures.dense_blocks import dense_blocks
from offbeat_training.reconstruction_error import ErrorKind


class Autoencoder(Architecture):
    """Narrows a row through blocks of Linear, BatchNorm, ReLU and Dropout to a latent vector, and mirrors the way back.

    `hidden_sizes` are the widths of the encoder's blocks; the latent layer and the last layer are Linear alone.
    `encoder` and `decoder` are flat `nn.Sequential`s. Raises ConfigurationError for settings out of range.
    """

    kind: ClassVar[str] = "autoencoder"
    has_time: ClassVar[bool] = False
    is_time_dynamic = False

    def __init__(
        self,
        n_features: int,
        hidden_sizes: Sequence[int] = (128, 64),
        latent_dim: int = 32,
        dropout: float = 0.2,
        error: ErrorKind = "mean_squared",
    ) -> None:
        super().__init__()
        require_dense_settings(n_features, hidden_sizes, latent_dim, error)
        require(0 <= dropout < 1, "dropout", dropout, "at least 0 and below 1")
        self.n_features = n_features
        self.hidden_sizes = tuple(hidden_sizes)
        self.latent_dim = latent_dim
        self.dropout = float(dropout)
        self.error = error
        down = [n_features, *hidden_sizes]
        up = [latent_dim, *reversed(hidden_sizes)]
        self.encoder = nn.Sequential(*dense_blocks(down, self.dropout), nn.Linear(down[-1], latent_dim))
        self.decoder = nn.Sequential(*dense_blocks(up, self.dropout), nn.Linear(up[-1], n_features))

    def settings(self) -> dict[str, Setting]:
        """The arguments this module was made with."""
        return {
            "n_features": self.n_features,
            "hidden_sizes": list(self.hidden_sizes),
            "latent_dim": self.latent_dim,
            "dropout": self.dropout,
            "error": self.error,
        }

    def forward(self, normalised: Tensor) -> Tensor:
        """Reconstructs [batch, feature] in normalised units."""
        reconstruction: Tensor = self.decoder(self.encoder(normalised))
        return reconstruction
