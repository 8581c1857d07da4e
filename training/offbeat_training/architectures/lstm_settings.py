"""The settings of an LSTMAutoencoder."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from offbeat.errors import ConfigurationError, require
from offbeat_training.architectures.base import MAX_LAYERS, MAX_SIZE
from offbeat_training.reconstruction_error import ErrorKind

Bridge = Literal["repeat", "state", "repeat_state"]
Activation = Literal["linear", "relu", "sigmoid", "tanh"]


class LSTMSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an LSTMAutoencoder is made of. Raises ConfigurationError for settings out of range or that exclude each other.

    `hidden_size` units in each of the encoder's `n_layers` and the decoder's `n_decoder_layers` (0: as many); `dropout`
    between layers; `bidirectional` encoders read windows both ways. `narrow_size` E adds a layer H→E behind the encoder and
    E→E before the decoder. `latent_dim` puts dense layers, with `latent_activation`, behind the encoder's last state. Where
    0, these are absent. `bridge` is how the latent state reaches the decoder: `repeat`, as its input at every step, from
    zero states; `state`, as the initial state of every layer, the input being zero; `repeat_state`, as its input and as the
    first layer's initial state. `n_repeats` fixes the number of steps decoded (0: as many as the window has). A
    classifier of `n_classes` reads the decoder's last hidden state, `forecasts` adds a layer on the encoder's outputs.
    """

    n_features: int
    hidden_size: int = 64
    n_layers: int = 1
    dropout: float = 0.0
    n_decoder_layers: int = 0
    bidirectional: bool = False
    narrow_size: int = 0
    latent_dim: int = 0
    latent_activation: Activation = "relu"
    bridge: Bridge = "repeat"
    n_repeats: int = 0
    recurrent_dropout: float = 0.0
    output_activation: Activation = "linear"
    n_classes: int = 0
    forecasts: bool = False
    error: ErrorKind = "mean_squared"

    def __post_init__(self) -> None:
        for field, least, most in (
            ("n_features", 1, MAX_SIZE),
            ("hidden_size", 1, MAX_SIZE),
            ("n_layers", 1, MAX_LAYERS),
            ("n_decoder_layers", 0, MAX_LAYERS),
            ("narrow_size", 0, MAX_SIZE),
            ("latent_dim", 0, MAX_SIZE),
            ("n_repeats", 0, 1_000_000),
            ("n_classes", 0, MAX_SIZE),
        ):
            require(least <= getattr(self, field) <= most, field, getattr(self, field), f"{least} to {most}")
        for field in ("dropout", "recurrent_dropout"):
            require(0 <= getattr(self, field) < 1, field, getattr(self, field), "at least 0 and below 1")
        self._check_combinations()

    def _check_combinations(self) -> None:
        require(self.n_classes != 1, "n_classes", 1, "0 for no classifier, or at least 2")
        require(not (self.n_classes and self.forecasts), "forecasts", True, "a classifier or a forecast, not both")
        if self.narrow_size:
            require(self.bridge == "repeat", "bridge", self.bridge, "repeat with a narrow_size")
            require(not self.bidirectional, "bidirectional", True, "false with a narrow_size")
        if self.bridge == "state":
            is_plain = not (self.bidirectional or self.latent_dim or self.n_repeats)
            require(is_plain, "bridge", "state", "no bidirectional, latent_dim or n_repeats with it")
            same = self.n_decoder_layers in (0, self.n_layers)
            require(
                same, "n_decoder_layers", self.n_decoder_layers, f"{self.n_layers}, as the encoder, with bridge state"
            )

    @classmethod
    def of(cls, **settings: Any) -> LSTMSettings:
        """The settings, of exactly these types. Raises ConfigurationError, also for unknown names."""
        try:
            return msgspec.convert(settings, cls)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"settings of lstm_autoencoder: {error}") from error

    @property
    def encoder_width(self) -> int:
        """Units in the encoder's last hidden state."""
        return self.narrow_size or self.hidden_size * (2 if self.bidirectional else 1)

    @property
    def latent_width(self) -> int:
        """Units in the latent vector."""
        return self.latent_dim or self.encoder_width

    @property
    def decoder_input_width(self) -> int:
        """What the decoder reads at each step, behind the layer that `narrow_size` adds."""
        return self.n_features if self.bridge == "state" else self.narrow_size or self.latent_width
