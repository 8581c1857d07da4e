"""Learning from the held-out windows too, once they have said when to stop and what is rare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np

from offbeat.result import FloatArray
from offbeat_training.architectures import Architecture
from offbeat_training.checkpoint import Checkpoint
from offbeat_training.checkpoint_draft import CheckpointDraft, errors_of
from offbeat_training.folds import Fold, sample_folds, series_folds
from offbeat_training.history import best_of
from offbeat_training.optimise import optimise
from offbeat_training.split import Indices
from offbeat_training.training_run import TrainingRun

# So many held-out windows say enough about their errors: no fold would add to it.
ENOUGH_HELD_OUT = 500

Build = Callable[[Indices], Architecture]


def refit(run: TrainingRun, build: Build) -> Checkpoint:
    """A model that learnt from all normal windows, for as many epochs as were best for `run`, which held some out.

    `build` makes a model with fresh weights for the training windows at some positions. Where `run` held out few windows,
    the threshold is taken from the errors of all: each third is scored by a model that learnt from the two others for as
    many epochs. A model that has learnt from more is hardly worse on windows that are new, so that the threshold is, if
    anything, too high for it.
    """
    draft, n_epochs = run.draft, best_of(run.history).epoch
    held_out = errors_of(run.model, draft.data.windows, draft.data.validation)
    folds = _folds(draft) if held_out.size < ENOUGH_HELD_OUT else []
    if folds:
        held_out = np.concatenate([_errors_held_out(draft, fold, n_epochs, build) for fold in folds])
    model = _trained(draft, draft.data.normal, n_epochs, build)
    complete = replace(draft, data=replace(draft.data, training=draft.data.normal))
    return complete.checkpoint(model, run.history, held_out)


def _folds(draft: CheckpointDraft) -> list[Fold]:
    data = draft.data
    if draft.dataset.values.ndim == 2 and data.window is not None:
        return series_folds(data.normal, data.window.length)
    return sample_folds(data.normal, draft.config.seed)


def _errors_held_out(draft: CheckpointDraft, fold: Fold, n_epochs: int, build: Build) -> FloatArray:
    training, held_out = fold
    return errors_of(_trained(draft, training, n_epochs, build), draft.data.windows, held_out)


def _trained(draft: CheckpointDraft, training: Indices, n_epochs: int, build: Build) -> Architecture:
    """A model after so many epochs, whatever the validation loss does: one window is looked at, as there must be one."""
    model = build(training)
    config = msgspec.structs.replace(draft.config, epochs=n_epochs, patience=n_epochs)
    data = replace(draft.data, training=training, validation=draft.data.validation[:1])
    optimise(model, replace(draft, data=data, config=config), None, None, 0)
    return model.cpu()
