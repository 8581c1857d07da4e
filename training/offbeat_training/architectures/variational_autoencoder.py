"""The variational autoencoder of tables, scored over draws of its latent vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from offbeat.errors import require
from offbeat_training.architectures.base import Architecture, Setting, require_dense_settings
from offbeat_training.architectures.dense_blocks import dense_blocks
from offbeat_training.reconstruction_error import ErrorKind, draw_errors, window_errors

MAX_DRAWS = 10_000
# exp of a log variance that an outlier drives beyond this would overflow, and a score must be a number for any window.
LOG_VARIANCE_LIMIT = 10.0


class VariationalAutoencoder(Architecture):
    """Encodes a row into mean and log variance of a latent Gaussian, and decodes draws of it.

    Blocks of Linear, BatchNorm and ReLU, `hidden_sizes` wide, and the same mirrored. Training adds `beta` times the
    Kullback-Leibler divergence from the standard normal distribution, summed over the latent vector, to the error of one
    fresh draw. Scoring takes the mean error over `n_draws` draws whose `noise` [draw, latent_dim] was drawn with the
    first weights and is kept with them, the same for every row, so that a row always gets the same score. The log variance is
    kept within ± LOG_VARIANCE_LIMIT. Raises ConfigurationError for settings out of range.
    Source: Kingma, Welling, "Auto-Encoding Variational Bayes" (2014); Higgins et al., "beta-VAE" (2017); scores by draws as in
    An, Cho, "Variational Autoencoder based Anomaly Detection using Reconstruction Probability" (2015).
    """

    kind: ClassVar[str] = "variational_autoencoder"
    has_time = False
    is_time_dynamic = False

    def __init__(
        self,
        n_features: int,
        hidden_sizes: Sequence[int] = (128, 64),
        latent_dim: int = 32,
        beta: float = 0.01,
        n_draws: int = 10,
        error: ErrorKind = "mean_squared",
    ) -> None:
        super().__init__()
        require_dense_settings(n_features, hidden_sizes, latent_dim, error)
        require(0 <= beta < math.inf, "beta", beta, "a number from 0 up")
        require(1 <= n_draws <= MAX_DRAWS, "n_draws", n_draws, f"1 to {MAX_DRAWS}")
        self.n_features, self.hidden_sizes, self.latent_dim = n_features, tuple(hidden_sizes), latent_dim
        self.beta, self.n_draws, self.error = float(beta), n_draws, error
        self.limit = LOG_VARIANCE_LIMIT
        down = [n_features, *hidden_sizes]
        up = [latent_dim, *reversed(hidden_sizes)]
        self.encoder = nn.Sequential(*dense_blocks(down))
        self.mean = nn.Linear(down[-1], latent_dim)
        self.log_variance = nn.Linear(down[-1], latent_dim)
        self.decoder = nn.Sequential(*dense_blocks(up), nn.Linear(up[-1], n_features))
        self.noise: Tensor
        self.register_buffer("noise", torch.randn(n_draws, latent_dim))

    def settings(self) -> dict[str, Setting]:
        """The arguments this module was made with."""
        return {
            "n_features": self.n_features,
            "hidden_sizes": list(self.hidden_sizes),
            "latent_dim": self.latent_dim,
            "beta": self.beta,
            "n_draws": self.n_draws,
            "error": self.error,
        }

    def forward(self, normalised: Tensor) -> Tensor:
        """The mean of the draws' reconstructions [batch, feature], in normalised units."""
        return self.draws(normalised).mean(dim=0)

    def draws(self, normalised: Tensor) -> Tensor:
        """The reconstruction from each of the kept draws [draw, batch, feature]."""
        mean, log_variance = self.encode(normalised)
        latent = mean + torch.exp(log_variance / 2) * self.noise.unsqueeze(1)
        # BatchNorm wants rows; those of all draws are decoded together.
        decoded: Tensor = self.decoder(latent.reshape(-1, self.latent_dim))
        return decoded.reshape(self.n_draws, -1, self.n_features)

    def encode(self, normalised: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latent Gaussian, [batch, latent_dim] each."""
        encoded = self.encoder(normalised)
        return self.mean(encoded), torch.clip(self.log_variance(encoded), -self.limit, self.limit)

    def errors(self, normalised: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Means over the draws of `reconstruction_error` and `feature_error`; a row has no steps."""
        error, feature_error, _ = draw_errors(normalised, self.draws(normalised), self.error)
        return error, feature_error, None

    def losses(self, normalised: Tensor, class_labels: Tensor | None = None) -> Tensor:
        """error + β · KL of each row [batch]: of one fresh draw in training, else the mean over the kept draws."""
        mean, log_variance = self.encode(normalised)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
        if not self.training:
            return self.errors(normalised)[0] + self.beta * divergence
        latent = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        return window_errors(normalised, self.decoder(latent), self.error)[0] + self.beta * divergence
