"""Runs Lightning's loop over prepared data, without its files and its chatter."""

from __future__ import annotations

import contextlib
import logging
import signal
import warnings
from collections.abc import Iterator

import lightning
import torch
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.utilities.exceptions import SIGTERMException
from rich.console import Console

from offbeat.errors import ConfigurationError
from offbeat_training.architectures import Architecture
from offbeat_training.checkpoint_draft import CheckpointDraft
from offbeat_training.config import TrainingConfig
from offbeat_training.progress import EpochProgress
from offbeat_training.reconstruction_task import ReconstructionTask
from offbeat_training.run_folder import RunFolder
from offbeat_training.training_data import Batches, ClassifiedBatches, TrainingData
from offbeat_training.training_run import TrainingRun


def optimise(
    model: Architecture,
    draft: CheckpointDraft,
    folder: RunFolder | None,
    console: Console | None,
    log_interval: int,
) -> TrainingRun:
    """Trains in place until the validation loss has not improved for `patience` epochs of the draft's configuration.

    Goes on from what `folder` holds, and keeps it current. Raises TrainingError for a loss that is not finite.
    """
    config, data = draft.config, draft.data
    run = TrainingRun(model, draft, folder)
    run.restore()
    # Lightning runs one epoch even of a run that has already stopped.
    if run.n_epochs < config.epochs and run.n_idle < config.patience:
        with _quiet_lightning():
            trainer = _trainer(run, console, log_interval)
            # As in Lightning's own checkpoints: the epochs that lie behind.
            trainer.fit_loop.epoch_progress.current.processed = run.n_epochs
            with _interruptions_as_usual(), _kept(run):
                trainer.fit(
                    ReconstructionTask(model, config),
                    _with_classes(Batches(data.windows, data.training, config.batch_size, run.order), data),
                    _with_classes(Batches(data.windows, data.validation, config.batch_size), data),
                )
    return run


def _trainer(run: TrainingRun, console: Console | None, log_interval: int) -> lightning.Trainer:
    config = run.draft.config
    stopper = EarlyStopping("validation_loss", patience=config.patience, check_finite=False)
    stopper.best_score, stopper.wait_count = torch.tensor(run.best.loss), run.n_idle
    callbacks = [run.best, stopper, run]
    if console is not None:
        callbacks.append(EpochProgress(console, run.best, log_interval))
    return lightning.Trainer(
        accelerator=accelerator(config),
        devices=1,
        max_epochs=config.epochs,
        gradient_clip_val=config.grad_clip,
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


@contextlib.contextmanager
def _kept(run: TrainingRun) -> Iterator[None]:
    """However training ends, the last epoch that has ended is in the run's folder."""
    try:
        yield
    finally:
        run.keep()


def _with_classes(batches: Batches, data: TrainingData) -> Batches | ClassifiedBatches:
    return batches if data.classes is None else ClassifiedBatches(batches, data.classes)


def accelerator(config: TrainingConfig) -> str:
    """Lightning's word for the configured device. Raises ConfigurationError for CUDA where there is no usable GPU."""
    has_gpu = config.device != "cpu" and torch.cuda.is_available()
    if config.device == "cuda" and not has_gpu:
        raise ConfigurationError("device is 'cuda', and torch sees no usable GPU; expected 'cpu' or 'auto' here")
    return "gpu" if has_gpu else "cpu"


@contextlib.contextmanager
def _interruptions_as_usual() -> Iterator[None]:
    """Lightning makes of Ctrl-C an exit with code 1, and of SIGTERM the end of the epoch and an exit with code 0."""
    try:
        yield
    except SIGTERMException as lightnings:
        # The handlers from before the run are back: without one of the caller's own, this ends the process.
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.raise_signal(signal.SIGTERM)
        raise KeyboardInterrupt("SIGTERM") from lightnings
    except SystemExit as lightnings:
        if isinstance(lightnings.__context__, KeyboardInterrupt):
            raise lightnings.__context__ from None
        raise


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
