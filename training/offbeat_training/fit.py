"""From a data set to a checkpoint."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from rich.console import Console

from offbeat.data import Dataset
from offbeat.result import FloatArray, Threshold
from offbeat_training.architectures import Architecture
from offbeat_training.best_weights import BestWeights
from offbeat_training.checkpoint import MAX_VALIDATION_WINDOWS, Checkpoint
from offbeat_training.class_labels import window_classes
from offbeat_training.config import TrainingConfig
from offbeat_training.optimise import optimise
from offbeat_training.presets import build_preset, warn_of_other_steps
from offbeat_training.split import Indices
from offbeat_training.thresholds import choose_threshold, require_enough_windows
from offbeat_training.training_data import Batches, TrainingData, prepare


def fit(
    dataset: Dataset,
    config: TrainingConfig | None = None,
    *,
    class_labels: ArrayLike | None = None,
    console: Console | None = None,
) -> Checkpoint:
    """Trains on the normal part of a data set and keeps the weights of the epoch with the lowest validation loss.

    `class_labels` [row], whole numbers from 0, are what the preset `repeat-classifier` learns beside the windows, and no
    other does. Progress is drawn on `console` where one is given. The same data and configuration give the same weights bit
    for bit on a CPU; the caller's random state and number of threads are left as they were. Raises TrainingError where the
    data are too few for the configuration or the loss is not finite, ConfigurationError for a device that is not there.
    """
    config = config or TrainingConfig()
    data = prepare(dataset, config)
    data = replace(data, classes=window_classes(class_labels, len(data.windows), dataset, config))
    require_enough_windows(data.validation.size, data.anomalous.size, config)
    started_s = time.monotonic()
    with _threads(config.n_threads), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(config.seed)
        n_classes = 0 if data.classes is None else int(data.classes.max()) + 1
        model = build_preset(config, len(dataset.feature_names), n_classes)
        warn_of_other_steps(model, data.window)
        best, n_epochs = optimise(model, data, config, console)
        model.cpu().load_state_dict(best.weights)
        threshold = _threshold(model, data, config)
    return Checkpoint(
        architecture_kind=model.kind,
        architecture_settings=model.settings(),
        state_dict=best.weights,
        feature_names=dataset.feature_names,
        normalisation=data.normalisation,
        window=data.window,
        threshold=threshold,
        training=_provenance(dataset, data, config) | _outcome(best, n_epochs),
        metrics={"training_seconds": time.monotonic() - started_s},
        validation_windows=data.raw_validation_windows(MAX_VALIDATION_WINDOWS),
    )


@contextlib.contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def errors_of(model: Architecture, windows: FloatArray, positions: Indices, batch_size: int = 1024) -> FloatArray:
    """The error of each of the normalised windows at `positions` [window], in that order, dropout off."""
    if not positions.size:
        return np.empty(0, np.float32)
    model.eval()
    with torch.inference_mode():
        errors = [model.errors(batch)[0] for batch in Batches(windows, positions, batch_size)]
    return np.concatenate([each.numpy() for each in errors])


def _threshold(model: Architecture, data: TrainingData, config: TrainingConfig) -> Threshold:
    held_out = errors_of(model, data.windows, data.validation)
    # Only best-f1 looks at anomalies; the normal windows learnt from are stood for by those held out.
    needs_anomalies = config.chosen_threshold_method == "best-f1"
    anomalous = errors_of(model, data.windows, data.anomalous if needs_anomalies else data.anomalous[:0])
    return choose_threshold(held_out, config, anomalous, 1 + data.training.size / data.validation.size)


def _provenance(dataset: Dataset, data: TrainingData, config: TrainingConfig) -> dict[str, Any]:
    return {
        "source": {"name": dataset.name, "sha256": dataset.sha256, "n_rows": dataset.n_rows},
        "n_training_windows": int(data.training.size),
        "n_validation_windows": int(data.validation.size),
        "seed": config.seed,
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "torch_version": str(torch.__version__),
        "offbeat_version": version("offbeat"),
    }


def _outcome(best: BestWeights, n_epochs: int) -> dict[str, Any]:
    return {"n_epochs": n_epochs, "best_epoch": best.epoch, "best_validation_loss": best.loss}
