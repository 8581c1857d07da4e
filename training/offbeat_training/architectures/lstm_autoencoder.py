"""The recurrent autoencoder: one configurable module behind every preset for series."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import torch
from torch import Tensor, nn

from offbeat.errors import TrainingError
from offbeat_training.architectures.base import Architecture, Setting
from offbeat_training.architectures.lstm_settings import LSTMSettings
from offbeat_training.reconstruction_error import window_errors

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


class LSTMAutoencoder(Architecture):
    """Encodes a window into the last layer's final state and decodes it from there, step by step, to `n_features`.

    LSTMSettings says what each setting does; with the defaults the final hidden state is repeated at every step and decoded
    from a zero state. Dropout acts between layers only, so it does nothing for one layer. Raises ConfigurationError for
    settings out of range.
    Source: Srivastava, Mansimov, Salakhutdinov, "Unsupervised Learning of Video Representations using LSTMs" (2015),
    in its unconditional form; Malhotra et al., "LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection" (2016).
    """

    kind: ClassVar[str] = "lstm_autoencoder"
    has_time = True

    def __init__(
        self, n_features: int, hidden_size: int = 64, n_layers: int = 1, dropout: float = 0.0, **settings: Any
    ) -> None:
        super().__init__()
        given = LSTMSettings.of(
            n_features=n_features, hidden_size=hidden_size, n_layers=n_layers, dropout=dropout, **settings
        )
        self.config = given
        self.n_features, self.n_layers, self.dropout = given.n_features, given.n_layers, given.dropout
        self.hidden_size, self.bidirectional = given.hidden_size, given.bidirectional
        self.bridge, self.n_repeats, self.error = given.bridge, given.n_repeats, given.error
        self.recurrent_dropout = given.recurrent_dropout
        # A sum grows with the length, so that a threshold holds for windows of the trained length alone.
        self.is_time_dynamic = given.n_repeats == 0 and given.error == "mean_squared"
        self.encoder = _lstm(given.n_features, given.hidden_size, given.n_layers, given.dropout, given.bidirectional)
        n_decoder_layers = given.n_decoder_layers or given.n_layers
        self.decoder = _lstm(given.decoder_input_width, given.hidden_size, n_decoder_layers, given.dropout)
        self.output = nn.Linear(given.hidden_size, given.n_features)
        self.output_activation = _ACTIVATIONS[given.output_activation]()
        self._add_narrow_layers(given)
        self._add_bottleneck(given)
        self.classifier = nn.Linear(given.hidden_size, given.n_classes) if given.n_classes else None
        self.forecaster = nn.Linear(given.encoder_width, given.n_features) if given.forecasts else None

    def _add_narrow_layers(self, given: LSTMSettings) -> None:
        size = given.narrow_size
        self.encoder_narrow = _lstm(given.hidden_size, size) if size else None
        self.decoder_narrow = _lstm(given.latent_width, size) if size else None

    def _add_bottleneck(self, given: LSTMSettings) -> None:
        """Dense layers from the encoder's state to the latent one, and on to the decoder's where the widths differ."""
        carries_state = given.bridge == "repeat_state"
        widths = given.encoder_width, given.latent_dim
        self.latent_hidden = nn.Linear(*widths) if given.latent_dim else None
        self.latent_cell = nn.Linear(*widths) if given.latent_dim and carries_state else None
        self.latent_activation = _ACTIVATIONS[given.latent_activation]()
        is_projected = carries_state and given.latent_width != given.hidden_size
        self.state_hidden = nn.Linear(given.latent_width, given.hidden_size) if is_projected else None
        self.state_cell = nn.Linear(given.latent_width, given.hidden_size) if is_projected else None

    def settings(self) -> dict[str, Setting]:
        """The arguments this module was made with."""
        plain: dict[str, Setting] = msgspec.to_builtins(self.config)
        return plain

    def forward(self, normalised: Tensor) -> Tensor:
        """Reconstructs [batch, time, feature] in normalised units; no more steps than `n_repeats`, where that is given."""
        return self._reconstruct(self._decode(normalised, self._encode(normalised)), normalised)

    def classify(self, normalised: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction, and the logits [batch, class] of the classes. For modules with `n_classes`."""
        decoded = self._decode(normalised, self._encode(normalised))
        logits: Tensor = self.classifier(decoded[:, -1])  # type: ignore[misc]
        return self._reconstruct(decoded, normalised), logits

    def forecast(self, normalised: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction, and at each step t the prediction of step t + 1, same shape. For modules that forecast."""
        encoded = self._encode(normalised)
        forecast: Tensor = self.output_activation(self.forecaster(encoded[0]))  # type: ignore[misc]
        return self._reconstruct(self._decode(normalised, encoded), normalised), forecast

    def compared(self, normalised: Tensor) -> Tensor:
        """The first `n_repeats` steps where that is given, else all."""
        return normalised[:, : self.n_repeats] if self.n_repeats > 0 else normalised

    def losses(self, normalised: Tensor, class_labels: Tensor | None = None) -> Tensor:
        """The error of each window [batch]; plus the cross-entropy of its class, or the squared error of the forecast.

        The forecast at step t is compared with the window at t + 1, and summed over steps and features. Raises TrainingError
        where a model with a classifier is given no `class_labels`.
        """
        if self.classifier is not None:
            if class_labels is None:
                raise TrainingError(
                    "class_labels are None; a model with a classifier learns from a class for each window"
                )
            reconstruction, logits = self.classify(normalised)
            missed = nn.functional.cross_entropy(logits, class_labels, reduction="none")
        elif self.forecaster is not None:
            reconstruction, forecast = self.forecast(normalised)
            missed = (normalised[:, 1:] - forecast[:, :-1]).square().sum(dim=(1, 2))
        else:
            return self.errors(normalised)[0]
        return window_errors(self.compared(normalised), reconstruction, self.error)[0] + missed

    def _encode(self, normalised: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The last layer's output at every step, and every layer's final hidden and cell state [layer, batch, width]."""
        steps, (hidden, cell) = self.encoder(normalised)
        if self.encoder_narrow is not None:
            steps, (hidden, cell) = self.encoder_narrow(steps)
        return steps, hidden, cell

    def _last(self, state: Tensor) -> Tensor:
        """The last layer's state [batch, width]; of a bidirectional one, forward and backward side by side."""
        return torch.cat([state[-2], state[-1]], dim=1) if self.bidirectional else state[-1]

    def _decode(self, normalised: Tensor, encoded: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """The decoder's output at each step [batch, time, hidden_size]."""
        _, hidden, cell = encoded
        if self.bridge == "state":
            from_state: Tensor = self.decoder(torch.zeros_like(normalised), (hidden, cell))[0]
            return from_state
        latent = self._last(hidden)
        if self.latent_hidden is not None:
            latent = self.latent_activation(self.latent_hidden(latent))
        n_steps = self.n_repeats if self.n_repeats > 0 else normalised.size(1)
        repeated = latent.unsqueeze(1).expand(-1, n_steps, -1)
        if self.decoder_narrow is not None:
            repeated = self.decoder_narrow(repeated)[0]
        decoded: Tensor = (
            self.decoder(repeated)[0]
            if self.bridge == "repeat"
            else self.decoder(repeated, self._initial_state(latent, self._last(cell)))[0]
        )
        return decoded

    def _initial_state(self, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Where the decoder starts: its first layer at the latent state (`hidden` is it already), the others at zero."""
        if self.latent_cell is not None:
            cell = self.latent_activation(self.latent_cell(cell))
        if self.state_hidden is not None and self.state_cell is not None:
            hidden, cell = self.state_hidden(hidden), self.state_cell(cell)
        others = [torch.zeros_like(hidden)] * (self.decoder.num_layers - 1)
        return torch.stack([hidden] + others), torch.stack([cell] + others)  # noqa: RUF005 (TorchScript unpacks no lists)

    def _reconstruct(self, decoded: Tensor, normalised: Tensor) -> Tensor:
        reconstruction: Tensor = self.output_activation(self.output(decoded))
        return reconstruction[:, : normalised.size(1)] if self.n_repeats > 0 else reconstruction


def _lstm(n_in: int, n_out: int, n_layers: int = 1, dropout: float = 0.0, bidirectional: bool = False) -> nn.LSTM:
    # nn.LSTM warns about a dropout that has no layers to act between.
    between = dropout if n_layers > 1 else 0.0
    return nn.LSTM(n_in, n_out, n_layers, batch_first=True, dropout=between, bidirectional=bidirectional)
