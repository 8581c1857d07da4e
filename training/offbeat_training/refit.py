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

# So many held-out windows without a row in common tell one error in a hundred: no fold is needed for it.
ENOUGH_HELD_OUT = 100

# The last epochs, at this part of the learning rate: what steps of full size leave to chance would differ between the
# models that the threshold is taken from and the one that it is for.
_SETTLING_PART = 0.25
_MIN_SETTLING_EPOCHS = 2
_SETTLING_RATE = 0.1

Build = Callable[[Indices], Architecture]


def refit(run: TrainingRun, build: Build) -> Checkpoint:
    """A model that learnt from all normal windows, for as many epochs as were best for `run`, which held some out.

    `build` makes a model with fresh weights for the training windows at some positions. Where `run` held out few windows that are apart,
    the threshold is taken from the errors of all: each third is scored by a model that learnt from the two others for as
    many epochs. Of a series too short for that the errors of the model itself on all windows count beside the held-out
    ones, so that no lucky stretch flags the rest. All of them end with a few epochs at a tenth of the learning rate; where no epoch was as good as none, as
    may be with a linear path, none is made. A model that has learnt from more is hardly worse on windows that are new, so that the threshold is, if
    anything, too high for it.
    """
    draft, n_epochs = run.draft, _best_epoch(run, build)
    held_out = errors_of(run.model, draft.data.windows, draft.data.validation)
    model = _trained(draft, draft.data.normal, n_epochs, build)
    if _n_apart(draft) < ENOUGH_HELD_OUT:
        folds = _folds(draft)
        held_out = np.concatenate(
            [_errors_held_out(draft, fold, n_epochs, build) for fold in folds]
            if folds
            else [held_out, errors_of(model, draft.data.windows, draft.data.normal)]
        )
    complete = replace(draft, data=replace(draft.data, training=draft.data.normal))
    return complete.checkpoint(model, run.history, held_out)


def _n_apart(draft: CheckpointDraft) -> int:
    """How many held-out windows have no row in common: neighbours in a series err together, and count as one."""
    held_out, length = draft.data.validation, _series_length(draft)
    return held_out.size if length is None else int(held_out[-1] - held_out[0]) // length + 1


def _folds(draft: CheckpointDraft) -> list[Fold]:
    normal, length = draft.data.normal, _series_length(draft)
    return sample_folds(normal, draft.config.seed) if length is None else series_folds(normal, length)


def _series_length(draft: CheckpointDraft) -> int | None:
    """Rows in a window cut out of a series; None for samples, ready-made windows among them."""
    window = draft.data.window
    return None if window is None or draft.dataset.values.ndim == 3 else window.length


def _errors_held_out(draft: CheckpointDraft, fold: Fold, n_epochs: int, build: Build) -> FloatArray:
    training, held_out = fold
    return errors_of(_trained(draft, training, n_epochs, build), draft.data.windows, held_out)


def _trained(draft: CheckpointDraft, training: Indices, n_epochs: int, build: Build) -> Architecture:
    """A model after so many epochs, whatever the validation loss does: one window is looked at, as there must be one."""
    model = build(training)
    data = replace(draft.data, training=training, validation=draft.data.validation[:1])
    n_settling = max(_MIN_SETTLING_EPOCHS, round(_SETTLING_PART * n_epochs)) if n_epochs else 0
    for epochs, rate in ((n_epochs, 1.0), (n_settling, _SETTLING_RATE)):
        if epochs:
            config = msgspec.structs.replace(draft.config, epochs=epochs, patience=epochs, lr=rate * draft.config.lr)
            optimise(model, replace(draft, data=data, config=config), None, None, 0)
    return model.cpu()


def _best_epoch(run: TrainingRun, build: Build) -> int:
    """The epoch with the lowest validation loss; 0 where the model had a lower one before its first."""
    data, best = run.draft.data, best_of(run.history)
    untrained = errors_of(build(data.training), data.windows, data.validation)
    return best.epoch if best.validation_loss < float(untrained.mean()) else 0
