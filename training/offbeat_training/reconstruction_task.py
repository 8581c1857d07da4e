"""What Lightning's loop optimises: the mean loss of a batch of normal windows."""

from __future__ import annotations

import math
from collections.abc import Callable

import lightning
import torch
from torch import Tensor

from offbeat.errors import TrainingError
from offbeat_training.architectures import Architecture
from offbeat_training.config import TrainingConfig
from offbeat_training.training_loss import training_loss

Batch = Tensor | tuple[Tensor, Tensor]

_OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


class ReconstructionTask(lightning.LightningModule):  # type: ignore[misc]
    """One model, its optimiser, and its losses: means of the windows' losses over an epoch, in normalised units.

    A batch is windows, or a pair of windows and their classes [batch], int64. Logs `training_loss` and `validation_loss`.
    Raises TrainingError at the end of the first epoch whose loss is not finite.
    """

    def __init__(self, model: Architecture, config: TrainingConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser that the configuration names."""
        return _OPTIMISERS[self.config.optim](
            self.model.parameters(), lr=self.config.lr, weight_decay=self.config.weight_decay
        )

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of one batch, to be minimised."""
        return self._loss("training_loss", batch)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Adds one batch to the validation loss."""
        self._loss("validation_loss", batch)

    def on_validation_epoch_end(self) -> None:
        """Runs after every epoch's last step, before anything judges the losses."""
        self._require_finite("validation_loss")

    def on_train_epoch_end(self) -> None:
        """Runs when the epoch's training loss is complete."""
        self._require_finite("training_loss")

    def _loss(self, name: str, batch: Batch) -> Tensor:
        windows, class_labels = (batch, None) if isinstance(batch, Tensor) else batch
        loss = training_loss(self.model, windows, class_labels)
        self.log(name, loss.detach(), on_step=False, on_epoch=True, batch_size=windows.shape[0])
        return loss

    def _require_finite(self, name: str) -> None:
        loss = float(self.trainer.callback_metrics.get(name, 0.0))
        if not math.isfinite(loss):
            raise TrainingError(
                f"{name.replace('_', ' ')} is {loss} in epoch {self.current_epoch + 1}; "
                f"try a smaller lr (now {self.config.lr:g}) or grad_clip (now {self.config.grad_clip}, often 1)"
            )
