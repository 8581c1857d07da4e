"""The progress bar of a training run."""

from __future__ import annotations

import lightning
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from offbeat_training.best_weights import BestWeights


class EpochProgress(lightning.Callback):  # type: ignore[misc]
    """One bar over the epochs, with both losses, the best and its epoch, drawn on `console`.

    The time remaining is that of all epochs allowed: early stopping usually comes sooner. Every `log_interval` epochs the
    losses are printed on a line that stays, for screens that are files; 0 prints none.
    """

    def __init__(self, console: Console, best: BestWeights, log_interval: int) -> None:
        self.best = best
        self.log_interval = log_interval
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(bar_width=16),
            TextColumn("{task.completed:,}/{task.total:,}", table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[losses]}"),
            TimeRemainingColumn(compact=True),
            console=console,
        )
        self.bar = self.progress.add_task("", total=0, losses="")

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts drawing."""
        self.progress.update(self.bar, total=trainer.max_epochs, completed=trainer.current_epoch)
        self.progress.start()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Moves the bar by one epoch."""
        losses = {name: float(value) for name, value in trainer.callback_metrics.items()}
        words = (
            f"loss {losses['training_loss']:.3g}, held out {losses['validation_loss']:.3g},"
            f" best {self.best.loss:.3g} in {self.best.epoch}"
        )
        self.progress.update(self.bar, advance=1, losses=words)
        epoch = trainer.current_epoch + 1
        if self.log_interval and epoch % self.log_interval == 0:
            self.progress.console.print(f"epoch {epoch:,}: {words}", highlight=False)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Leaves the last state on the screen."""
        self.progress.stop()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Gives the screen back when training fails or is interrupted."""
        self.progress.stop()
