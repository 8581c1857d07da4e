"""From a data set to a checkpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial

import torch
from numpy.typing import ArrayLike
from rich.console import Console

from offbeat.data import Dataset
from offbeat.errors import TrainingError
from offbeat_training.architectures import Architecture
from offbeat_training.auto import resolve
from offbeat_training.checkpoint import Checkpoint
from offbeat_training.checkpoint_draft import CheckpointDraft
from offbeat_training.class_labels import window_classes
from offbeat_training.config import TrainingConfig
from offbeat_training.optimise import optimise
from offbeat_training.presets import build_preset, warn_of_other_steps
from offbeat_training.refit import refit
from offbeat_training.run_config import RunConfig
from offbeat_training.run_folder import RunFolder
from offbeat_training.split import Indices
from offbeat_training.thresholds import require_enough_windows
from offbeat_training.training_data import Batches, prepare

# Windows laid out side by side at a time, whatever an epoch takes in one step.
_INITIAL_BATCH = 1024


def fit(
    dataset: Dataset,
    config: TrainingConfig | None = None,
    *,
    class_labels: ArrayLike | None = None,
    run: RunConfig | None = None,
    console: Console | None = None,
    given: Collection[str] | None = None,
) -> Checkpoint:
    """Trains on the normal part of a data set and keeps the weights of the epoch with the lowest validation loss.

    With `config.refit` it keeps those of as many epochs on all of the normal part. `class_labels` [row], whole numbers from
    0, are what the preset `repeat-classifier` learns beside the windows, and no other does. `run` names a folder for what a
    run leaves behind and resumes from, if it is to leave anything. Progress is drawn on `console` where one is given. With
    the preset `auto` the fields of `config` that are `given` stay as they are, by default those that differ from their
    defaults, and the others are chosen by the data. The same data and configuration give the same weights bit for bit on
    a CPU, however often the run was resumed; the caller's random state and number of threads are left as they were.
    Raises TrainingError where the data are too few for the configuration, the memory too small or the loss not finite,
    ConfigurationError for a device that is not there or a folder that cannot be used, CheckpointError where the run to be
    resumed is damaged or another one.
    """
    choice, run = resolve(dataset, config or TrainingConfig(), given), run or RunConfig()
    config = choice.config
    if console is not None:
        choice.tell(console)
    data = prepare(dataset, config)
    data = replace(data, classes=window_classes(class_labels, len(data.windows), dataset, config))
    require_enough_windows(data.validation.size, data.anomalous.size, config)
    draft = CheckpointDraft(dataset=dataset, data=data, config=config)
    folder = None if run.model_dir is None else RunFolder(run.model_dir, resume=run.resume)
    kept_random = torch.random.fork_rng(devices=range(torch.cuda.device_count()))
    with _within_memory(config), _threads(config.n_threads), kept_random:
        model = _fresh_model(draft, data.training)
        warn_of_other_steps(model, data.window)
        training = optimise(model, draft, folder, console, run.log_interval)
        model.cpu().load_state_dict(training.best.weights)
        checkpoint = refit(training, partial(_fresh_model, draft)) if config.refit else training.checkpoint()
    if folder is not None:
        folder.finish(checkpoint)
    return checkpoint


def _fresh_model(draft: CheckpointDraft, training: Indices) -> Architecture:
    """The model before its first epoch of learning from the windows at `training`; the same seed gives the same."""
    config, data = draft.config, draft.data
    torch.manual_seed(config.seed)
    n_classes = 0 if data.classes is None else int(data.classes.max()) + 1
    n_steps = 0 if data.window is None else data.window.length
    model = build_preset(config, len(draft.dataset.feature_names), n_classes, n_steps)
    model.initialise(Batches(data.windows, training, _INITIAL_BATCH))
    return model


@contextlib.contextmanager
def _within_memory(config: TrainingConfig) -> Iterator[None]:
    """Torch tells of too little memory on the CPU by a plain RuntimeError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
        if not is_memory:
            raise
        raise TrainingError(
            f"out of memory; try a smaller hidden_size (now {config.hidden_size or 'the default of the preset'}), "
            f"batch_size (now {config.batch_size}) or seq_len (now {config.seq_len})"
        ) from error


@contextlib.contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
