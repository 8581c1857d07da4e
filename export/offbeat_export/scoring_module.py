"""The whole scorer as one torch module: raw windows in, scores out."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from offbeat_training.architectures import Architecture, LSTMAutoencoder, VariationalAutoencoder
from offbeat_training.checkpoint import Checkpoint
from offbeat_training.reconstruction_error import draw_errors, row_errors, series_errors


class ScoringModule(nn.Module):
    """Normalises raw windows, reconstructs them and scores the error: the graph that every format is exported from.

    `mean`, `scale` [feature] and `threshold` [] are float32 buffers. `forward(window)` returns the outputs as a tuple,
    in the order of `output_names`, with the shapes of docs/format.md. Made by `of`, it is in eval mode and needs no gradients.
    """

    output_names: ClassVar[tuple[str, ...]]

    def __init__(self, model: Architecture, mean: Tensor, scale: Tensor, threshold: Tensor) -> None:
        super().__init__()
        self.model = model
        self.mean: Tensor
        self.scale: Tensor
        self.threshold: Tensor
        self.register_buffer("mean", mean.detach().clone())
        self.register_buffer("scale", scale.detach().clone())
        self.register_buffer("threshold", threshold.detach().clone())

    @staticmethod
    def of(model: Architecture, mean: Tensor, scale: Tensor, threshold: Tensor) -> ScoringModule:
        """The scorer around a model: of series or of rows, with the outputs that its heads give."""
        # torch picks another LSTM kernel, which rounds differently, for weights that could want a gradient.
        return _scorer_of(model)(model, mean, scale, threshold).eval().requires_grad_(False)

    @staticmethod
    def of_checkpoint(checkpoint: Checkpoint) -> ScoringModule:
        """The scorer of a trained model."""
        normalisation = checkpoint.normalisation
        threshold = torch.tensor(checkpoint.threshold.value, dtype=torch.float32)
        return ScoringModule.of(checkpoint.build_model(), normalisation.mean, normalisation.scale, threshold)

    def normalise(self, window: Tensor) -> Tensor:
        """Raw units to normalised ones."""
        return (window - self.mean) / self.scale

    def denormalise(self, normalised: Tensor) -> Tensor:
        """Normalised units to raw ones."""
        return normalised * self.scale + self.mean

    def score(self, error: Tensor) -> Tensor:
        """clip(error / (2 · threshold), 0, 1); written so that no exporter folds the threshold into another constant."""
        return torch.clip(error / self.threshold * 0.5, 0.0, 1.0)


class SeriesScoringModule(ScoringModule):
    """Scores windows of series, [batch, time, feature]."""

    output_names: ClassVar[tuple[str, ...]] = (
        "reconstruction_error",
        "anomaly_score",
        "is_anomaly",
        "feature_error",
        "step_error",
        "reconstruction",
    )

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Scores raw windows [batch, time, feature]."""
        normalised = self.normalise(window)
        return self.judge(normalised, self.model(normalised))

    def judge(
        self, normalised: Tensor, reconstruction: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The outputs that follow from normalised windows and their reconstruction."""
        compared = self.model.compared(normalised)
        error, feature_error, step_error = series_errors(compared, reconstruction, self.model.error)
        error = infinite_where_undefined(error)
        return (
            error,
            self.score(error),
            error > self.threshold,
            infinite_where_undefined(feature_error),
            infinite_where_undefined(step_error),
            self.denormalise(reconstruction),
        )


class ClassifierScoringModule(SeriesScoringModule):
    """Scores windows of series and says how probable each class is, [batch, class]."""

    output_names = (*SeriesScoringModule.output_names, "class_probability")

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # type: ignore[override]
        """Scores raw windows [batch, time, feature]."""
        normalised = self.normalise(window)
        reconstruction, logits = self.model.classify(normalised)  # type: ignore[operator]
        return *self.judge(normalised, reconstruction), torch.softmax(logits, dim=1)


class ForecastScoringModule(SeriesScoringModule):
    """Scores windows of series and predicts, at each step, the next one, [batch, time, feature] in raw units."""

    output_names = (*SeriesScoringModule.output_names, "forecast")

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # type: ignore[override]
        """Scores raw windows [batch, time, feature]."""
        normalised = self.normalise(window)
        reconstruction, forecast = self.model.forecast(normalised)  # type: ignore[operator]
        return *self.judge(normalised, reconstruction), self.denormalise(forecast)


class RowScoringModule(ScoringModule):
    """Scores rows of a table, [batch, feature]."""

    output_names = ("reconstruction_error", "anomaly_score", "is_anomaly", "feature_error", "reconstruction")

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Scores raw rows [batch, feature]."""
        normalised = self.normalise(window)
        reconstruction = self.model(normalised)
        error, feature_error = row_errors(normalised, reconstruction, self.model.error)
        error, feature_error = infinite_where_undefined(error), infinite_where_undefined(feature_error)
        return error, self.score(error), error > self.threshold, feature_error, self.denormalise(reconstruction)


class DrawsScoringModule(ScoringModule):
    """Scores rows of a table by draws of their reconstruction; `error_std` is the error's spread over them, [batch]."""

    output_names = (*RowScoringModule.output_names, "error_std")

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Scores raw rows [batch, feature]."""
        normalised = self.normalise(window)
        draws = self.model.draws(normalised)  # type: ignore[operator]
        error, feature_error, spread = draw_errors(normalised, draws, self.model.error)
        error = infinite_where_undefined(error)
        return (
            error,
            self.score(error),
            error > self.threshold,
            infinite_where_undefined(feature_error),
            self.denormalise(draws.mean(dim=0)),
            infinite_where_undefined(spread),
        )


def infinite_where_undefined(error: Tensor) -> Tensor:
    """An error, a share of one or its spread, of any shape, with +infinity wherever it is not a number.

    Finite values near float32's end overflow inside a model, and infinity − infinity compares as normal with any threshold.
    """
    # Two ONNX nodes, and functions that every reader of a TorchScript file allows; isnan and nan_to_num are neither.
    return torch.where(error == error, error, math.inf)


def _scorer_of(model: Architecture) -> type[ScoringModule]:
    if isinstance(model, VariationalAutoencoder):
        return DrawsScoringModule
    if isinstance(model, LSTMAutoencoder) and model.classifier is not None:
        return ClassifierScoringModule
    if isinstance(model, LSTMAutoencoder) and model.forecaster is not None:
        return ForecastScoringModule
    return SeriesScoringModule if model.has_time else RowScoringModule
