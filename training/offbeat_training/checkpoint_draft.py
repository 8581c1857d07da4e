"""From a model's present weights to a checkpoint: threshold and provenance included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import msgspec
import numpy as np
import torch

from offbeat.data import Dataset
from offbeat.result import FloatArray, Threshold
from offbeat_training.architectures import Architecture
from offbeat_training.best_weights import cpu_copy
from offbeat_training.checkpoint import MAX_VALIDATION_WINDOWS, Checkpoint
from offbeat_training.class_labels import class_names
from offbeat_training.config import TrainingConfig
from offbeat_training.history import Epoch, best_of
from offbeat_training.normal_sample import normal_quantiles
from offbeat_training.split import Indices
from offbeat_training.thresholds import choose_threshold
from offbeat_training.training_data import Batches, TrainingData


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckpointDraft:
    """Everything of a checkpoint that is known before training: what is learnt from, and how."""

    dataset: Dataset
    data: TrainingData
    config: TrainingConfig

    def checkpoint(
        self, model: Architecture, history: Sequence[Epoch], held_out: FloatArray | None = None
    ) -> Checkpoint:
        """A checkpoint of the weights that `model` has now, after the epochs of `history`; no random number is used up.

        The threshold is taken from the errors `held_out` [window], by default the model's own on the validation windows.
        """
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            if held_out is None:
                held_out = errors_of(model, self.data.windows, self.data.validation)
            threshold = self._threshold(model, held_out)
        return Checkpoint(
            architecture_kind=model.kind,
            architecture_settings=model.settings(),
            state_dict=cpu_copy(model.state_dict()),
            feature_names=self.dataset.feature_names,
            normalisation=self.data.normalisation,
            window=self.data.window,
            threshold=threshold,
            training=self._provenance() | _outcome(history) | _normal(self.data, held_out),
            metrics={"training_seconds": sum(each.seconds for each in history)},
            validation_windows=self.data.raw_validation_windows(MAX_VALIDATION_WINDOWS),
            training_config=msgspec.to_builtins(self.config),
        )

    def _threshold(self, model: Architecture, held_out: FloatArray) -> Threshold:
        data, config = self.data, self.config
        # Only best-f1 looks at anomalies; the normal windows learnt from are stood for by those held out.
        needs_anomalies = config.chosen_threshold_method == "best-f1"
        anomalous = errors_of(model, data.windows, data.anomalous if needs_anomalies else data.anomalous[:0])
        n_normal = np.union1d(data.training, data.validation).size
        return choose_threshold(held_out, config, anomalous, n_normal / held_out.size)

    def _provenance(self) -> dict[str, Any]:
        dataset, data = self.dataset, self.data
        names = class_names(dataset)
        return {
            "source": {"name": dataset.name, "sha256": dataset.sha256, "n_rows": dataset.n_rows},
            "n_training_windows": int(data.training.size),
            "n_validation_windows": int(data.validation.size),
            "seed": self.config.seed,
            "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "torch_version": str(torch.__version__),
            "offbeat_version": version("offbeat"),
            # As in a file, which leaves out what is the default.
            **({"class_names": names} if names else {}),
        }


def errors_of(model: Architecture, windows: FloatArray, positions: Indices, batch_size: int = 1024) -> FloatArray:
    """The error of each of the normalised windows at `positions` [window], in that order, on the model's device.

    Puts the model into eval mode.
    """
    if not positions.size:
        return np.empty(0, np.float32)
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        errors = [model.errors(batch.to(device))[0].cpu().numpy() for batch in Batches(windows, positions, batch_size)]
    return np.concatenate(errors)


def _normal(data: TrainingData, held_out: FloatArray) -> dict[str, Any]:
    normal = normal_quantiles(data, held_out)
    return {} if normal is None else {"normal": msgspec.to_builtins(normal)}


def _outcome(history: Sequence[Epoch]) -> dict[str, Any]:
    best = best_of(history)
    return {"n_epochs": len(history), "best_epoch": best.epoch, "best_validation_loss": best.validation_loss}
