"""The recurrent autoencoder whose latent vector is repeated over time."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from offbeat.errors import require
from offbeat_training.architectures.base import MAX_LAYERS, MAX_SIZE, Architecture, Setting


class LSTMAutoencoder(Architecture):
    """Encodes a window into the last layer's final hidden state and decodes that state, repeated at every step.

    The decoder starts from a zero state and each of its steps is mapped linearly to `n_features`. Dropout acts between
    layers only, so it does nothing for one layer. Raises ConfigurationError for settings out of range.
    Source: Srivastava, Mansimov, Salakhutdinov, "Unsupervised Learning of Video Representations using LSTMs" (2015),
    in its unconditional form; Malhotra et al., "LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection" (2016).
    """

    kind: ClassVar[str] = "lstm_autoencoder"
    has_time: ClassVar[bool] = True
    is_time_dynamic: ClassVar[bool] = True

    def __init__(self, n_features: int, hidden_size: int = 64, n_layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        require(1 <= n_features <= MAX_SIZE, "n_features", n_features, f"1 to {MAX_SIZE}")
        require(1 <= hidden_size <= MAX_SIZE, "hidden_size", hidden_size, f"1 to {MAX_SIZE}")
        require(1 <= n_layers <= MAX_LAYERS, "n_layers", n_layers, f"1 to {MAX_LAYERS}")
        require(0 <= dropout < 1, "dropout", dropout, "at least 0 and below 1")
        self.n_features = n_features
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.dropout = float(dropout)
        # nn.LSTM warns about a dropout that has no layers to act between.
        between = self.dropout if n_layers > 1 else 0.0
        self.encoder = nn.LSTM(n_features, hidden_size, n_layers, batch_first=True, dropout=between)
        self.decoder = nn.LSTM(hidden_size, hidden_size, n_layers, batch_first=True, dropout=between)
        self.output = nn.Linear(hidden_size, n_features)

    def settings(self) -> dict[str, Setting]:
        """The arguments this module was made with."""
        return {
            "n_features": self.n_features,
            "hidden_size": self.hidden_size,
            "n_layers": self.n_layers,
            "dropout": self.dropout,
        }

    def forward(self, normalised: Tensor) -> Tensor:
        """Reconstructs [batch, time, feature] in normalised units."""
        hidden, _ = self.encoder(normalised)[1]
        latent = hidden[-1].unsqueeze(1).expand(-1, normalised.size(1), -1)
        decoded = self.decoder(latent)[0]
        reconstruction: Tensor = self.output(decoded)
        return reconstruction
