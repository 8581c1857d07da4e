"""Remembers the weights of the best epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import lightning
from torch import Tensor


class BestWeights(lightning.Callback):  # type: ignore[misc]
    """Keeps, in memory and on the CPU, the state of the epoch with the lowest `validation_loss`; the first among equals.

    `epoch` counts from 1 and is 0 before any epoch has ended.
    """

    def __init__(self) -> None:
        self.loss = math.inf
        self.epoch = 0
        self.weights: Mapping[str, Tensor] = {}

    def restore(self, epoch: int, loss: float, weights: Mapping[str, Tensor]) -> None:
        """Takes the best epoch of an earlier part of the run for its own."""
        self.epoch, self.loss, self.weights = epoch, loss, weights

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compares the epoch that has just been validated."""
        loss = float(trainer.callback_metrics["validation_loss"])
        if loss < self.loss:
            self.loss, self.epoch = loss, trainer.current_epoch + 1
            self.weights = cpu_copy(pl_module.model.state_dict())


def cpu_copy(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors among the values, each with memory of its own on the CPU."""
    found = {name: value for name, value in tensors.items() if isinstance(value, Tensor)}
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in found.items()}
