"""Runs Lightning's loop over prepared data, without its files and its chatter."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

import lightning
import torch
from lightning.pytorch.callbacks import EarlyStopping
from rich.console import Console

from offbeat.errors import ConfigurationError
from offbeat_training.architectures import Architecture
from offbeat_training.best_weights import BestWeights
from offbeat_training.config import TrainingConfig
from offbeat_training.progress import EpochProgress
from offbeat_training.reconstruction_task import ReconstructionTask
from offbeat_training.training_data import Batches, ClassifiedBatches, TrainingData


def optimise(
    model: Architecture, data: TrainingData, config: TrainingConfig, console: Console | None
) -> tuple[BestWeights, int]:
    """Trains in place until the validation loss has not improved for `config.patience` epochs.

    Returns the best epoch's weights and the number of epochs run. Raises TrainingError for a loss that is not finite.
    """
    best = BestWeights()
    callbacks = [best, EarlyStopping("validation_loss", patience=config.patience, check_finite=False)]
    if console is not None:
        callbacks.append(EpochProgress(console, best))
    with _quiet_lightning():
        trainer = lightning.Trainer(
            accelerator=accelerator(config),
            devices=1,
            max_epochs=config.epochs,
            gradient_clip_val=config.grad_clip,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        generator = torch.Generator().manual_seed(config.seed)
        trainer.fit(
            ReconstructionTask(model, config),
            _with_classes(Batches(data.windows, data.training, config.batch_size, generator), data),
            _with_classes(Batches(data.windows, data.validation, config.batch_size), data),
        )
    return best, trainer.current_epoch


def _with_classes(batches: Batches, data: TrainingData) -> Batches | ClassifiedBatches:
    return batches if data.classes is None else ClassifiedBatches(batches, data.classes)


def accelerator(config: TrainingConfig) -> str:
    """Lightning's word for the configured device. Raises ConfigurationError for CUDA where there is no usable GPU."""
    has_gpu = config.device != "cpu" and torch.cuda.is_available()
    if config.device == "cuda" and not has_gpu:
        raise ConfigurationError("device is 'cuda', and torch sees no usable GPU; expected 'cpu' or 'auto' here")
    return "gpu" if has_gpu else "cpu"


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silences Lightning's tips about hardware and workers for the time of a run, and nothing else."""
    loggers = [logging.getLogger("lightning.pytorch"), logging.getLogger("lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        # Lightning 2.6 still uses a class of torch's that torch 2.13 is retiring.
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
