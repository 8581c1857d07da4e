"""One run of training: what its epochs depend on and leave behind."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from functools import cached_property

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint as CheckpointCallback
from torch import Tensor

from offbeat_training.architectures import Architecture
from offbeat_training.best_weights import BestWeights, cpu_copy
from offbeat_training.checkpoint import Checkpoint
from offbeat_training.checkpoint_draft import CheckpointDraft
from offbeat_training.history import Epoch, best_of
from offbeat_training.resume_state import ResumeState, RunIdentity
from offbeat_training.run_folder import RunFolder


class TrainingRun(CheckpointCallback):  # type: ignore[misc]
    """Keeps the history, has the run's folder, where there is one, keep up with it, and restores what that holds.

    Restored are the weights, the best ones, the optimiser, the `order` of the windows and the random numbers of dropout, so
    that on a CPU no bit tells a resumed run from one that was never interrupted. As one of Lightning's checkpoint callbacks
    it hears of an epoch last, when its losses are known to be finite.
    """

    def __init__(self, model: Architecture, draft: CheckpointDraft, folder: RunFolder | None) -> None:
        self.model = model
        self.draft = draft
        self.folder = folder
        self.best = BestWeights()
        self.order = torch.Generator().manual_seed(draft.config.seed)
        self.history: tuple[Epoch, ...] = ()
        # The last epoch that has ended, where the folder does not hold it yet.
        self._unwritten: ResumeState | None = None
        self._best_written = 0
        self._restored: ResumeState | None = None
        self._started_s = 0.0

    @cached_property
    def identity(self) -> RunIdentity:
        """What the folder's run must have been begun with."""
        return RunIdentity.of(self.draft.dataset, self.draft.data.classes, self.draft.config)

    @property
    def n_epochs(self) -> int:
        """Epochs that have ended, those before the run was resumed among them."""
        return len(self.history)

    @property
    def n_idle(self) -> int:
        """Epochs since the best one."""
        return self.n_epochs - self.best.epoch

    def restore(self) -> None:
        """Takes up the run that the folder holds, if it holds one. Raises CheckpointError where it is another run's."""
        if self.folder is not None:
            self._restored = self.folder.read(self.identity, self.model, self.draft.config.optim)
        if self._restored is not None:
            state, best = self._restored, best_of(self._restored.history)
            self.model.load_state_dict(state.weights)
            self.best.restore(best.epoch, best.validation_loss, state.best_weights)
            self.order.set_state(state.order_state.to(torch.uint8))
            self.history = state.history
        if self.folder is not None:
            self.folder.begin(self.history)

    def checkpoint(self) -> Checkpoint:
        """The model with the weights that it has now."""
        return self.draft.checkpoint(self.model, self.history)

    def keep(self) -> None:
        """Brings the folder up to date with the last epoch that has ended, whatever has become of the model since."""
        state = self._unwritten
        if self.folder is None or state is None:
            return
        last, best_epoch = self._checkpoint_of(state, state.weights), best_of(state.history).epoch
        best = None
        if best_epoch == len(state.history):
            best = last
        elif best_epoch != self._best_written:
            best = self._checkpoint_of(state, state.best_weights)
        self.folder.write(state, last, best)
        self._unwritten, self._best_written = None, best_epoch

    def _checkpoint_of(self, state: ResumeState, weights: Mapping[str, Tensor]) -> Checkpoint:
        model = copy.deepcopy(self.model)
        model.load_state_dict(weights)
        return self.draft.checkpoint(model, state.history)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Restores what had to wait for the optimiser; nothing draws random numbers from here to the first batch."""
        if self._restored is not None:
            optimiser = trainer.optimizers[0]
            optimiser.load_state_dict(optimiser.state_dict() | {"state": dict(enumerate(self._restored.optimiser))})
            torch.set_rng_state(self._restored.random_state.to(torch.uint8))

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock."""
        self._started_s = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Records the epoch that has just ended."""
        losses, optimiser = trainer.callback_metrics, trainer.optimizers[0]
        epoch = Epoch(
            epoch=self.n_epochs + 1,
            training_loss=float(losses["training_loss"]),
            validation_loss=float(losses["validation_loss"]),
            learning_rate=float(optimiser.param_groups[0]["lr"]),
            seconds=time.monotonic() - self._started_s,
        )
        self.history = (*self.history, epoch)
        if self.folder is not None:
            self._unwritten = self._state(optimiser)
            self.folder.note(epoch)
            if self.folder.is_due:
                self.keep()

    def _state(self, optimiser: torch.optim.Optimizer) -> ResumeState:
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        return ResumeState(
            identity=self.identity,
            history=self.history,
            weights=cpu_copy(self.model.state_dict()),
            best_weights=self.best.weights,
            optimiser=[cpu_copy(optimiser.state.get(parameter, {})) for parameter in parameters],
            random_state=torch.get_rng_state().long(),
            order_state=self.order.get_state().long(),
        )
