"""The loss of a batch, with recurrent dropout."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from offbeat_training.architectures import Architecture

_RECURRENT_WEIGHT = "weight_hh"


def training_loss(model: Architecture, normalised: Tensor, class_labels: Tensor | None = None) -> Tensor:
    """Mean over a batch of what the model is trained to minimise, [].

    In training mode a share `recurrent_dropout` of the recurrent weights is left out, another one at each call and the
    same at every step of a window. The layers stay plain `nn.LSTM`s, which scoring and exports run as they are.
    Source: Merity, Keskar, Socher, "Regularizing and Optimizing LSTM Language Models" (2018), weight-dropped LSTM.
    """
    weights = _dropped_weights(model) if model.training and model.recurrent_dropout > 0 else {}
    losses: Tensor = functional_call(_Losses(model), weights, (normalised, class_labels))
    return losses.mean()


class _Losses(nn.Module):
    """`losses` as a forward, which is what functional_call calls."""

    def __init__(self, model: Architecture) -> None:
        super().__init__()
        self.model = model

    def forward(self, normalised: Tensor, class_labels: Tensor | None) -> Tensor:
        return self.model.losses(normalised, class_labels)


def _dropped_weights(model: Architecture) -> dict[str, Tensor]:
    return {
        f"model.{name}": torch.dropout(weight, model.recurrent_dropout, train=True)
        for name, weight in model.named_parameters()
        if _RECURRENT_WEIGHT in name
    }
