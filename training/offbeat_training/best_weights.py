"""Remembers the weights of the best epoch."""

from __future__ import annotations

import math

import lightning
from torch import Tensor


class BestWeights(lightning.Callback):  # type: ignore[misc]
    """Keeps, in memory and on the CPU, the state of the epoch with the lowest `validation_loss`; the first among equals.

    `epoch` counts from 1 and is 0 before any epoch has ended.
    """

    def __init__(self) -> None:
        self.loss = math.inf
        self.epoch = 0
        self.weights: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compares the epoch that has just been validated."""
        loss = float(trainer.callback_metrics["validation_loss"])
        if loss < self.loss:
            self.loss, self.epoch = loss, trainer.current_epoch + 1
            state = pl_module.model.state_dict()
            self.weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}
