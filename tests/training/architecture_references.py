"""Plain modules written from the issue's table alone: each preset must give their output with their weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Repeat(nn.Module):
    """LSTM F→H; its final h, repeated, into LSTM H→H from zero; Linear H→F, and a sigmoid where asked for."""

    def __init__(self, n_features: int, hidden_size: int, n_layers: int = 1, is_sigmoid: bool = False) -> None:
        super().__init__()
        self.encoder = nn.LSTM(n_features, hidden_size, n_layers, batch_first=True)
        self.decoder = nn.LSTM(hidden_size, hidden_size, n_layers, batch_first=True)
        self.output = nn.Linear(hidden_size, n_features)
        self.is_sigmoid = is_sigmoid

    def decode(self, x: Tensor) -> Tensor:
        final = self.encoder(x)[1][0][-1]
        return self.decoder(torch.stack([final] * x.shape[1], dim=1))[0]

    def forward(self, x: Tensor) -> Tensor:
        y = self.output(self.decode(x))
        return torch.sigmoid(y) if self.is_sigmoid else y


class RepeatClassifier(Repeat):
    """And a Linear on the decoder's last hidden state."""

    def __init__(self, n_features: int, hidden_size: int, n_classes: int) -> None:
        super().__init__(n_features, hidden_size)
        self.classifier = nn.Linear(hidden_size, n_classes)

    def logits(self, x: Tensor) -> Tensor:
        return self.classifier(self.decode(x)[:, -1])


class RepeatForecast(Repeat):
    """And a Linear on the encoder's output at every step."""

    def __init__(self, n_features: int, hidden_size: int, is_sigmoid: bool) -> None:
        super().__init__(n_features, hidden_size, is_sigmoid=is_sigmoid)
        self.forecaster = nn.Linear(hidden_size, n_features)

    def forecast(self, x: Tensor) -> Tensor:
        y = self.forecaster(self.encoder(x)[0])
        return torch.sigmoid(y) if self.is_sigmoid else y


class State(nn.Module):
    """LSTM F→H in layers; a decoder of as many, from their (h, c), that reads zeros; Linear H→F."""

    def __init__(self, n_features: int, hidden_size: int, n_layers: int) -> None:
        super().__init__()
        self.encoder = nn.LSTM(n_features, hidden_size, n_layers, batch_first=True)
        self.decoder = nn.LSTM(n_features, hidden_size, n_layers, batch_first=True)
        self.output = nn.Linear(hidden_size, n_features)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.decoder(x * 0, self.encoder(x)[1])[0])


class Stacked(nn.Module):
    """LSTM F→2E, 2E→E; its final h, repeated, into LSTM E→E, E→2E; Linear 2E→F."""

    def __init__(self, n_features: int, size: int) -> None:
        super().__init__()
        self.encoder = nn.LSTM(n_features, 2 * size, batch_first=True)
        self.encoder_narrow = nn.LSTM(2 * size, size, batch_first=True)
        self.decoder_narrow = nn.LSTM(size, size, batch_first=True)
        self.decoder = nn.LSTM(size, 2 * size, batch_first=True)
        self.output = nn.Linear(2 * size, n_features)

    def forward(self, x: Tensor) -> Tensor:
        final = self.encoder_narrow(self.encoder(x)[0])[0][:, -1]
        return self.output(self.decoder(self.decoder_narrow(final[:, None].repeat(1, x.shape[1], 1))[0])[0])


class Flexible(nn.Module):
    """Every part of the flexible design, one nn.LSTM a layer and direction, so that nothing of ours is repeated here."""

    def __init__(
        self, n_features: int, units: int, n_encoder: int, n_decoder: int, latent_dim: int, is_bidirectional: bool
    ) -> None:
        super().__init__()
        sides = 2 if is_bidirectional else 1
        widths = [n_features] + [sides * units] * (n_encoder - 1)
        self.ahead = nn.ModuleList([nn.LSTM(width, units, batch_first=True) for width in widths])
        self.behind = nn.ModuleList(
            [nn.LSTM(width, units, batch_first=True) for width in widths] if is_bidirectional else []
        )
        latent = latent_dim or sides * units
        self.bottleneck = nn.ModuleList([nn.Linear(sides * units, latent) for _ in "hc"] if latent_dim else [])
        self.projection = nn.ModuleList([nn.Linear(latent, units) for _ in "hc"] if latent != units else [])
        widths = [latent] + [units] * (n_decoder - 1)
        self.layers = nn.ModuleList([nn.LSTM(width, units, batch_first=True) for width in widths])
        self.output = nn.Linear(units, n_features)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for index, ahead in enumerate(self.ahead):
            y, (h, c) = ahead(x)
            if self.behind:
                y_behind, (h_behind, c_behind) = self.behind[index](x.flip(1))
                y = torch.cat([y, y_behind.flip(1)], dim=2)
                h, c = torch.cat([h, h_behind], dim=2), torch.cat([c, c_behind], dim=2)
            x = y
        return h[0], c[0]

    def forward(self, x: Tensor, n_repeats: int | None = None) -> Tensor:
        h, c = self.encode(x)
        if self.bottleneck:
            h, c = torch.relu(self.bottleneck[0](h)), torch.relu(self.bottleneck[1](c))
        y = torch.stack([h] * (n_repeats or x.shape[1]), dim=1)
        if self.projection:
            h, c = self.projection[0](h), self.projection[1](c)
        for index, layer in enumerate(self.layers):
            y = (layer(y, (h[None], c[None])) if index == 0 else layer(y))[0]
        return torch.tanh(self.output(y))
