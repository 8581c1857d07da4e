"""A trained model with all that is needed to score, to export and to trace it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from offbeat.errors import CheckpointError, ConfigurationError
from offbeat.provenance import TrainingRecord
from offbeat.result import Threshold
from offbeat.telling import listed
from offbeat_training import checkpoint_file
from offbeat_training.architectures import Architecture, build_architecture
from offbeat_training.checkpoint_file import ELSEWHERE
from offbeat_training.preprocessing import Normalisation
from offbeat_training.record import FORMAT, SCHEMA_VERSION, CheckpointRecord, WindowSpec
from offbeat_training.tensor_checks import check_tensor, check_tensors, expect, kind_of

MAX_VALIDATION_WINDOWS = 64
# Every other field of the file is a plain value, described by CheckpointRecord.
_TENSOR_KEYS = ("state_dict", "normalisation", "validation_windows")


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """One trained model: weights, architecture, preprocessing, threshold and provenance.

    `state_dict` fits `build_architecture(architecture_kind, architecture_settings)`. `window` is None for tabular models.
    `training` holds exactly the fields of `offbeat.provenance.TrainingRecord`, as plain values. `metrics` are free,
    finite figures. `validation_windows` are up to 64 held-out normal windows in raw units, float32 [n, time, feature] or
    [n, feature]. `training_config` holds the fields of the TrainingConfig that it was trained with, as plain values; empty
    where that is not known. `has_feature_names` is whether the data had names of their own; None where that is not known.
    Everything is checked when one is made; raises CheckpointError, naming the field.
    """

    architecture_kind: str
    architecture_settings: Mapping[str, Any]
    state_dict: Mapping[str, Tensor]
    feature_names: tuple[str, ...]
    normalisation: Normalisation
    window: WindowSpec | None
    threshold: Threshold
    training: Mapping[str, Any]
    metrics: Mapping[str, float]
    validation_windows: Tensor
    training_config: Mapping[str, Any] = field(default_factory=dict)
    has_feature_names: bool | None = None

    def __post_init__(self) -> None:
        empty = self._empty_model()
        expect(type(self.threshold) is Threshold, "threshold", self.threshold, "a Threshold")
        self._check_plain_values()
        self._check_features(empty.n_features)
        check_tensors("state_dict", self.state_dict, empty.state_dict())
        self._check_window(empty)

    def build_model(self) -> Architecture:
        """A new module with these weights, in eval mode, on the CPU; changing it leaves the checkpoint as it is."""
        model = self._empty_model()
        weights = {name: tensor.clone() for name, tensor in self.state_dict.items()}
        model.load_state_dict(weights, strict=True, assign=True)
        return model.eval()

    def save(self, path: str | Path) -> None:
        """Writes the file, whole or not at all; of a symbolic link, the file that it names.

        Raises CheckpointError where it cannot be written, ConfigurationError for a folder, a device or a pipe.
        """
        plain = msgspec.to_builtins(self._record())
        tensors = {
            "state_dict": {name: tensor.detach().clone() for name, tensor in self.state_dict.items()},
            "normalisation": {"mean": self.normalisation.mean.clone(), "scale": self.normalisation.scale.clone()},
            "validation_windows": self.validation_windows.clone(),
        }
        checkpoint_file.write(Path(path), plain | tensors)

    @classmethod
    def load(cls, path: str | Path) -> Checkpoint:
        """Reads and validates a file, running nothing from it. Raises CheckpointError, naming the file and the fact."""
        content = checkpoint_file.read(Path(path))
        try:
            return cls._from_content(content)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error

    @classmethod
    def _from_content(cls, content: dict[Any, Any]) -> Checkpoint:
        if "format" not in content:
            keys = listed(sorted(map(str, content)))
            raise CheckpointError(
                f"its keys are {keys}; expected format and those of a checkpoint of offbeat{ELSEWHERE}"
            )
        for key in _TENSOR_KEYS:
            expect(key in content, "keys", sorted(map(str, content)), f"{key} among them")
        plain = {key: value for key, value in content.items() if key not in _TENSOR_KEYS}
        try:
            record = msgspec.convert(plain, CheckpointRecord)
        except (msgspec.ValidationError, ConfigurationError) as error:
            raise CheckpointError(str(error)) from error
        normalisation = content["normalisation"]
        expect(
            type(normalisation) is dict and set(normalisation) == {"mean", "scale"},
            "normalisation",
            kind_of(normalisation),
            "a dict of mean and scale",
        )
        return cls(
            architecture_kind=record.architecture_kind,
            architecture_settings=record.architecture_settings,
            state_dict=content["state_dict"],
            feature_names=record.feature_names,
            normalisation=Normalisation(**normalisation),
            window=record.window,
            threshold=record.threshold,
            training=msgspec.to_builtins(record.training),
            metrics=record.metrics,
            validation_windows=content["validation_windows"],
            training_config=record.training_config,
            has_feature_names=record.has_feature_names,
        )

    def _record(self) -> CheckpointRecord:
        return CheckpointRecord(
            format=FORMAT,
            schema_version=SCHEMA_VERSION,
            architecture_kind=self.architecture_kind,
            architecture_settings=dict(self.architecture_settings),
            feature_names=self.feature_names,
            window=self.window,
            threshold=self.threshold,
            training=msgspec.convert(self.training, TrainingRecord),
            metrics=dict(self.metrics),
            training_config=dict(self.training_config),
            has_feature_names=self.has_feature_names,
        )

    def _empty_model(self) -> Architecture:
        """The module without memory for weights, so that hostile settings cost nothing."""
        try:
            with torch.device("meta"):
                return build_architecture(self.architecture_kind, self.architecture_settings)
        except ConfigurationError as error:
            raise CheckpointError(str(error)) from error

    def _check_plain_values(self) -> None:
        try:
            record = msgspec.convert(msgspec.to_builtins(self._record()), CheckpointRecord)
        except (msgspec.ValidationError, TypeError) as error:
            raise CheckpointError(str(error)) from error
        expect(
            math.isfinite(record.training.best_validation_loss),
            "training.best_validation_loss",
            record.training.best_validation_loss,
            "a finite number",
        )
        for name, value in record.metrics.items():
            expect(math.isfinite(value), f"metrics.{name}", value, "a finite number")

    def _check_features(self, n_features: int) -> None:
        names = self.feature_names
        expect(len(set(names)) == len(names) == n_features, "feature_names", names, f"{n_features} different names")
        for part in ("mean", "scale"):
            check_tensor(f"normalisation.{part}", getattr(self.normalisation, part), (n_features,), torch.float32)
        scale = self.normalisation.scale
        expect(bool((scale > 0).all()), "normalisation.scale", scale.tolist(), "positive numbers")

    def _check_window(self, model: Architecture) -> None:
        expect(
            (self.window is not None) == model.has_time, "window", self.window, f"one exactly if {model.kind} has time"
        )
        windows = self.validation_windows
        rank = 3 if model.has_time else 2
        expect(
            isinstance(windows, Tensor) and windows.dim() == rank,
            "validation_windows",
            kind_of(windows),
            f"a tensor of rank {rank}",
        )
        n_windows = windows.shape[0]
        expect(
            1 <= n_windows <= MAX_VALIDATION_WINDOWS,
            "validation_windows",
            n_windows,
            f"1 to {MAX_VALIDATION_WINDOWS} windows",
        )
        steps = () if self.window is None else (self.window.length,)
        check_tensor("validation_windows", windows, (n_windows, *steps, model.n_features), torch.float32)
