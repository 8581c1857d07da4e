"""The dense autoencoder: of the rows of a table, or of windows laid out flat."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from offbeat.errors import require
from offbeat_training.architectures.base import MAX_SIZE, Architecture, Setting, require_dense_settings
from offbeat_training.architectures.dense_blocks import dense_blocks
from offbeat_training.architectures.linear_path import Moments, set_linear_path
from offbeat_training.reconstruction_error import ErrorKind, window_errors


class Autoencoder(Architecture):
    """Narrows a row through blocks of Linear, BatchNorm, ReLU and Dropout to a latent vector, and mirrors the way back.

    `hidden_sizes` are the widths of the encoder's blocks; the latent layer and the last layer are Linear alone.
    `encoder` and `decoder` are flat `nn.Sequential`s. With `n_steps` it reads windows of just so many steps, laid out flat;
    0 is for rows of a table. In training, values carry Gaussian noise of standard deviation `noise`, and what is
    reconstructed are the values without it. With `linear_dim` a linear path of that rank comes first: it is computed from
    the training windows before training, see `set_linear_path`, and stays as it is; the network reads what the path
    reconstructs and adds a correction, which begins at zero, so that it learns what a linear map cannot. Raises
    ConfigurationError for settings out of range.
    Source: Vincent, Larochelle, Bengio, Manzagol, "Extracting and Composing Robust Features with Denoising Autoencoders"
    (2008), for the noise.
    """

    kind: ClassVar[str] = "autoencoder"
    is_time_dynamic = False

    def __init__(
        self,
        n_features: int,
        hidden_sizes: Sequence[int] = (128, 64),
        latent_dim: int = 32,
        dropout: float = 0.2,
        error: ErrorKind = "mean_squared",
        n_steps: int = 0,
        noise: float = 0.0,
        linear_dim: int = 0,
    ) -> None:
        super().__init__()
        require_dense_settings(n_features, hidden_sizes, latent_dim, error)
        require(0 <= dropout < 1, "dropout", dropout, "at least 0 and below 1")
        require(0 <= n_steps * n_features <= MAX_SIZE, "n_steps", n_steps, f"at most {MAX_SIZE} values in a window")
        require(0 <= noise < math.inf, "noise", noise, "a number from 0 up")
        require(0 <= linear_dim <= MAX_SIZE, "linear_dim", linear_dim, f"0 to {MAX_SIZE}")
        self.n_features, self.n_steps, self.has_time = n_features, n_steps, n_steps > 0
        self.hidden_sizes, self.latent_dim = tuple(hidden_sizes), latent_dim
        self.dropout, self.noise, self.linear_dim = float(dropout), float(noise), linear_dim
        self.error = error
        n_values = n_features * max(n_steps, 1)
        down = [n_values, *hidden_sizes]
        up = [latent_dim, *reversed(hidden_sizes)]
        last = nn.Linear(up[-1], n_values)
        self.encoder = nn.Sequential(*dense_blocks(down, self.dropout), nn.Linear(down[-1], latent_dim))
        self.decoder = nn.Sequential(*dense_blocks(up, self.dropout), last)
        self.linear_encoder = nn.Linear(n_values, linear_dim).requires_grad_(False) if linear_dim else None
        self.linear_decoder = nn.Linear(linear_dim, n_values).requires_grad_(False) if linear_dim else None
        if linear_dim:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def settings(self) -> dict[str, Setting]:
        """The arguments this module was made with."""
        return {
            "n_features": self.n_features,
            "hidden_sizes": list(self.hidden_sizes),
            "latent_dim": self.latent_dim,
            "dropout": self.dropout,
            "error": self.error,
            "n_steps": self.n_steps,
            "noise": self.noise,
            "linear_dim": self.linear_dim,
        }

    def forward(self, normalised: Tensor) -> Tensor:
        """Reconstructs [batch, feature], or [batch, n_steps, feature], in normalised units."""
        values = normalised.flatten(1) if self.has_time else normalised
        if self.linear_encoder is not None and self.linear_decoder is not None:
            values = self.linear_decoder(self.linear_encoder(values))
            reconstruction: Tensor = values + self.decoder(self.encoder(values))
        else:
            reconstruction = self.decoder(self.encoder(values))
        return reconstruction.reshape(-1, self.n_steps, self.n_features) if self.has_time else reconstruction

    def losses(self, normalised: Tensor, class_labels: Tensor | None = None) -> Tensor:
        """The error of each window [batch]; in training that of a reconstruction from values with noise."""
        if not (self.training and self.noise):
            return self.errors(normalised)[0]
        noisy = normalised + self.noise * torch.randn_like(normalised)
        return window_errors(normalised, self(noisy), self.error)[0]

    def initialise(self, batches: Iterable[Tensor]) -> None:
        """Computes the linear path, where there is one."""
        if self.linear_encoder is not None and self.linear_decoder is not None:
            moments = Moments.of(batch.flatten(1) for batch in batches)
            set_linear_path(self.linear_encoder, self.linear_decoder, moments, self.noise)
